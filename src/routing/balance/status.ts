/** How the deployments of a balance are doing. */
import type { Data, Duration } from "effect"

/**
 * How a deployment is doing:
 * - `Ready`: it may be asked.
 * - `Busy`: it has as many calls in flight as it may have.
 * - `Cooling`: it rests because it said that it has too much to do.
 * - `Open`: it rests because too many calls failed.
 * - `HalfOpen`: it has rested, and one call at a time finds out whether it is good again. `probing`: one is doing so.
 * - `Disabled`: by hand.
 *
 * `until` is in milliseconds since the epoch.
 *
 * @since 0.1.0
 * @category status
 */
export type State = Data.TaggedEnum<{
  Ready: {}
  Busy: {}
  Cooling: { readonly remaining: Duration.Duration; readonly until: number }
  Open: { readonly remaining: Duration.Duration; readonly until: number }
  HalfOpen: { readonly probing: boolean }
  Disabled: {}
}>

/**
 * @since 0.1.0
 * @category status
 */
export interface DeploymentStatus {
  readonly id: string
  readonly provider: string
  readonly model: string
  readonly weight: number
  readonly order: number
  readonly cost?: number
  readonly maxConcurrency?: number
  readonly state: State
  /** Calls that are there now, streams until they end. */
  readonly inFlight: number
  /** The moving average of the time until it answers, of streams until their first event, in milliseconds; absent while unmeasured. */
  readonly latency?: number
  /** Calls that went to it. The next three say how those that told ended. */
  readonly served: number
  readonly answered: number
  readonly failed: number
  readonly limited: number
  /** The calls that the breaker remembers, and how many of them failed. */
  readonly window: { readonly calls: number; readonly failures: number }
}
