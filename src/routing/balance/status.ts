/** The status of the deployments of a balance. */
import type { Data, Duration } from "effect"

/**
 * The state of a deployment:
 * - `Ready`: it takes calls.
 * - `Busy`: it has its `maxConcurrency` of calls in flight.
 * - `Cooling`: it is in a cooldown after a rate limit or an overload.
 * - `Open`: its circuit is open, because too many calls failed.
 * - `HalfOpen`: its cooldown is over, and one call at a time probes it. `probing`: a probe is in flight.
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
  /** Calls in flight, streams until they end. */
  readonly inFlight: number
  /** The moving average of the time to an answer, or to a stream's first event, in milliseconds; absent while unmeasured. */
  readonly latency?: number
  /** All calls sent to it. The next three count their results; calls in flight and neutral results are in none of them. */
  readonly served: number
  readonly answered: number
  readonly failed: number
  readonly limited: number
  /** Calls in the breaker's window, and how many of them failed. */
  readonly window: { readonly calls: number; readonly failures: number }
}
