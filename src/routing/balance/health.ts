/** The contract of a store through which balances share the health of their deployments. */
import type { Duration, Effect } from "effect"
import { Context } from "effect"

/**
 * The last change of a deployment's health that a balance published.
 *
 * - `Open`: too many of its calls failed. It is in a cooldown, and a probe must succeed after that.
 * - `Cooling`: it is in a cooldown after a rate limit or an overload.
 * - `Closed`: it works again.
 *
 * @since 0.1.0
 * @category model
 */
export interface Notice {
  readonly state: "Open" | "Cooling" | "Closed"
  /** The end of the cooldown, in milliseconds of `Clock.currentTimeNanos`; meaningless where the state is `Closed`. */
  readonly until: number
  /** How often the circuit has opened since the last success: each cooldown is longer than the last. */
  readonly openings: number
  /** The balance that published it, and that ignores it; empty where the notices of several were merged. */
  readonly author: string
}

/**
 * Whether a call can probe a deployment. `Refused`: the cooldown is not over or another balance has the probe; `again` is how
 * long to wait before the next request.
 *
 * @since 0.1.0
 * @category model
 */
export type Permission = { readonly _tag: "Granted" } | { readonly _tag: "Refused"; readonly again: Duration.Duration }

/**
 * The store. None of its operations fails a call or delays it for long: where the store cannot be reached, each balance uses what
 * it has measured itself. Calls wait for `probe` and `proved` where they cannot be interrupted, so each of them must end in bounded time.
 *
 * @since 0.2.0
 * @category model
 */
export interface HealthStore {
  /** By id. Read at every call; must return the same map, with the same notices, as long as nothing changes. */
  readonly notices: Effect.Effect<ReadonlyMap<string, Notice>>
  /** Publishes a notice to the other balances. */
  readonly tell: (id: string, notice: Notice) => Effect.Effect<void>
  /** Requests the only probe of a deployment. A balance that is granted it holds it until `proved` or until its process ends. */
  readonly probe: (id: string, author: string) => Effect.Effect<Permission>
  /** Releases the probe when its call is over, and publishes its result, if any, in the same step. */
  readonly proved: (id: string, author: string, notice: Notice | undefined) => Effect.Effect<void>
}

/**
 * The health of deployments that balances share: open circuits and cooldowns that one balance finds apply to all, before their own
 * calls fail there, and only one call of all balances probes a deployment at a time.
 *
 * A balance takes this from the context when it is made; without it, health is private to each balance. Deployments are
 * identified by their `Deployment.id`: the same id is the same deployment, in every balance and process. `layerMemoryHealth` joins
 * the balances of one process, `RedisDeploymentHealth` of `effect-llm/redis` those of several.
 *
 * @since 0.2.0
 * @category tags
 */
export class DeploymentHealth extends Context.Tag("effect-llm/DeploymentHealth")<DeploymentHealth, HealthStore>() {}
