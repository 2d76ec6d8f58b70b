/** The contract of a store in which balances share the health of their deployments. */
import type { Duration, Effect } from "effect"
import { Context } from "effect"

/**
 * What was last said of a deployment.
 *
 * - `Open`: too many of its calls failed. It rests until then, and has to prove itself after that.
 * - `Cooling`: it said that it has too much to do, and rests until then.
 * - `Closed`: it works again.
 *
 * @since 0.1.0
 * @category model
 */
export interface Notice {
  readonly state: "Open" | "Cooling" | "Closed"
  /** Until when it rests, in milliseconds of `Clock.currentTimeNanos`; of no meaning where it is `Closed`. */
  readonly until: number
  /** How often its circuit has been opened without a success between: each rest is longer than the last. */
  readonly openings: number
  /** Which balance said so, which need not hear it; empty where several did. */
  readonly author: string
}

/**
 * Whether a call may find out if a deployment is good again. `Refused`: another balance is about to, or has just failed to, and it
 * may be asked again after so long.
 *
 * @since 0.1.0
 * @category model
 */
export type Permission = { readonly _tag: "Granted" } | { readonly _tag: "Refused"; readonly again: Duration.Duration }

/**
 * Nothing of it fails a call or keeps it waiting for long: what cannot be told or heard is left out, and each balance goes by
 * what it knows itself.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** By id. It is read at every call, and is the same map, with the same notices, as long as there is nothing new. */
  readonly notices: Effect.Effect<ReadonlyMap<string, Notice>>
  /** Tells the others. */
  readonly tell: (id: string, notice: Notice) => Effect.Effect<void>
  /** Asked for the one call that finds out. Who is granted it has it until `proved`, or until its process is gone. */
  readonly probe: (id: string, author: string) => Effect.Effect<Permission>
  /** The call that was granted is over; what it found out, if anything, is told in the same step. */
  readonly proved: (id: string, author: string, notice: Notice | undefined) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class BalanceHealth extends Context.Tag("effect-llm/BalanceHealth")<BalanceHealth, Service>() {}
