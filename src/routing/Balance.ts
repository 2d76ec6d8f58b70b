/**
 * Balances calls over deployments (models, providers, regions) behind one `LLM`. The strategy picks one of the deployments that
 * are ready and can serve the request; when it fails, the call goes to the next.
 *
 * A circuit breaker takes out a deployment that keeps failing, and after a cooldown one call at a time probes it. A call that
 * finds no deployment ready waits for the first one, within its deadline. A stream is handed on only before its first event.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Balance, LLM } from "effect-llm"
 *
 * declare const Virginia: Layer.Layer<LLM.LLM>
 * declare const Ireland: Layer.Layer<LLM.LLM>
 * declare const DeepSeek: Layer.Layer<LLM.LLM>
 *
 * const Balanced = Balance.layer(
 *   [
 *     { llm: Virginia, weight: 2 },
 *     { llm: Ireland },
 *     // Used only when neither of the others is ready.
 *     { llm: DeepSeek, order: 1, capabilities: { images: false } }
 *   ],
 *   { strategy: Balance.leastLoaded }
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Array as Arr } from "effect"
import { Context, Effect, Layer, Ref } from "effect"
import { LLM } from "../call/model.js"
import type { Deployment, InvalidBalanceError, Options, Service } from "./balance/model.js"
import { Balance } from "./balance/model.js"
import type { HealthStore } from "./balance/health.js"
import { DeploymentHealth } from "./balance/health.js"
import * as MemoryHealth from "./balance/memoryHealth.js"
import * as BalanceService from "./balance/service.js"

export * from "./balance/model.js"

export { DeploymentHealth, type HealthStore } from "./balance/health.js"

/**
 * Makes one `LLM` over the given deployments. Needs no scope: nothing runs in the background. Requests that may exceed a context
 * window are counted with the `TokenCounter` in context; deployments without a `cost` are priced by their `LLM` or the `Pricing`
 * in context; the health of deployments is shared through the `DeploymentHealth` in context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  deployments: ReadonlyArray<Deployment>,
  options: Options = {}
): Effect.Effect<Service, InvalidBalanceError> => BalanceService.make(deployments, options)

/**
 * Provides one `LLM` over those of the given layers, each built once with its own keys, limits and retries.
 *
 * Building fails with `InvalidBalanceError` when the options are invalid. A call fails with `BalanceExhaustedError` when no deployment
 * succeeded; its `answers` has the reason of each, and `retryAfter` when the first can be called again.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Balance, LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layerKeys({ provider: "openai", model: "gpt-4o", keys: ["sk-one"] })
 * const DeepSeek = LLM.layerKeys({ provider: "deepseek", model: "deepseek-chat", keys: ["sk-two"] })
 *
 * // Three of four calls go to the first deployment.
 * const Balanced = Balance.layer([
 *   { llm: OpenAI, weight: 3 },
 *   { llm: DeepSeek, weight: 1 }
 * ]).pipe(Layer.provide(NodeTransport.layerUndici))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  deployments: Arr.NonEmptyReadonlyArray<Deployment<Layer.Layer<LLM, E, R>>>,
  options: Options = {}
): Layer.Layer<LLM | Balance, E | InvalidBalanceError, R> =>
  Layer.scopedContext(
    Effect.forEach(deployments, (deployment) =>
      Effect.map(Layer.build(deployment.llm), (context) => ({ ...deployment, llm: Context.get(context, LLM) }))
    ).pipe(
      Effect.flatMap((built) => make(built, options)),
      Effect.map((service) => Context.make(LLM, service).pipe(Context.add(Balance, service)))
    )
  )

/**
 * Makes a health store for the balances of one process.
 *
 * @since 0.2.0
 * @category constructors
 */
export const makeMemoryHealth: Effect.Effect<HealthStore> = Effect.map(
  Ref.make(MemoryHealth.empty),
  (ref): HealthStore => ({
    notices: Effect.map(Ref.get(ref), ({ notices }) => notices),
    tell: (id, notice) => Ref.update(ref, (health) => MemoryHealth.publish(health, id, notice)),
    probe: (id, author) =>
      Effect.clockWith((clock) => Ref.modify(ref, (health) => MemoryHealth.acquireProbe(health, id, author, clock))),
    proved: (id, author, notice) => Ref.update(ref, (health) => MemoryHealth.releaseProbe(health, id, author, notice))
  })
)

/**
 * Shares the health of deployments among the balances of one process.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Balance, LLM } from "effect-llm"
 *
 * declare const Virginia: Layer.Layer<LLM.LLM>
 * declare const Ireland: Layer.Layer<LLM.LLM>
 *
 * const Balanced = Balance.layer([
 *   { llm: Virginia, id: "virginia" },
 *   { llm: Ireland, id: "ireland" }
 * ]).pipe(Layer.provide(Balance.layerMemoryHealth))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerMemoryHealth: Layer.Layer<DeploymentHealth> = Layer.effect(DeploymentHealth, makeMemoryHealth)
