/**
 * Shares the health of deployments among balances: open circuits and cooldowns that one balance finds apply to all, before their
 * own calls fail there, and only one call of all balances probes a deployment at a time.
 *
 * A balance takes this from the context when it is made; without it, health is private to each balance. Deployments are
 * identified by their `Deployment.id`: the same id is the same deployment, in every balance and process. `layerMemory` joins the
 * balances of one process, `RedisBalanceHealth` of `effect-llm/redis` those of several.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Balance, BalanceHealth, LLM } from "effect-llm"
 *
 * declare const Virginia: Layer.Layer<LLM.LLM>
 * declare const Ireland: Layer.Layer<LLM.LLM>
 *
 * const Balanced = Balance.layer([
 *   { llm: Virginia, id: "virginia" },
 *   { llm: Ireland, id: "ireland" }
 * ]).pipe(Layer.provide(BalanceHealth.layerMemory))
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Layer, Ref } from "effect"
import type { Service } from "./balance/health.js"
import { BalanceHealth } from "./balance/health.js"
import * as MemoryHealth from "./balance/memoryHealth.js"

export * from "./balance/health.js"

/**
 * Makes a store for the balances of one process.
 *
 * @since 0.1.0
 * @category constructors
 */
export const memory: Effect.Effect<Service> = Effect.map(Ref.make(MemoryHealth.empty), (ref): Service => ({
  notices: Effect.map(Ref.get(ref), ({ notices }) => notices),
  tell: (id, notice) => Ref.update(ref, (health) => MemoryHealth.publish(health, id, notice)),
  probe: (id, author) =>
    Effect.clockWith((clock) => Ref.modify(ref, (health) => MemoryHealth.acquireProbe(health, id, author, clock))),
  proved: (id, author, notice) => Ref.update(ref, (health) => MemoryHealth.releaseProbe(health, id, author, notice))
}))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<BalanceHealth> = Layer.effect(BalanceHealth, memory)
