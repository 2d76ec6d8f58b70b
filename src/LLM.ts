/**
 * The service that programs use: ask a model and wait for the answer, or stream it.
 *
 * A layer joins a model to a client, a pool of keys and a limiter. Retries, time limits and telemetry come with it; every
 * other feature is a middleware around it.
 *
 * @example
 * ```ts
 * import { NodeHttpClient } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
 *
 * const OpenAI = LLM.layer({ model: "gpt-4o" }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer({ baseUrl: "https://api.openai.com/v1" })),
 *   Layer.provide(KeyPool.layer({ providerId: "openai", keys: ["sk-one", "sk-two"] })),
 *   Layer.provide(RateLimiter.layer({ capacity: 20, refillRate: 3 })),
 *   Layer.provide(NodeHttpClient.layerUndici)
 * )
 *
 * const program = Effect.gen(function* () {
 *   const llm = yield* LLM.LLM
 *   const answer = yield* llm.chat("What is the capital of France?")
 *   return answer.text
 * }).pipe(Effect.provide(OpenAI))
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import { ConfigError, Context, Effect, Either, Layer, Option, Stream } from "effect"
import type { ChatRequest, ChatResponse } from "./Chat.js"
import type { ChatEvent } from "./ChatEvent.js"
import * as Attempts from "./internal/attempts.js"
import * as Environment from "./internal/environment.js"
import * as SilentInstruments from "./internal/instruments.js"
import { toStream } from "./internal/openStream.js"
import type { Defaults } from "./internal/request.js"
import { normalize } from "./internal/request.js"
import * as Pool from "./KeyPool.js"
import { KeyPool } from "./KeyPool.js"
import type { LLMError } from "./LLMError.js"
import * as Errors from "./LLMError.js"
import * as NamedClient from "./provider/named.js"
import { ProviderClient } from "./ProviderClient.js"
import * as Limiter from "./RateLimiter.js"
import { RateLimiter } from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as Telemetry from "./Telemetry.js"
import * as Timeouts from "./Timeouts.js"

/**
 * What is known of the model behind an `LLM`.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelInfo {
  readonly provider: string
  readonly model: string
  /** The wire that is spoken, such as `chat-completions`. */
  readonly wire: string
  /** The most tokens that a request and its answer may have together. @default 200000 */
  readonly contextWindow: number
}

/**
 * What a dashboard needs to know of an `LLM`: key ids, never secrets.
 *
 * @since 0.1.0
 * @category model
 */
export interface Status {
  readonly keys: Pool.PoolStatus
  readonly limiter: Limiter.LimiterStatus
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Asks and waits for the whole answer. Interruption aborts the request and gives back its key. */
  readonly chat: (request: ChatRequest.Input) => Effect.Effect<ChatResponse, LLMError>
  /** Asks and streams the answer. The connection and the key are given back when the stream ends or is given up. */
  readonly chatStream: (request: ChatRequest.Input) => Stream.Stream<ChatEvent, LLMError>
  readonly info: ModelInfo
  /** The keys and the limiter behind this `LLM`, as they are now. */
  readonly status: Effect.Effect<Status>
  /** Fills the limiter's buckets. */
  readonly resetRateLimit: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class LLM extends Context.Tag("effect-llm/LLM")<LLM, Service>() {}

/**
 * A layer around an `LLM`: every feature above the client is one.
 *
 * @since 0.1.0
 * @category model
 */
export type Middleware<E = never, R = never> = (next: Service) => Effect.Effect<Service, E, R>

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The model that is asked, in the provider's words. */
  readonly model: string
  /** The most tokens that a request and its answer may have together. @default 200000 */
  readonly contextWindow?: number
  /** What every request says unless it says otherwise itself, such as a temperature. */
  readonly defaults?: Defaults
  /** How failed calls are tried again; `false`: not at all. @default `{}`, see `Retry.Options` */
  readonly retry?: Retry.Options | false
  /** The time limits that differ from the defaults; `false`: none at all. @default `Timeouts.defaults` */
  readonly timeouts?: Timeouts.Options | false
  /** Spans and metrics; `false`: none. @default both */
  readonly telemetry?: Telemetry.Options | false
}

const applyAll = (service: Service, middleware: ReadonlyArray<Middleware>): Effect.Effect<Service> =>
  Effect.reduce(middleware, service, (next, around) => around(next))

