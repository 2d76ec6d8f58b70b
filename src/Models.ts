/**
 * The models of a `provider.json`, each with keys, limits and retries of its own.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeHttpClient } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { Models } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const models = yield* Models.Models
 *   const llm = yield* models.get("openai/gpt-4o")
 *   return yield* llm.chat("Hello")
 * }).pipe(
 *   Effect.provide(Models.layerFile("provider.json")),
 *   Effect.provide(Layer.merge(NodeContext.layer, NodeHttpClient.layerUndici))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { FileSystem, HttpClient } from "@effect/platform"
import type { ConfigError } from "effect"
import { Context, Effect, Layer, Option } from "effect"
import * as Environment from "./internal/environment.js"
import type { Defaults } from "./internal/request.js"
import type { InvalidPoolError } from "./KeyPool.js"
import * as KeyPool from "./KeyPool.js"
import type { ModelInfo, Service as LLMService } from "./LLM.js"
import * as LLM from "./LLM.js"
import { ModelNotFoundError } from "./LLMError.js"
import * as NamedClient from "./provider/named.js"
import type { Protocol } from "./provider/protocols.js"
import { ownProtocol } from "./provider/protocols.js"
import { ProviderClient } from "./ProviderClient.js"
import type { ModelEntry, ProviderFile, ProviderFileError } from "./ProviderFile.js"
import * as ProviderFiles from "./ProviderFile.js"
import type { InvalidLimitError } from "./RateLimiter.js"
import * as RateLimiter from "./RateLimiter.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Listed extends ModelInfo {
  /** Other names of the model. */
  readonly aliases: ReadonlyArray<string>
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /**
   * A model by `provider/model`, by an alias, or by its bare name where only one provider has it; or by provider and model.
   */
  readonly get: (nameOrProvider: string, model?: string) => Effect.Effect<LLMService, ModelNotFoundError>
  readonly list: ReadonlyArray<Listed>
  /** `LLM_DEFAULT_MODEL` or the file's `$default`, else the only model there is. */
  readonly default: Effect.Effect<LLMService, ModelNotFoundError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Models extends Context.Tag("effect-llm/Models")<Models, Service>() {}

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * Which protocol is spoken where the file leaves it open and the provider has none of its own, as Anthropic, Gemini and
   * Ollama have. @default "chat-completions"
   */
  readonly wire?: Protocol
}

/** What stands in the file wins over the environment. */
const defaultsOf = (entry: ModelEntry, environment: Effect.Effect.Success<typeof Environment.defaults>): Defaults => {
  const temperature = entry.temperature ?? Option.getOrUndefined(environment.temperature)
  const maxTokens = Option.getOrUndefined(environment.maxTokens)
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { maxTokens })
  }
}

const build = (
  entry: ModelEntry,
  options: Options,
  environment: Effect.Effect.Success<typeof Environment.defaults>
): Effect.Effect<LLMService, InvalidPoolError | InvalidLimitError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const own = ownProtocol(entry.preset ?? entry.provider, entry.baseUrl)
    const wire = entry.wire ?? own ?? options.wire
    const client = yield* NamedClient.make({
      provider: entry.provider,
      headers: entry.headers,
      ...(wire === undefined ? {} : { wire }),
      ...(entry.preset === undefined ? {} : { preset: entry.preset }),
      ...(entry.baseUrl === undefined ? {} : { baseUrl: entry.baseUrl })
    })
    const pool = yield* KeyPool.make({ providerId: `${entry.provider}-${entry.model}`, keys: entry.keys })
    const limiter = yield* RateLimiter.make({
      capacity: entry.capacity,
      refillRate: entry.refillRate,
      ...(entry.requestsPerMinute === undefined ? {} : { requestsPerMinute: entry.requestsPerMinute }),
      ...(entry.requestsPerDay === undefined ? {} : { requestsPerDay: entry.requestsPerDay }),
      ...(entry.tokensPerMinute === undefined ? {} : { tokensPerMinute: entry.tokensPerMinute }),
      ...(entry.maxConcurrent === undefined ? {} : { maxConcurrent: entry.maxConcurrent })
    })
    const total = entry.timeout ?? Option.getOrUndefined(environment.timeout)
    return yield* LLM.make({
      model: entry.model,
      contextWindow: entry.contextWindow,
      defaults: defaultsOf(entry, environment),
      retry: { attempts: entry.attempts, base: entry.retryDelay },
      timeouts: total === undefined ? {} : { total }
    }).pipe(
      Effect.provideService(ProviderClient, client),
      Effect.provideService(KeyPool.KeyPool, pool),
      Effect.provideService(RateLimiter.RateLimiter, limiter)
    )
  })

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  file: ProviderFile,
  options: Options = {}
): Effect.Effect<Service, InvalidPoolError | InvalidLimitError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const environment = yield* Environment.defaults
    const services = yield* Effect.forEach(file.models, (entry) =>
      Effect.map(build(entry, options, environment), (llm) => ({ entry, llm }))
    )
    const idOf = ({ model, provider }: ModelEntry): string => `${provider}/${model}`
    const ids = services.map(({ entry }) => idOf(entry))
    const unknown = (name: string, message: string) =>
      Effect.fail(new ModelNotFoundError({ provider: "", model: name, attempts: [], message }))

    const find = (name: string): Effect.Effect<LLMService, ModelNotFoundError> => {
      const id = file.aliases[name] ?? name
      const exact = services.find(({ entry }) => idOf(entry) === id)
      if (exact !== undefined) return Effect.succeed(exact.llm)
      const [bare, ...others] = services.filter(({ entry }) => entry.model === id)
      if (bare === undefined) return unknown(name, `No model is called "${name}". There are: ${ids.join(", ")}.`)
      return others.length === 0
        ? Effect.succeed(bare.llm)
        : unknown(
            name,
            `Several models are called "${name}": ${[bare, ...others].map(({ entry }) => idOf(entry)).join(", ")}. Name one.`
          )
    }

    const fallback = Option.getOrUndefined(Option.orElse(Option.fromNullable(file.default), () => environment.model))
    return {
      get: (name, model) => find(model === undefined ? name : `${name}/${model}`),
      list: services.map(({ entry, llm }) => ({
        ...llm.info,
        aliases: Object.keys(file.aliases).filter((alias) => file.aliases[alias] === idOf(entry))
      })),
      default: Effect.suspend(() => {
        const [only, ...others] = services
        if (fallback !== undefined) return find(fallback)
        return only !== undefined && others.length === 0
          ? Effect.succeed(only.llm)
          : unknown(
              "",
              `No default model. Set "$default" in the file or LLM_DEFAULT_MODEL to one of: ${ids.join(", ")}.`
            )
      })
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  file: ProviderFile,
  options: Options = {}
): Layer.Layer<Models, InvalidPoolError | InvalidLimitError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(Models, make(file, options))

/**
 * The models of the file at a path.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFile = (
  path: string,
  options: Options = {}
): Layer.Layer<
  Models,
  ProviderFileError | InvalidPoolError | InvalidLimitError | ConfigError.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem
> =>
  Layer.effect(
    Models,
    Effect.flatMap(ProviderFiles.load(path), (file) => make(file, options))
  )

/**
 * One of the models as the `LLM`: the one named, or the default.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLLM = (name?: string): Layer.Layer<LLM.LLM, ModelNotFoundError, Models> =>
  Layer.effect(
    LLM.LLM,
    Effect.flatMap(Models, (models) => (name === undefined ? models.default : models.get(name)))
  )
