/**
 * An `LLM` over any `LanguageModel` of `@effect/ai`: a provider that only `@effect/ai` knows becomes a member of fallbacks and balances,
 * under budgets, caches and ledgers. Retries, time limits and telemetry are middlewares here, since the model makes its own requests.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { Effect, Layer } from "effect"
 * import { LLM, Retry, Telemetry, Timeouts } from "effect-llm"
 * import { LanguageModelLLM } from "effect-llm/ai"
 *
 * declare const Bedrock: Layer.Layer<LanguageModel.LanguageModel>
 *
 * const Claude = LanguageModelLLM.layer({ provider: "bedrock", model: "claude-sonnet-4-5" }).pipe(
 *   LLM.withMiddleware(Timeouts.middleware(Timeouts.defaults)),
 *   LLM.withMiddleware(Retry.middleware()),
 *   LLM.withMiddleware(Telemetry.middleware()),
 *   Layer.provide(Bedrock)
 * )
 *
 * const program = LLM.chat("Name a river.").pipe(Effect.provide(Claude))
 * ```
 *
 * @since 0.2.0
 */
import * as EmbeddingModel from "@effect/ai/EmbeddingModel"
import * as LanguageModel from "@effect/ai/LanguageModel"
import { Effect, Layer, Option } from "effect"
import type { ModelInfo, Service } from "../call/model.js"
import { LLM } from "../call/model.js"
import type { Defaults } from "../call/request.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Calls from "./modelCalls.js"
import { wire } from "./modelParts.js"

/**
 * Fields of a request that the calls of `@effect/ai` have no argument for, and how the model receives them: by the configuration that its
 * provider reads from the context.
 *
 * @example
 * ```ts
 * import { Context, Effect } from "effect"
 * import { LanguageModelLLM } from "effect-llm/ai"
 *
 * // With @effect/ai-openai: `OpenAiLanguageModel.withConfigOverride({ temperature, max_output_tokens: maxTokens })`.
 * class Config extends Context.Tag("Config")<Config, { temperature: number }>() {}
 *
 * const settings: LanguageModelLLM.Settings = {
 *   fields: ["temperature"],
 *   apply: ({ temperature = 1 }) => Effect.provideService(Config, { temperature })
 * }
 * ```
 *
 * @since 0.2.0
 * @category model
 */
export interface Settings {
  readonly fields: ReadonlyArray<Exclude<keyof ChatRequest, Calls.Covered>>
  readonly apply: (request: ChatRequest) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * @since 0.2.0
 * @category model
 */
export interface Options {
  /** The provider, for errors, metrics and prices. */
  readonly provider: string
  /** The name of the model, for the same. The `LanguageModel` chooses the model that answers. */
  readonly model: string
  /** Fields other than messages, tools, tool choice and response format. A request with one that is not here fails. @default none */
  readonly settings?: Settings
  /** The maximum tokens of a request and its answer together. @default 200000 */
  readonly contextWindow?: number
  /** Defaults for the fields of every request. @default none */
  readonly defaults?: Defaults
}

/**
 * Makes an `LLM` over the `LanguageModel` in context. `embed` uses the `EmbeddingModel` of `@effect/ai` if there is one.
 *
 * A request fails with `UnsupportedError` when it has a field that is not in `settings`, media in the result of a tool, or a part that only
 * one protocol of this library has. `@effect/ai` has no structured output in streams: with `chatStream`, a JSON schema is unsupported, and
 * `LLM.streamObject` asks by a tool. Signatures and other metadata of the model's provider are kept in the parts of answers, and sent back
 * with the next request.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, LanguageModel.LanguageModel> =>
  Effect.gen(function* () {
    const { contextWindow = 200_000, defaults, model, provider, settings } = options
    const info: ModelInfo = {
      provider,
      model,
      wire,
      contextWindow,
      ...(defaults === undefined ? {} : { defaults })
    }
    const languageModel = yield* LanguageModel.LanguageModel
    const embeddingModel = Option.getOrUndefined(yield* Effect.serviceOption(EmbeddingModel.EmbeddingModel))
    const { chat, chatStream, embed, unsupported } = Calls.make({ info, languageModel, embeddingModel, settings })
    return {
      chat,
      chatStream,
      embed,
      listModels: Effect.fail(unsupported("list of models")),
      info,
      status: Effect.succeed({
        keys: { provider, keys: [], waiting: 0 },
        limiter: { available: Infinity, capacity: Infinity, refillRate: Infinity, waiting: 0 }
      }),
      resetRateLimit: Effect.void
    }
  })

/**
 * A layer with {@link make}.
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<LLM, never, LanguageModel.LanguageModel> =>
  Layer.effect(LLM, make(options))
