/**
 * What the balances of many processes know of their deployments, in Redis: a circuit that one opens is open in all of them within
 * the `pollInterval`, rests after an overload hold for all, and of all processes one call at a time finds out whether a deployment
 * is good again.
 *
 * A deployment is known by its `Deployment.id`: give it the same in all processes. Calls wait for Redis only where they would find
 * out, and for its `timeout` at the most. While Redis is away each process goes by what it knows itself; what it finds out
 * meanwhile it tells when Redis is back.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Balance, LLM } from "effect-llm"
 * import { Redis, RedisBalanceHealth } from "effect-llm/redis"
 *
 * declare const Virginia: Layer.Layer<LLM.LLM>
 * declare const Ireland: Layer.Layer<LLM.LLM>
 *
 * const Balanced = Balance.layer([
 *   { llm: Virginia, id: "virginia" },
 *   { llm: Ireland, id: "ireland" }
 * ]).pipe(
 *   Layer.provide(RedisBalanceHealth.layer({ name: "production" })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Scope } from "effect"
import { Duration, Effect, Layer, Option, Schema } from "effect"
import type { Service } from "../routing/balance/health.js"
import { BalanceHealth } from "../routing/balance/health.js"
import * as Health from "./health/service.js"
import * as Steps from "./health/scripts.js"
import { Redis } from "./model.js"
import * as Terms from "./shared/options.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Balances under one name on one Redis, with one prefix, tell each other. */
  readonly name: string
  /** How long it takes at most until others hear of something. @default "1 second" */
  readonly pollInterval?: Duration.DurationInput
  /**
   * How long after the end of a process another may find out what that was about to. It should be several times the
   * `pollInterval`, at which it is renewed. @default "10 seconds"
   */
  readonly leaseTime?: Duration.DurationInput
}

/**
 * Options that make no sense. All faults are told at once.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidBalanceHealthError extends Schema.TaggedError<InvalidBalanceHealthError>()(
  "InvalidBalanceHealthError",
  { faults: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `The shared health of balances cannot be as asked for: ${this.faults.join("; ")}`
  }
}

/**
 * The scope ends what runs in the background.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidBalanceHealthError, Redis | Scope.Scope> =>
  Effect.flatMap(Redis, (redis) => {
    const { name, pollInterval: poll = "1 second", leaseTime: lease = "10 seconds" } = options
    const { faults: wrong, leaseTime } = Terms.read({ name, leaseTime: lease })
    const pollInterval = Option.getOrElse(Option.map(Duration.decodeUnknown(poll), Duration.toMillis), () => 0)
    const faults = [
      ...wrong,
      ...(pollInterval > 0 && pollInterval < Infinity ? [] : ["pollInterval: expected a positive and finite duration"]),
      ...(leaseTime > 0 && leaseTime <= pollInterval ? ["leaseTime: expected more than the pollInterval"] : [])
    ]
    return faults.length > 0
      ? Effect.fail(new InvalidBalanceHealthError({ faults }))
      : Health.make({ steps: Steps.make(redis, name, leaseTime), pollInterval })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<BalanceHealth, InvalidBalanceHealthError, Redis> =>
  Layer.scoped(BalanceHealth, make(options))
