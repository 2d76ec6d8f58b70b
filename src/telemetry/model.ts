/** The options of telemetry, and what its callbacks are given. */
import type { Duration, Effect } from "effect"
import type { Attempt } from "../vocabulary/Attempt.js"
import type * as AccessLog from "./entry.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** @default true */
  readonly spans?: boolean
  /** @default true */
  readonly metrics?: boolean
  /**
   * Whether calls are also counted under the names that other libraries gave their metrics, for dashboards that have them; see
   * `aliases`. @default false
   */
  readonly aliases?: boolean
}

/**
 * A call that begins.
 *
 * @since 0.1.0
 * @category callbacks
 */
export type CallStarted = Pick<
  AccessLog.Entry,
  "requestId" | "label" | "operation" | "streamed" | "provider" | "model" | "startedAt"
>

/**
 * @since 0.1.0
 * @category callbacks
 */
export interface Hooks {
  readonly onStart?: (call: CallStarted) => Effect.Effect<void>
  /** Once for every request that was sent, when the call is over: it is told from the call's receipt. */
  readonly onAttempt?: (attempt: Attempt, call: CallStarted) => Effect.Effect<void>
  readonly onEnd?: (call: AccessLog.Entry) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category callbacks
 */
export interface HookOptions {
  /** The most callbacks that wait for slow ones before them; further ones are dropped, and a warning says how many. @default 1024 */
  readonly capacity?: number
  /** The longest that one may take before it is given up, with a warning. @default "5 seconds" */
  readonly timeout?: Duration.DurationInput
}
