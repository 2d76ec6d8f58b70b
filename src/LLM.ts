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
import type { Scope } from "effect"
import { ConfigError, Context, Effect, Either, Layer, Option, Stream } from "effect"
import * as Pricing from "./accounting/Pricing.js"
import * as Retry from "./call/Retry.js"
import * as Timeouts from "./call/Timeouts.js"
import * as Attempts from "./call/attempts.js"
import * as Batches from "./call/embeddingBatches.js"
import type { Middleware, ModelInfo, Service } from "./call/model.js"
import { LLM } from "./call/model.js"
import * as SilentInstruments from "./call/observer.js"
import { toStream } from "./call/openStream.js"
import type { Defaults } from "./call/request.js"
import { normalize, normalizeEmbedding } from "./call/request.js"
import * as Checks from "./internal/optionChecks.js"
import * as Pool from "./keyPool/KeyPool.js"
import { KeyPool } from "./keyPool/model.js"
import * as StructuredOutput from "./programs/StructuredOutput.js"
import type * as Tool from "./programs/tools/model.js"
import * as ToolLoop from "./programs/ToolLoop.js"
import * as Environment from "./provider/environment.js"
import * as NamedClient from "./provider/named.js"
import type { Protocol } from "./provider/registry.js"
import * as Limiter from "./rateLimiter/RateLimiter.js"
import { RateLimiter } from "./rateLimiter/model.js"
import * as Feedback from "./rateLimiter/feedback.js"
import { countsTokens } from "./rateLimiter/perModel.js"
import * as Telemetry from "./telemetry/Telemetry.js"
import { onUsage } from "./telemetry/usageListeners.js"
import type { ChatRequest, ChatResponse } from "./vocabulary/Chat.js"
import type { ChatEvent } from "./vocabulary/ChatEvent.js"
import type { EmbeddingRequest, EmbeddingResponse } from "./vocabulary/Embedding.js"
import type { LLMError } from "./vocabulary/LLMError.js"
import * as Errors from "./vocabulary/LLMError.js"
import type { Price } from "./vocabulary/price.js"
import type { ListedModel } from "./wire/Wire.js"
import type { Service as Client } from "./wire/providerClient.js"
import { ProviderClient } from "./wire/providerClient.js"

export type { Middleware, ModelInfo, Service, Status } from "./call/model.js"
export { LLM } from "./call/model.js"

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
  /**
   * What the model costs, in dollars a million tokens: every answer then has a `cost`, and ledgers, budgets and the strategy `cost`
   * of a balance go by it. It wins over the prices in context. @default the prices in context, for those who ask for them
   *
   * @since 0.2.0
   */
  readonly price?: Price
  /** How failed calls are tried again; `false`: not at all. @default `{}`, see `Retry.Options` */
  readonly retry?: Retry.Options | false
  /** The time limits that differ from the defaults; `false`: none at all. @default `Timeouts.defaults` */
  readonly timeouts?: Timeouts.Options | false
  /** Spans and metrics; `false`: none. @default both */
  readonly telemetry?: Telemetry.Options | false
  /** How many requests of one `embed` may be under way at once, where its texts need several. @default 4 */
  readonly embeddingConcurrency?: number
}

/** Puts the texts of one `embed` into as many requests as the client takes; each is retried by itself. */
const inBatches =
  (client: Client, concurrency: number): Middleware =>
  (next) => {
    const { embeddings } = client
    return Effect.succeed(
      embeddings === undefined
        ? next
        : {
            ...next,
            embed: (input) =>
              Effect.flatMap(located(normalizeEmbedding(input), next.info), (request) =>
                Batches.embed(request, embeddings, concurrency, next.embed)
              )
          }
    )
  }

/** An error that was found before anybody was asked says who would have been. */
const located = <A>(result: Either.Either<A, LLMError>, { model, provider }: ModelInfo): Either.Either<A, LLMError> =>
  Either.mapLeft(result, (error) => Errors.amend(error, { provider, model }))

const applyAll = (service: Service, middleware: ReadonlyArray<Middleware>): Effect.Effect<Service> =>
  Effect.reduce(middleware, service, (next, around) => around(next))

