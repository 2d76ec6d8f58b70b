/**
 * One `LLM` over many deployments: models, providers, regions. Each call goes to the one that comes first by the strategy, of
 * those that can serve it and are in good order; where that one fails, to the next.
 *
 * A deployment that keeps failing is left alone for a while, and then one call at a time finds out whether it is good again. A
 * call that finds none in order waits for the first to come back, within its deadline. A stream is handed on only before its
 * first event.
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
 *     // Asked only when neither of the others can.
 *     { llm: DeepSeek, order: 1, capabilities: { images: false } }
 *   ],
 *   { strategy: Balance.leastLoaded }
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Array as Arr } from "effect"
import { Context, Effect, Layer } from "effect"
import { LLM } from "../call/model.js"
import type { Deployment, Options, Service } from "./balance/model.js"
import { Balance, InvalidBalanceError } from "./balance/model.js"
import * as BalanceService from "./balance/service.js"
import { leastLoaded } from "./balance/strategy.js"
import { handsOn, verdictOf } from "./balance/verdict.js"

export * from "./balance/model.js"

/**
 * One `LLM` over the given ones. It needs no scope: nothing runs in the background. Requests are counted with the `TokenCounter`
 * in context, where it is doubtful whether they fit; deployments without a `cost` are priced by their `LLM` or the `Pricing` in context; what it
 * finds out about deployments it shares with others through the `BalanceHealth` in context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  deployments: ReadonlyArray<Deployment>,
  options: Options = {}
): Effect.Effect<Service, InvalidBalanceError> =>
  BalanceService.make(deployments, options, {
    strategy: leastLoaded,
    handsOn,
    verdictOf,
    invalid: (faults) => new InvalidBalanceError({ faults })
  })

/**
 * One `LLM` over those of the given layers, each built once with keys, limits and retries of its own.
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
