/** The interface through which a call reports its attempts and waits. `Telemetry` implements it; without it reports are dropped. */
import type { MetricLabel } from "effect"
import { Effect } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { Verdict } from "../keyPool/model.js"
import type { Usage } from "../vocabulary/Usage.js"

/** How an attempt ended: `ok`, `interrupted`, or the `_tag` of its error. */
export type Outcome = string

/** The labels that a fiber adds to every metric. */
export type FiberLabels = ReadonlyArray<MetricLabel.MetricLabel>

/** The operation and model of a request. */
export interface Subject {
  /** Named as in the OpenTelemetry conventions. */
  readonly operation: "chat" | "embeddings"
  readonly model: string
  /** Absent for embeddings. */
  readonly request?: ChatRequest
  /** Estimates the input tokens. */
  readonly inputTokens: () => number
}

export interface AttemptProbe {
  /** Wraps the attempt's request, for example in its span. */
  readonly around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** `usage` is undefined when it is unknown, `answeredBy` when no model answered. */
  readonly end: (
    verdict: Verdict,
    outcome: Outcome,
    usage: Usage | undefined,
    answeredBy: string | undefined
  ) => Effect.Effect<void>
}

/** The metrics of attempts as plain functions, for the call plan. */
export interface AttemptRecorder {
  readonly started: (key: ApiKey, labels: FiberLabels) => void
  readonly ended: (key: ApiKey, outcome: Outcome, verdict: Verdict, labels: FiberLabels) => void
}

/** The metrics of calls as plain functions, for the call plan. */
export interface CallRecorder {
  /** The first events of a stream have arrived. */
  readonly opened: (millis: number, labels: FiberLabels) => void
  /** `now` is the time of the end, in milliseconds since the epoch. */
  readonly ended: (outcome: Outcome, millis: number, usage: Usage | undefined, labels: FiberLabels, now: number) => void
}

/** How an attempt of the call plan ended. */
export interface AttemptEnd {
  readonly subject: Subject
  readonly key: ApiKey
  readonly outcome: Outcome
  readonly usage: Usage | undefined
  readonly answeredBy: string | undefined
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
}

export interface Instruments {
  /** The metrics of attempts; absent when there are none. */
  readonly recorder?: AttemptRecorder
  /** Called when a key was taken and before the request is sent with it. */
  readonly attempt: (key: ApiKey, subject: Subject) => Effect.Effect<AttemptProbe>
  /** Called when a call waited for a permit or a key, with the wait in milliseconds. */
  readonly waited: (what: "limiter" | "pool", duration: number) => Effect.Effect<void>
  /** Called when a call is retried, or fails because the retry budget is spent. */
  readonly retried: (outcome: "granted" | "denied") => Effect.Effect<void>
}

const noProbe = Effect.succeed<AttemptProbe>({ around: (effect) => effect, end: () => Effect.void })

export const none: Instruments = { attempt: () => noProbe, waited: () => Effect.void, retried: () => Effect.void }
