/** The options of retries. */
import type { Schedule } from "effect"
import type { Backoff } from "../../vocabulary/backoff.js"
import type { LLMError } from "../../vocabulary/LLMError.js"

/**
 * How many retries all calls of an `LLM` together may make. Each successful call adds `share` of a retry, each retry takes one, and
 * the difference to the floor halves every 10 seconds. So an outage does not multiply the requests, and a call in an idle program is
 * still retried.
 *
 * @since 0.2.0
 * @category model
 */
export interface BudgetOptions {
  /** The retries that a successful call adds, from 0 to 1. @default 0.2 */
  readonly share?: number
  /** The retries that are available without any success. @default 10 */
  readonly floor?: number
  /** The most retries that successes save up. @default 50, or the floor if that is higher */
  readonly max?: number
}

/**
 * Which results are retried, and how many of all calls, whatever decides about the attempts of one call and the delays.
 *
 * @since 0.2.0
 * @category model
 */
export interface Conditions {
  /** Whether an error is retried. @default `LLMError.isRetryable` */
  readonly when?: (error: LLMError) => boolean
  /** Whether an answer without text, refusal, tool calls and provider parts is a failure that is retried. @default false */
  readonly retryEmpty?: boolean
  /**
   * The budget of retries that all calls share. A call that it denies a retry fails at once with the error it has. `false`: no
   * budget. @default `{}`, see `BudgetOptions`
   *
   * @since 0.2.0
   */
  readonly budget?: BudgetOptions | false
}

/**
 * Retries with exponential backoff. A malformed answer is retried once in a call.
 *
 * @since 0.2.0
 * @category model
 */
export interface BackoffOptions extends Conditions {
  /** The maximum number of attempts, including the first. @default 5 */
  readonly maxAttempts?: number
  /**
   * The delays between attempts. An error with a Retry-After is retried soon after it instead: at most a tenth of `base` later, so
   * that calls with the same Retry-After do not all retry at once. `max` does not shorten a Retry-After.
   * @default 1 second, doubling up to 60 seconds, with full jitter
   */
  readonly backoff?: Backoff
  /** Use `ScheduleOptions` for a schedule. */
  readonly schedule?: never
}

/**
 * Retries with a schedule, which decides about the number of attempts and the delays between them.
 *
 * @since 0.2.0
 * @category model
 */
export interface ScheduleOptions<R = never> extends Conditions {
  /**
   * Receives each error of a call that `when` accepts, and starts anew with every call. When it is done, the call fails with the
   * last error. When the error has a Retry-After, the delay is that of the schedule or the Retry-After, whichever is longer.
   */
  readonly schedule: Schedule.Schedule<unknown, LLMError, R>
  /** The schedule decides how often. */
  readonly maxAttempts?: never
  /** The schedule decides how long. */
  readonly backoff?: never
}

/**
 * When failed calls are retried, and how often: with exponential backoff, or with a schedule.
 *
 * @since 0.1.0
 * @category model
 */
export type Options<R = never> = BackoffOptions | ScheduleOptions<R>
