/**
 * What balances tell each other of their deployments: one that finds a deployment out of order tells the others, so that they
 * leave it alone before their own calls have failed there, and of all of them one at a time finds out whether it is good again.
 *
 * A balance takes this from the context when it is made, and without it keeps what it knows to itself. Deployments are known by
 * their `Deployment.id`: the same id is the same deployment, in whatever balance and process. `effect-llm/redis` has it for
 * many processes (`RedisBalanceHealth`); `layerMemory` joins the balances of one.
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
import * as Healths from "./balance/memoryHealth.js"

export * from "./balance/health.js"

/**
 * For the balances of one process, such as groups with the same deployments in them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const memory: Effect.Effect<Service> = Effect.map(Ref.make(Healths.nothing), (known): Service => ({
  notices: Effect.map(Ref.get(known), ({ notices }) => notices),
  tell: (id, notice) => Ref.update(known, (before) => Healths.told(before, id, notice)),
  probe: (id, author) =>
    Effect.clockWith((clock) => Ref.modify(known, (before) => Healths.probed(before, id, author, clock))),
  proved: (id, author, notice) => Ref.update(known, (before) => Healths.proved(before, id, author, notice))
}))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<BalanceHealth> = Layer.effect(BalanceHealth, memory)
