/** Options and callbacks of telemetry. */
import type { Duration, Effect } from "effect"
import type { Attempt } from "../vocabulary/attempt.js"
import type * as AccessLog from "./entry.js"

/**
 * Selects the telemetry of an `LLM`.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** @default true */
  readonly spans?: boolean
  /** @default true */
  readonly metrics?: boolean
  /** Whether calls are also counted under metric names of other libraries, for their dashboards; see `aliases`. @default false */
  readonly aliases?: boolean
}

/**
 * The data of a call at its start.
 *
 * @since 0.1.0
 * @category callbacks
 */
export type CallStarted = Pick<
  AccessLog.Entry,
  "requestId" | "label" | "operation" | "streamed" | "provider" | "model" | "startedAt"
>

/**
 * Callbacks of calls.
 *
 * @since 0.1.0
 * @category callbacks
 */
export interface Hooks {
  readonly onStart?: (call: CallStarted) => Effect.Effect<void>
  /** Runs once for each of the call's `attempts`, when the call has ended. */
  readonly onAttempt?: (attempt: Attempt, call: CallStarted) => Effect.Effect<void>
  readonly onEnd?: (call: AccessLog.Entry) => Effect.Effect<void>
}

/**
 * Limits of callbacks.
 *
 * @since 0.1.0
 * @category callbacks
 */
export interface HookOptions {
  /** The most queued callbacks; further ones are dropped, and a warning reports how many. @default 1024 */
  readonly capacity?: number
  /** Timeout of one callback, after which it is interrupted and a warning is logged. @default "5 seconds" */
  readonly timeout?: Duration.DurationInput
}