/**
 * An `LLM` over the client, pool and limiter in context.
 *
 * From the inside out: rotation over the keys, the limits of each try (`response`, `firstEvent`, `idle`), retries, the
 * limit of the whole call (`total`), telemetry.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, ProviderClient | KeyPool | RateLimiter> =>
  Effect.gen(function* () {
    const client = yield* ProviderClient
    const pool = yield* KeyPool
    const limiter = yield* RateLimiter
    const info: ModelInfo = {
      provider: client.provider,
      model: options.model,
      wire: client.wire,
      contextWindow: options.contextWindow ?? 200_000
    }
    const deps: Attempts.Dependencies = {
      client,
      pool,
      limiter,
      countsTokens: (yield* limiter.status).tokens !== undefined,
      instruments:
        options.telemetry === false ? SilentInstruments.none : Telemetry.instruments(info, options.telemetry ?? {})
    }
    const errand = (input: ChatRequest.Input) =>
      Either.mapBoth(normalize(input, options.defaults), {
        onLeft: (error) => Errors.amend(error, { provider: info.provider, model: info.model }),
        onRight: (request) => ({ request, model: request.model ?? options.model })
      })
    const base: Service = {
      chat: (input) => Effect.flatMap(errand(input), (errand) => Attempts.chat(deps, errand)),
      chatStream: (input) => toStream(Effect.flatMap(errand(input), (errand) => Attempts.chatStream(deps, errand))),
      info,
      status: Effect.all({ keys: pool.status, limiter: limiter.status }),
      resetRateLimit: limiter.reset
    }
    const { total, ...each }: Timeouts.Options =
      options.timeouts === false ? {} : { ...Timeouts.defaults, ...options.timeouts }
    return yield* applyAll(base, [
      Timeouts.make(each),
      ...(options.retry === false ? [] : [Retry.make(options.retry)]),
      ...(total === undefined ? [] : [Timeouts.underDeadline(total)]),
      ...(options.telemetry === false ? [] : [Telemetry.make(options.telemetry)])
    ])
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<LLM, never, ProviderClient | KeyPool | RateLimiter> =>
  Layer.effect(LLM, make(options))

/**
 * @since 0.1.0
 * @category model
 */
export interface ConfigOptions extends Omit<Options, "model"> {
  /** Whose keys are read, by the name of its preset. @default "openai" */
  readonly provider?: string
  /** Which protocol is spoken. @default that of the provider: "anthropic-messages" with Anthropic, else "chat-completions" */
  readonly wire?: "chat-completions" | "responses" | "anthropic-messages"
  /** Asked whatever the environment says. @default LLM_DEFAULT_MODEL, and with OpenAI "gpt-4o-mini" */
  readonly model?: string
}

/**
 * An `LLM` from the environment, read through Effect's `Config`: `OPENAI_API_KEY` (several with commas between them, or
 * `OPENAI_API_KEY_1`, `_2` …), `OPENAI_BASE_URL`, `LLM_DEFAULT_MODEL`, `LLM_DEFAULT_TEMPERATURE`, `LLM_MAX_TOKENS` and
 * `LLM_TIMEOUT` (in seconds); for another provider its own name instead of `OPENAI`, as in `DEEPSEEK_API_KEY`.
 *
 * What the options say wins over the environment. Requests are not limited; put a `RateLimiter` of your own around another
 * `LLM.layer` where they should be.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: ConfigOptions = {}
): Layer.Layer<LLM, ConfigError.ConfigError | Pool.InvalidPoolError, HttpClient.HttpClient> =>
  Layer.effect(
    LLM,
    Effect.gen(function* () {
      const { model, provider = "openai", wire, ...rest } = options
      const environment = yield* Environment.defaults
      const asked =
        model ??
        Option.getOrUndefined(environment.model) ??
        (provider === "openai"
          ? "gpt-4o-mini"
          : yield* Effect.fail(ConfigError.MissingData(["LLM_DEFAULT_MODEL"], `Expected a model of ${provider}`)))
      const pool = yield* Pool.make({ providerId: provider, keys: yield* Environment.apiKeys(provider) })
      const baseUrl = Option.getOrUndefined(yield* Environment.baseUrl(provider))
      const client = yield* NamedClient.make({
        provider,
        ...(wire === undefined ? {} : { wire }),
        ...(baseUrl === undefined ? {} : { baseUrl })
      })
      const spoken: Defaults = {
        ...(Option.isSome(environment.temperature) ? { temperature: environment.temperature.value } : {}),
        ...(Option.isSome(environment.maxTokens) ? { maxTokens: environment.maxTokens.value } : {}),
        ...options.defaults
      }
      const total = Option.isSome(environment.timeout) ? { total: environment.timeout.value } : {}
      return yield* make({
        ...rest,
        model: asked,
        defaults: spoken,
        timeouts: options.timeouts === false ? false : { ...total, ...options.timeouts }
      }).pipe(
        Effect.provideService(ProviderClient, client),
        Effect.provideService(KeyPool, pool),
        Effect.provide(Limiter.unlimited)
      )
    })
  )

/**
 * Puts a middleware around the `LLM` of a layer. The last one applied is the outermost.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withMiddleware =
  <E2, R2>(middleware: Middleware<E2, R2>) =>
  <E, R>(layer: Layer.Layer<LLM, E, R>): Layer.Layer<LLM, E | E2, R | R2> =>
    Layer.flatMap(layer, (context) => Layer.effect(LLM, middleware(Context.get(context, LLM))))

/**
 * Asks the `LLM` in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const chat = (request: ChatRequest.Input): Effect.Effect<ChatResponse, LLMError, LLM> =>
  Effect.flatMap(LLM, (llm) => llm.chat(request))

/**
 * Streams an answer of the `LLM` in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const chatStream = (request: ChatRequest.Input): Stream.Stream<ChatEvent, LLMError, LLM> =>
  Stream.unwrap(Effect.map(LLM, (llm) => llm.chatStream(request)))

/**
 * The plain text of a stream, for those who want no more: thoughts, tool calls and counts are dropped.
 *
 * @since 0.1.0
 * @category combinators
 */
export const text = <E, R>(stream: Stream.Stream<ChatEvent, E, R>): Stream.Stream<string, E, R> =>
  Stream.filterMap(stream, (event) => (event._tag === "TextDelta" ? Option.some(event.text) : Option.none()))
