/** The interface through which a call reports its attempts and waits. `Telemetry` implements it; without it reports are dropped. */
import type { Clock, Fiber, MetricLabel, Tracer } from "effect"
import { Cause, Effect, Exit, Option } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Attempt } from "../vocabulary/attempt.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Verdict } from "../keyPool/model.js"
import type { Usage } from "../vocabulary/Usage.js"

/** How an attempt or a call ended: `ok`, `interrupted`, `defect`, or the `_tag` of its error. */
export type Outcome = string

export const outcomeOf = (exit: Exit.Exit<unknown, LLMError>): Outcome =>
  Exit.match(exit, {
    onSuccess: () => "ok",
    onFailure: (cause) =>
      Option.match(Cause.failureOption(cause), {
        onSome: (error) => error._tag,
        onNone: () => (Cause.isInterrupted(cause) ? "interrupted" : "defect")
      })
  })

/** The labels that a fiber adds to every metric. */
export type FiberLabels = ReadonlyArray<MetricLabel.MetricLabel>

/** The operation and model of a request. */
export interface Subject {
  /** Named as in the OpenTelemetry conventions. */
  readonly operation: "chat" | "embeddings"
  readonly model: string
  /** Absent for embeddings. */
  readonly request?: ChatRequest
  readonly streamed: boolean
  /** Estimates the input tokens. */
  readonly inputTokens: () => number
}

export interface AttemptProbe {
  /** Wraps the attempt's request, for example in its span. */
  readonly around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * `usage` is undefined when it is unknown, `answeredBy` when no model answered, `firstChunk` unless a stream has begun: the milliseconds
   * until then.
   */
  readonly end: (
    verdict: Verdict,
    outcome: Outcome,
    usage: Usage | undefined,
    answeredBy: string | undefined,
    firstChunk: number | undefined
  ) => Effect.Effect<void>
}

/** The metrics of attempts as plain functions, for the call plan. */
export interface AttemptRecorder {
  readonly started: (key: ApiKey, labels: FiberLabels) => void
  readonly ended: (key: ApiKey, outcome: Outcome, verdict: Verdict, labels: FiberLabels) => void
  /** The tokens that an answer used beyond those reserved for it; below zero if it used less. */
  readonly estimated: (error: number, labels: FiberLabels) => void
}

/** The metrics of calls as plain functions, for the call plan. */
export interface CallRecorder {
  /** The first events of a stream have arrived. */
  readonly opened: (millis: number, labels: FiberLabels) => void
  readonly ended: (call: EndedCall) => void
}

/** How a call ended. */
export interface EndedCall {
  readonly operation: Subject["operation"]
  /** The requested model. */
  readonly model: string
  /** The model that answered; undefined when none did. */
  readonly answeredBy: string | undefined
  readonly outcome: Outcome
  /** The duration of the call, in milliseconds. */
  readonly millis: number
  readonly usage: Usage | undefined
  /** The label of the caller; empty when there is none. */
  readonly caller: string
  readonly labels: FiberLabels
  /** The time of the end, in milliseconds since the epoch. */
  readonly now: number
}

/** What the span of a call contains of an answer, or of the part of it that arrived. */
export interface SpanAnswer {
  readonly id?: string
  /** The model that answered. */
  readonly model: string
  readonly finishReason?: string
  readonly usage: Usage
  readonly attempts: ReadonlyArray<Attempt>
}

/** What the span of a call contains of its request. */
export interface SpanSubject extends Pick<Subject, "operation" | "model" | "streamed"> {
  readonly request?: ChatRequest.Input
}

/**
 * The spans of calls and attempts as plain functions. Spans are made only where a tracer is installed and tracing is enabled. Each
 * function throws what the tracer throws.
 */
export interface Spans {
  readonly startCall: (fiber: Fiber.RuntimeFiber<unknown, unknown>, call: SpanSubject) => Tracer.Span | undefined
  /** The parent is the span of the fiber unless another is given. */
  readonly startAttempt: (
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    key: ApiKey,
    subject: Subject,
    parent?: Tracer.Span
  ) => Tracer.Span | undefined
  /** `firstChunk` is the time to the first events of a stream, in milliseconds. */
  readonly endAttempt: (
    span: Tracer.Span,
    clock: Clock.Clock,
    outcome: Outcome,
    usage: Usage | undefined,
    firstChunk: number | undefined
  ) => void
  readonly endCall: (
    span: Tracer.Span,
    clock: Clock.Clock,
    exit: Exit.Exit<unknown, LLMError>,
    answer: SpanAnswer | undefined,
    firstChunk: number | undefined
  ) => void
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