/** What the options say of tries and time, checked. */
const policiesOf = (options: Omit<Options, "model">) => {
  const { contextWindow = 1, embeddingConcurrency = 4 } = options
  Checks.valid("LLM", ({ number }) => {
    number("contextWindow", contextWindow, contextWindow > 0, "a positive number")
    number(
      "embeddingConcurrency",
      embeddingConcurrency,
      Checks.isWhole(embeddingConcurrency, 1),
      "a whole number of at least 1"
    )
  })
  const { total, ...each }: Timeouts.Options =
    options.timeouts === false ? {} : { ...Timeouts.defaults, ...options.timeouts }
  return {
    tries: [Timeouts.make(each), ...(options.retry === false ? [] : [Retry.make(options.retry)])],
    embeddingConcurrency,
    call: total === undefined ? [] : [Timeouts.underDeadline(total)]
  }
}

/**
 * An `LLM` over the client, pool and limiter in context.
 *
 * From the inside out: rotation over the keys, the limits of each try (`response`, `firstEvent`, `idle`), retries, the
 * limit of the whole call (`total`), telemetry, the cost where there is a `price`.
 *
 * @throws TypeError where an option makes no sense, such as attempts or a time limit that are no number
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, ProviderClient | KeyPool | RateLimiter> => {
  const policies = policiesOf(options)
  return Effect.gen(function* () {
    const client = yield* ProviderClient
    const pool = yield* KeyPool
    const limiter = yield* RateLimiter
    const info: ModelInfo = {
      provider: client.provider,
      model: options.model,
      wire: client.wire,
      contextWindow: options.contextWindow ?? 200_000,
      ...(client.baseUrl === undefined ? {} : { baseUrl: client.baseUrl }),
      ...(options.defaults === undefined ? {} : { defaults: options.defaults }),
      ...(options.price === undefined ? {} : { price: options.price })
    }
    const deps: Attempts.Dependencies = {
      client,
      pool,
      limiter,
      contextWindow: info.contextWindow,
      countsTokens: countsTokens(yield* limiter.status),
      feedback: Feedback.make(limiter, pool),
      instruments: onUsage(
        options.telemetry === false ? SilentInstruments.none : Telemetry.instruments(info, options.telemetry ?? {}),
        info
      )
    }
    const unsupported = (feature: string) =>
      Effect.fail(
        new Errors.UnsupportedError({
          provider: info.provider,
          model: info.model,
          attempts: [],
          feature,
          message: `${info.provider} (${info.wire}) has no ${feature}.`
        })
      )
    const { embeddings, listModels } = client
    const base: Service = {
      chat: (input) =>
        Effect.flatMap(located(normalize(input, options.defaults), info), (request) =>
          Attempts.chat(deps, request, request.model ?? options.model)
        ),
      chatStream: (input) =>
        toStream(
          Effect.flatMap(located(normalize(input, options.defaults), info), (request) =>
            Attempts.chatStream(deps, request, request.model ?? options.model)
          )
        ),
      embed: (input) =>
        embeddings === undefined
          ? unsupported("embeddings")
          : Effect.flatMap(located(normalizeEmbedding(input), info), (request) =>
              Attempts.embed(deps, embeddings, request, request.model ?? options.model)
            ),
      listModels: listModels === undefined ? unsupported("list of models") : Attempts.listModels(deps, listModels),
      info,
      status: Effect.all({ keys: pool.status, limiter: limiter.status }),
      resetRateLimit: limiter.reset,
      pool
    }
    return yield* applyAll(base, [
      ...policies.tries,
      inBatches(client, policies.embeddingConcurrency),
      ...policies.call,
      ...(options.telemetry === false ? [] : [Telemetry.make(options.telemetry)]),
      ...(options.price === undefined ? [] : [Pricing.make()])
    ])
  })
}

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
  /** Which protocol is spoken. @default the provider's own (Anthropic, Gemini, Ollama), else "chat-completions" */
  readonly wire?: Protocol
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
): Layer.Layer<LLM, ConfigError.ConfigError | Pool.InvalidPoolError, HttpClient.HttpClient> => {
  policiesOf(options)
  return Layer.effect(
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
}

/**
 * Puts a middleware around the `LLM` of a layer. The last one applied is the outermost. What a middleware keeps in a scope lives
 * as long as the layer.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withMiddleware =
  <E2, R2>(middleware: Middleware<E2, R2>) =>
  <E, R>(layer: Layer.Layer<LLM, E, R>): Layer.Layer<LLM, E | E2, R | Exclude<R2, Scope.Scope>> =>
    Layer.flatMap(layer, (context) => Layer.scoped(LLM, middleware(Context.get(context, LLM))))

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
 * Embeds texts with the `LLM` in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const embed = (request: EmbeddingRequest.Input): Effect.Effect<EmbeddingResponse, LLMError, LLM> =>
  Effect.flatMap(LLM, (llm) => llm.embed(request))

/**
 * The models that the provider of the `LLM` in context offers.
 *
 * @since 0.1.0
 * @category accessors
 */
export const listModels: Effect.Effect<ReadonlyArray<ListedModel>, LLMError, LLM> = Effect.flatMap(
  LLM,
  (llm) => llm.listModels
)

/**
 * The plain text of a stream, for those who want no more: thoughts, tool calls and counts are dropped.
 *
 * @since 0.1.0
 * @category combinators
 */
export const text = <E, R>(stream: Stream.Stream<ChatEvent, E, R>): Stream.Stream<string, E, R> =>
  Stream.filterMap(stream, (event) => (event._tag === "TextDelta" ? Option.some(event.text) : Option.none()))

/**
 * Asks the `LLM` in context, runs the tools that the model calls, and asks again with their results, until it answers without
 * a call.
 *
 * Fails with what the handlers fail with, and with `Tool.InvalidResultError` where one gives what its schema refuses (unless
 * `onFailure` is `"report"`); and with `RoundsExceededError` where the model does not come to an end in `maxRounds`. See
 * `ToolLoop` for the rest.
 *
 * @since 0.1.0
 * @category tools
 */
export const runTools = <const Tools extends ReadonlyArray<Tool.Any>, Failing extends ToolLoop.OnFailure = "fail">(
  request: ChatRequest.Input,
  options: ToolLoop.Options<Tools, Failing>
): Effect.Effect<
  ToolLoop.Result,
  LLMError | ToolLoop.RoundsExceededError | ToolLoop.Failure<Tools, Failing>,
  LLM | Tool.Requirements<Tools[number]>
> => Effect.flatMap(LLM, (llm) => ToolLoop.run(llm, request, options))

/**
 * The same as `runTools`, told as it happens: the events of every answer as they arrive, every tool as it starts and ends,
 * every round. The last event is `Finish`, with the result that `runTools` gives.
 *
 * Handlers run in the background of the stream and are interrupted when it is given up.
 *
 * @since 0.1.0
 * @category tools
 */
export const runToolsStream = <
  const Tools extends ReadonlyArray<Tool.Any>,
  Failing extends ToolLoop.OnFailure = "fail"
>(
  request: ChatRequest.Input,
  options: ToolLoop.Options<Tools, Failing>
): Stream.Stream<
  ToolLoop.Event,
  LLMError | ToolLoop.RoundsExceededError | ToolLoop.Failure<Tools, Failing>,
  LLM | Tool.Requirements<Tools[number]>
> => Stream.unwrap(Effect.map(LLM, (llm) => ToolLoop.stream(llm, request, options)))

/**
 * Asks the `LLM` in context for a value that fits a schema.
 *
 * An answer that does not decode is shown to the model with its faults, once; then it is a `MalformedResponseError`, whose
 * `path` names the first of them. A model that declines to answer is a `ContentFilterError`. See `StructuredOutput` for the
 * rest.
 *
 * @since 0.1.0
 * @category structured output
 */
export const object = <A, I, R>(
  request: ChatRequest.Input,
  options: StructuredOutput.Options<A, I, R>
): Effect.Effect<StructuredOutput.Result<A>, LLMError, LLM | R> =>
  Effect.flatMap(LLM, (llm) => StructuredOutput.generate(llm, request, options))
