/** Where a call tells what it does, for whoever listens. `Telemetry` listens; without it nothing is told and nothing is paid. */
import { Effect } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { Verdict } from "../keyPool/model.js"
import type { Usage } from "../vocabulary/Usage.js"

/** How an attempt ended: `ok`, `interrupted`, or the `_tag` of its error. */
export type Outcome = string

/** What a request is for. */
export interface Subject {
  /** The word of the OpenTelemetry conventions for it. */
  readonly operation: "chat" | "embeddings"
  readonly model: string
  /** Absent where it is no chat. */
  readonly request?: ChatRequest
  /** About what the provider has to read, in tokens. */
  readonly inputTokens: () => number
}

export interface AttemptProbe {
  /** Runs the attempt's request within what is kept of it, such as its span. */
  readonly around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** `usage` is absent where nobody knows what was consumed, `answeredBy` where nobody answered. */
  readonly end: (
    verdict: Verdict,
    outcome: Outcome,
    usage: Usage | undefined,
    answeredBy: string | undefined
  ) => Effect.Effect<void>
}

export interface Instruments {
  /** A key has been taken and a request is about to be sent with it. */
  readonly attempt: (key: ApiKey, subject: Subject) => Effect.Effect<AttemptProbe>
  /** A call had to wait for a permit or a key, in milliseconds. */
  readonly waited: (what: "limiter" | "pool", duration: number) => Effect.Effect<void>
}

const silentProbe: AttemptProbe = { around: (effect) => effect, end: () => Effect.void }

const silent = Effect.succeed(silentProbe)

export const none: Instruments = { attempt: () => silent, waited: () => Effect.void }
