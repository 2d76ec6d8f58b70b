/**
 * The health of deployments in Redis, shared by the balances of several processes. A circuit that one opens is open in all of
 * them within the `pollInterval`, cooldowns after an overload hold for all, and one call at a time over all processes probes a
 * deployment.
 *
 * A deployment is identified by its `Deployment.id`: use the same one in all processes. A call waits for Redis only when it would
 * probe, and for at most its `timeout`. While Redis is away each process uses its own state, and reports its changes when Redis
 * is back.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Balance, LLM } from "effect-llm"
 * import { Redis, RedisDeploymentHealth } from "effect-llm/redis"
 *
 * declare const Virginia: Layer.Layer<LLM.LLM>
 * declare const Ireland: Layer.Layer<LLM.LLM>
 *
 * const Balanced = Balance.layer([
 *   { llm: Virginia, id: "virginia" },
 *   { llm: Ireland, id: "ireland" }
 * ]).pipe(
 *   Layer.provide(RedisDeploymentHealth.layer({ name: "production" })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Scope } from "effect"
import { Duration, Effect, Layer, Option, Schema } from "effect"
import type { HealthStore } from "../routing/balance/health.js"
import { DeploymentHealth } from "../routing/balance/health.js"
import * as HealthService from "./health/service.js"
import * as Scripts from "./health/scripts.js"
import { Redis } from "./model.js"
import * as SharedOptions from "./shared/options.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** All balances of one name on one Redis with one prefix share their health. */
  readonly name: string
  /** The longest time until other processes see a change. @default "1 second" */
  readonly pollInterval?: Duration.DurationInput
  /**
   * The longest time until the probe of a lost process is free for another one. Should be several times the `pollInterval`, at
   * which it is renewed. @default "10 seconds"
   */
  readonly leaseTime?: Duration.DurationInput
}

/**
 * The options are invalid. Lists all faults.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidDeploymentHealthError extends Schema.TaggedError<InvalidDeploymentHealthError>()(
  "InvalidDeploymentHealthError",
  { faults: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `Invalid options of RedisDeploymentHealth: ${this.faults.join("; ")}`
  }
}

/**
 * Makes the shared health. Closing the scope stops the background fiber.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<HealthStore, InvalidDeploymentHealthError, Redis | Scope.Scope> =>
  Effect.flatMap(Redis, (redis) => {
    const { name, pollInterval: poll = "1 second", leaseTime: lease = "10 seconds" } = options
    const { faults: sharedFaults, leaseTime } = SharedOptions.read({ name, leaseTime: lease })
    const pollInterval = Option.getOrElse(Option.map(Duration.decodeUnknown(poll), Duration.toMillis), () => 0)
    const faults = [
      ...sharedFaults,
      ...(pollInterval > 0 && pollInterval < Infinity ? [] : ["pollInterval: expected a positive and finite duration"]),
      ...(leaseTime > 0 && leaseTime <= pollInterval ? ["leaseTime: expected more than the pollInterval"] : [])
    ]
    return faults.length > 0
      ? Effect.fail(new InvalidDeploymentHealthError({ faults }))
      : HealthService.make({ scripts: Scripts.make(redis, name, leaseTime), pollInterval })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<DeploymentHealth, InvalidDeploymentHealthError, Redis> =>
  Layer.scoped(DeploymentHealth, make(options))
