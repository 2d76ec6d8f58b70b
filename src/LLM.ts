/**
 * Calls of one model: chats, streams, embeddings, and the list of the provider's models.
 *
 * A layer combines a model with a provider client, a key pool and a rate limiter. It includes retries, time limits and
 * telemetry; every other feature is a middleware around it.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layer({ model: "gpt-4o" }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer({ baseUrl: "https://api.openai.com/v1" })),
 *   Layer.provide(KeyPool.layer({ provider: "openai", keys: ["sk-one", "sk-two"] })),
 *   Layer.provide(RateLimiter.layer({ capacity: 20, refillRate: 3 })),
 *   Layer.provide(NodeTransport.layerUndici)
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
import type { ConfigError } from "effect"
import { Context, Effect, Either, Layer, Option, Stream } from "effect"
import * as Pricing from "./accounting/Pricing.js"
import type * as Retry from "./call/Retry.js"
import * as Timeouts from "./call/Timeouts.js"
import type { OnDisconnect } from "./call/disconnect.js"
import { drainOf } from "./call/disconnect.js"
import * as DisconnectPolicy from "./call/disconnectPolicy.js"
import * as Attempts from "./call/attempts.js"
import { makeWaitLog } from "./call/callLog.js"
import { limitsFor, millisOf, withDeadline } from "./call/deadline.js"
import * as EmbeddingBatches from "./call/embeddingBatches.js"
import type { Middleware, ModelInfo, Service } from "./call/model.js"
import { InvalidLLMError, LLM } from "./call/model.js"
import * as Observer from "./call/observer.js"
import { toStream } from "./call/openStream.js"
import type { Defaults } from "./call/request.js"
import { normalize, normalizeEmbedding, withOptions } from "./call/request.js"
import * as Plan from "./call/planned.js"
import * as Retries from "./call/retry/calls.js"
import * as RetryState from "./call/retry/state.js"
import { wrap } from "./call/wrap.js"
import * as OptionChecks from "./internal/optionChecks.js"
import * as Pool from "./keyPool/KeyPool.js"
import { KeyPool } from "./keyPool/model.js"
import type { EachOptions, EachResponse } from "./programs/embedEach.js"
import * as EmbedEach from "./programs/embedEach.js"
import type * as StructuredOutput from "./programs/StructuredOutput.js"
import * as Objects from "./programs/structuredOutput/generate.js"
import type * as ToolLoop from "./programs/ToolLoop.js"
import * as Loop from "./programs/tools/loop.js"
import type * as Tool from "./programs/tools/model.js"
import type * as WebStream from "./programs/web/model.js"
import * as WebResponse from "./programs/web/response.js"
import * as Environment from "./provider/environment.js"
import * as NamedClient from "./provider/named.js"
import type { Protocol } from "./provider/registry.js"
import { embeddingModelBeside, hasBaseUrl, hasKeysOfAnother, providerOf } from "./provider/registry.js"
import * as Limiter from "./rateLimiter/RateLimiter.js"
import { RateLimiter } from "./rateLimiter/model.js"
import * as Feedback from "./rateLimiter/feedback.js"
import * as TokenEstimates from "./rateLimiter/tokenEstimates.js"
import * as CallTelemetry from "./telemetry/calls.js"
import * as Instruments from "./telemetry/instruments.js"
import type { Options as TelemetryOptions } from "./telemetry/model.js"
import * as Spans from "./telemetry/spans.js"
import * as UsageObserver from "./telemetry/usageObserver.js"
import type { ChatRequest, ChatResponse } from "./vocabulary/Chat.js"
import type { ChatEvent } from "./vocabulary/ChatEvent.js"
import type { EmbeddingRequest, EmbeddingResponse } from "./vocabulary/Embedding.js"
import type { LLMError } from "./vocabulary/LLMError.js"
import * as Errors from "./vocabulary/LLMError.js"
import type { Price } from "./vocabulary/price.js"
import type { ListedModel } from "./wire/Wire.js"
import type { Service as ClientService } from "./wire/providerClient.js"
import { ProviderClient } from "./wire/providerClient.js"
import * as ConfigErrors from "./provider/configErrors.js"
import { fromEither } from "./internal/asEffect.js"

export type { Middleware, ModelInfo, Overrides, Service, Status } from "./call/model.js"
export type { Drain, OnDisconnect } from "./call/disconnect.js"
export type { Defaults } from "./call/request.js"
export type { EachOptions, EachResponse } from "./programs/embedEach.js"
export type { Protocol } from "./provider/registry.js"
export { InvalidLLMError, LLM } from "./call/model.js"
export { wrap } from "./call/wrap.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options<Client = ProviderClient> {
  /** The provider's name of the model. */
  readonly model: string
  /**
   * The tag of the client, such as `ResponsesClient.ResponsesClient`. Set it where a context has several clients: each of their
   * layers also provides `ProviderClient`, and only the last one merged is found under it. @default `ProviderClient`
   *
   * @since 0.2.0
   */
  readonly client?: Context.Tag<Client, ClientService>
  /** The maximum tokens of a request and its answer together. @default 200000 */
  readonly contextWindow?: number
  /**
   * What a gateway in front of this model does with what a request means and the provider's protocol cannot express: `"error"` refuses it,
   * `"drop"` calls the provider without it. @default "error"
   *
   * @since 0.2.0
   */
  readonly onUnsupported?: "error" | "drop"
  /**
   * What a gateway in front of this model does while no key of the account is ready that made the reasoning in a request, or that has what it
   * refers to. `"drop"` uses the key of another account, without that reasoning. `"wait"` waits for a key, within `maxWait` of the pool and
   * the time limits of the call. @default "drop"
   *
   * @since 0.2.0
   */
  readonly onOwnerUnavailable?: "drop" | "wait"
  /** Defaults for the fields of every request, such as a temperature. Fields of a request override them. */
  readonly defaults?: Defaults
  /**
   * The price of the model, in dollars per million tokens. Every answer then has a `cost`, and ledgers, budgets and the strategy
   * `cost` of a balance use it. It overrides the prices in context. @default the prices in context, where a module uses them
   *
   * @since 0.2.0
   */
  readonly price?: Price
  /** How failed calls are retried; `false` disables retries. @default `{}`, see `Retry.Options` */
  readonly retry?: Retry.Options | false
  /** Time limits that differ from the defaults; `false` disables all. @default `Timeouts.defaults` */
  readonly timeouts?: Timeouts.Options | false
  /**
   * What happens to the request of a stream whose consumer leaves before its end. The key, its permit and its reservations are in use until
   * the reading in the background ends, which the end of the layer's scope interrupts. @default "cancel"
   *
   * @example
   * ```ts
   * import { LLM } from "effect-llm"
   *
   * // Books the usage that the provider reports, where an answer ends within 2,000 tokens and 20 seconds.
   * const drained = LLM.layer({ model: "gpt-4o", onDisconnect: { drain: { maxTokens: 2000, maxMillis: 20_000 } } })
   * ```
   *
   * @since 0.2.0
   */
  readonly onDisconnect?: OnDisconnect
  /** Spans and metrics; `false` disables them. @default both */
  readonly telemetry?: TelemetryOptions | false
  /** The maximum concurrent requests of one `embed` whose texts need several. @default 4 */
  readonly embeddingConcurrency?: number
  /**
   * The model of `embed` for requests that name none. @default `model`; beside a model without embeddings that of its provider, such as
   * OpenAI's `text-embedding-3-small`
   *
   * @since 0.2.0
   */
  readonly embeddingModel?: string
  /**
   * The family of the vectors. Several `LLM`s in a `Fallback` or a `Hedge` embed with those of one family, since vectors of different
   * models cannot be compared. @default the name of the model of embeddings, in lower case and without a prefix such as `openai/`
   *
   * @since 0.2.0
   */
  readonly embeddingFamily?: string
}

/** Splits the texts of one `embed` into requests within the client's limits. Each request is retried by itself. */
const withEmbeddingBatches =
  (client: ClientService, concurrency: number): Middleware =>
  (next) => {
    const { embeddings } = client
    return Effect.succeed(
      embeddings === undefined
        ? next
        : wrap(next, {
            embed: (input) =>
              Effect.flatMap(fromEither(withModelInfo(normalizeEmbedding(input), next.info)), (request) =>
                EmbeddingBatches.embed(request, embeddings, concurrency, next.embed)
              )
          })
    )
  }

/** Adds the model to requests of embeddings that name none. */
const withEmbeddingModel =
  (model: string): Middleware =>
  (next) =>
    Effect.succeed(
      wrap(next, {
        embed: (input) =>
          Effect.flatMap(fromEither(withModelInfo(normalizeEmbedding(input), next.info)), (request) =>
            next.embed({ model, ...request })
          )
      })
    )

/** Adds provider and model to the error of a request that fails before it is sent. */
const withModelInfo = <A>(
  result: Either.Either<A, LLMError>,
  { model, provider }: ModelInfo
): Either.Either<A, LLMError> => Either.mapLeft(result, (error) => Errors.update(error, { provider, model }))

const applyAll = (service: Service, middleware: ReadonlyArray<Middleware>): Effect.Effect<Service> =>
  Effect.reduce(middleware, service, (next, apply) => apply(next))

/** Checks the options and builds the middlewares for retries and time limits from them. */
const policiesOf = (options: Omit<Options, "model" | "client">) => {
  const { contextWindow = 1, embeddingConcurrency = 4 } = options
  const drain = drainOf(options.onDisconnect ?? "cancel")
  OptionChecks.valid("LLM", ({ number }) => {
    number("contextWindow", contextWindow, contextWindow > 0, "a positive number")
    number(
      "embeddingConcurrency",
      embeddingConcurrency,
      OptionChecks.isWhole(embeddingConcurrency, 1),
      "a whole number of at least 1"
    )
    if (drain === undefined) return
    number("onDisconnect.drain.maxTokens", drain.maxTokens, drain.maxTokens > 0, "a positive number")
    number("onDisconnect.drain.maxMillis", drain.maxMillis, drain.maxMillis > 0, "a positive number")
  })
  const own = options.timeouts === false ? {} : (options.timeouts ?? {})
  // Limits of the program are as long as it says.
  const modelLoad = own.response === undefined && own.firstEvent === undefined ? {} : { modelLoad: 0 }
  const timeouts: Timeouts.Options = options.timeouts === false ? {} : { ...Timeouts.defaults, ...modelLoad, ...own }
  const { total, ...perAttempt } = timeouts
  return {
    limits: millisOf(timeouts),
    drain,
    /** Whether an answer is never judged, as an empty one that is retried. */
    acceptsAnyAnswer: options.retry === false || options.retry?.retryEmpty !== true,
    perAttempt: Timeouts.middleware(perAttempt),
    retry: options.retry === false ? undefined : Retries.settingsOf<never>(options.retry ?? {}),
    embeddingConcurrency,
    call: total === undefined ? [] : [withDeadline(total)]
  }
}

/** Fails when the pool names a provider that is not the client's, since its keys would be sent to the wrong provider. */
const checkKeys = (
  { baseUrl, provider }: ClientService,
  keys: string,
  model: string
): Effect.Effect<void, InvalidLLMError> =>
  hasKeysOfAnother(provider, keys)
    ? new InvalidLLMError({
        provider,
        model,
        faults: [
          `The key pool has keys of ${keys}, but the client calls ${provider}${baseUrl === undefined ? "" : ` at ${baseUrl}`}. ` +
            `Provide the key pool of ${provider} or the client of ${keys}; ` +
            `if this address accepts keys of ${keys}, give both the same provider name.`
        ]
      })
    : Effect.void

/**
 * Makes an `LLM` over the client, key pool and limiter in context.
 *
 * From the inside out: key failover, the time limits of each attempt (`response`, `firstEvent`, `idle`), retries, the
 * limit of the whole call (`total`), telemetry, and the cost when there is a `price`.
 *
 * Fails with `InvalidLLMError` when the pool has the name of a provider with a preset, such as `deepseek`, and the client is of
 * another provider. Any other name of a pool is only an id and fits every client.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ChatCompletionsClient, LLM, ResponsesClient } from "effect-llm"
 *
 * const clients = Layer.merge(ChatCompletionsClient.layer(), ResponsesClient.layer())
 * const chat = LLM.layer({ model: "gpt-4o", client: ChatCompletionsClient.ChatCompletionsClient }).pipe(Layer.provide(clients))
 * const reasoning = LLM.layer({ model: "gpt-5", client: ResponsesClient.ResponsesClient }).pipe(Layer.provide(clients))
 * ```
 *
 * @throws TypeError when an option is invalid, such as `maxAttempts` that is not a number
 * @since 0.1.0
 * @category constructors
 */
export function make<Client = ProviderClient>(
  options: Options<Client>
): Effect.Effect<Service, InvalidLLMError, Client | KeyPool | RateLimiter>

// The signature above is that of any tag; without one, `Client` is `ProviderClient`.
export function make(
  options: Options
): Effect.Effect<Service, InvalidLLMError, ProviderClient | KeyPool | RateLimiter> {
  const policies = policiesOf(options)
  return Effect.gen(function* () {
    const client = yield* options.client ?? ProviderClient
    const pool = yield* KeyPool
    yield* checkKeys(client, pool.provider, options.model)
    const limiter = yield* RateLimiter
    const embeddingModel = options.embeddingModel ?? embeddingModelBeside(client.provider, options.model)
    const info: ModelInfo = {
      provider: client.provider,
      model: options.model,
      wire: client.wire,
      ...(client.faithful === true ? { faithful: true } : {}),
      contextWindow: options.contextWindow ?? 200_000,
      ...(client.baseUrl === undefined ? {} : { baseUrl: client.baseUrl }),
      ...(options.defaults === undefined ? {} : { defaults: options.defaults }),
      ...(options.price === undefined ? {} : { price: options.price }),
      ...(options.onUnsupported === undefined ? {} : { onUnsupported: options.onUnsupported }),
      ...(options.onOwnerUnavailable === undefined ? {} : { onOwnerUnavailable: options.onOwnerUnavailable }),
      ...(embeddingModel === undefined || embeddingModel === options.model ? {} : { embeddingModel }),
      ...(options.embeddingFamily === undefined ? {} : { embeddingFamily: options.embeddingFamily })
    }
    const telemetryOptions = options.telemetry === false ? undefined : (options.telemetry ?? {})
    const spans = telemetryOptions && Spans.of(info, telemetryOptions)
    const telemetry = telemetryOptions && CallTelemetry.make(info, telemetryOptions, spans)
    const instruments = UsageObserver.onUsage(
      telemetryOptions === undefined ? Observer.none : Instruments.make(info, telemetryOptions, spans),
      info
    )
    const { retry } = policies
    const retries = retry === undefined ? undefined : RetryState.make(retry)
    const deps: Attempts.Dependencies = {
      info,
      client,
      pool,
      limiter,
      tokenEstimates: TokenEstimates.make(yield* limiter.status),
      feedback: Feedback.make(limiter, pool),
      instruments,
      retries,
      logWaits: makeWaitLog(info)
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
        Effect.flatMap(fromEither(withModelInfo(normalize(input, options.defaults), info)), (request) =>
          Attempts.chat(deps, request, request.model ?? options.model)
        ),
      chatStream: (input) =>
        toStream((finalizers) =>
          Effect.flatMap(fromEither(withModelInfo(normalize(input, options.defaults), info)), (request) =>
            Attempts.chatStream(deps, request, request.model ?? options.model)(finalizers)
          )
        ),
      embed: (input) =>
        embeddings === undefined
          ? unsupported("embeddings")
          : Effect.flatMap(fromEither(withModelInfo(normalizeEmbedding(input), info)), (request) =>
              Attempts.embed(deps, embeddings, request, request.model ?? options.model)
            ),
      listModels: listModels === undefined ? unsupported("list of models") : Attempts.listModels(deps, listModels),
      info,
      status: Effect.all({ keys: pool.status, limiter: limiter.status }),
      resetRateLimit: limiter.reset,
      keys: pool
    }
    const effects = yield* applyAll(base, [
      policies.perAttempt,
      ...(retry === undefined || retries === undefined
        ? []
        : [Retries.apply(retry, { budget: retries.budget, ownsKeys: true, retried: instruments.retried })]),
      withEmbeddingBatches(client, policies.embeddingConcurrency),
      ...policies.call
    ])
    const observed = telemetry === undefined ? effects : CallTelemetry.observe(effects, telemetry)
    const planned = policies.acceptsAnyAnswer
      ? Plan.applyTo(observed, {
          deps,
          limits: limitsFor(policies.limits, client.wire),
          recorder: telemetry?.recorder,
          spans,
          usageObserver: UsageObserver.observerOf(info)
        })
      : observed
    return yield* applyAll(planned, [
      ...(info.embeddingModel === undefined ? [] : [withEmbeddingModel(info.embeddingModel)]),
      ...(options.price === undefined ? [] : [Pricing.middleware()]),
      ...(policies.drain === undefined ? [] : [DisconnectPolicy.middleware(policies.drain)])
    ])
  })
}

/**
 * Provides an `LLM` over the client, key pool and limiter in context: the layer of {@link make}.
 *
 * Fails with `InvalidLLMError` when the key pool is that of another provider than the client: provide the pool and the client of one provider.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layer({ model: "gpt-4o", timeouts: { total: "1 minute" } }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer()),
 *   Layer.provide(KeyPool.layer({ provider: "openai", keys: ["sk-one", "sk-two"] })),
 *   Layer.provide(RateLimiter.layer({ requestsPerMinute: 500 })),
 *   Layer.provide(NodeTransport.layerUndici)
 * )
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(OpenAI))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <Client = ProviderClient>(
  options: Options<Client>
): Layer.Layer<LLM, InvalidLLMError, Client | KeyPool | RateLimiter> => Layer.scoped(LLM, make(options))

/**
 * @since 0.2.0
 * @category model
 */
export interface KeysOptions extends Omit<Options, "client"> {
  /** The provider, by the name of its preset; any other name with a `baseUrl`. */
  readonly provider: string
  /** The keys: texts, or keys with a weight and a cap of calls in flight. At least one. */
  readonly keys: Pool.Options["keys"]
  /** The limits of requests and tokens. @default none */
  readonly limits?: Limiter.Options
  /** @default that of the provider */
  readonly baseUrl?: string
  /** Sent with every request, such as OpenRouter's `HTTP-Referer` and `X-Title`. @default none */
  readonly headers?: Readonly<Record<string, string>>
  /** The protocol. @default the provider's own (Anthropic, Gemini, Ollama), else "chat-completions" */
  readonly wire?: Protocol
}

/**
 * An `LLM` of one model of a provider with a preset: client, key pool and limiter in one layer.
 *
 * Fails with `InvalidLLMError` when the provider has no preset and there is no `baseUrl`: its keys must not be sent to another one.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const DeepSeek = LLM.layerKeys({
 *   provider: "deepseek",
 *   model: "deepseek-chat",
 *   keys: ["sk-one", { key: "sk-two", weight: 2 }],
 *   limits: { requestsPerMinute: 60 }
 * }).pipe(Layer.provide(NodeTransport.layerUndici))
 *
 * const program = Effect.provide(LLM.chat("What is the capital of France?"), DeepSeek)
 * ```
 *
 * @throws TypeError when an option is invalid, such as `maxAttempts` that is not a number
 * @since 0.2.0
 * @category layers
 */
export const layerKeys = ({
  baseUrl,
  headers,
  keys,
  limits,
  provider,
  wire,
  ...options
}: KeysOptions): Layer.Layer<
  LLM,
  InvalidLLMError | Pool.InvalidPoolError | Limiter.InvalidLimitError,
  HttpClient.HttpClient
> => {
  const client = hasAddress(provider, wire, baseUrl)
    ? NamedClient.make({
        provider,
        ...(headers === undefined ? {} : { headers }),
        ...(wire === undefined ? {} : { wire }),
        ...(baseUrl === undefined ? {} : { baseUrl })
      })
    : new InvalidLLMError({
        provider,
        model: options.model,
        faults: [`${provider} is not a provider with a known address. Set its baseUrl.`]
      })
  return layer(options).pipe(
    Layer.provide(Layer.effect(ProviderClient, client)),
    Layer.provide(Pool.layer({ provider, keys })),
    Layer.provide(limits === undefined ? Limiter.layerUnlimited : Limiter.layer(limits))
  )
}

/** Whether it is known where a provider is. Keys of any other one would go to the default of its protocol. */
const hasAddress = (provider: string, wire: Protocol | undefined, baseUrl: string | undefined): boolean =>
  baseUrl !== undefined || hasBaseUrl(providerOf(provider), wire)

/**
 * @since 0.1.0
 * @category model
 */
export interface ConfigOptions extends Omit<Options, "model" | "client"> {
  /** The provider whose keys are read, by the name of its preset. @default "openai" */
  readonly provider?: string
  /** The protocol. @default the provider's own (Anthropic, Gemini, Ollama), else "chat-completions" */
  readonly wire?: Protocol
  /** The model; overrides the environment. @default LLM_DEFAULT_MODEL, and with OpenAI "gpt-4o-mini" */
  readonly model?: string
}

/**
 * An `LLM` from the environment, read through Effect's `Config`: `OPENAI_API_KEY` (several separated by commas, or
 * `OPENAI_API_KEY_1`, `_2` …), `OPENAI_BASE_URL`, `LLM_DEFAULT_MODEL`, `LLM_DEFAULT_TEMPERATURE`, `LLM_MAX_TOKENS` and
 * `LLM_TIMEOUT` (in seconds, else `LLM_ROUTER_TIMEOUT`) and `LLM_ROUTER_MAX_RETRIES` (attempts after the first).
 * For another provider, its name replaces `OPENAI`, as in `DEEPSEEK_API_KEY`.
 *
 * Options override the environment. Requests are not rate limited; use `LLM.layer` with a `RateLimiter` to limit them.
 *
 * Fails with a `ConfigError` when a variable is missing or invalid, such as that of the keys, and with `InvalidPoolError` when a key is not
 * valid in an HTTP header.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * // Reads DEEPSEEK_API_KEY.
 * const DeepSeek = LLM.layerConfig({ provider: "deepseek", model: "deepseek-chat" }).pipe(
 *   Layer.provide(NodeTransport.layerUndici)
 * )
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(DeepSeek))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: ConfigOptions = {}
): Layer.Layer<LLM, ConfigError.ConfigError | Pool.InvalidPoolError, HttpClient.HttpClient> => {
  policiesOf(options)
  return Layer.scoped(
    LLM,
    Effect.gen(function* () {
      const { model, provider = "openai", wire, ...rest } = options
      const environment = yield* Environment.defaults
      const modelName =
        model ??
        Option.getOrUndefined(environment.model) ??
        (provider === "openai"
          ? "gpt-4o-mini"
          : yield* Effect.fail(ConfigErrors.missing("LLM_DEFAULT_MODEL", `Expected a model of ${provider}`)))
      const pool = yield* Pool.make({ provider, keys: yield* Environment.apiKeys(provider) })
      const baseUrl = Option.getOrUndefined(yield* Environment.baseUrl(provider))
      if (!hasAddress(provider, wire, baseUrl)) {
        return yield* Effect.fail(
          ConfigErrors.missing(Environment.baseUrlVariable(provider), `Expected the base URL of ${provider}`)
        )
      }
      const client = yield* NamedClient.make({
        provider,
        headers: yield* Environment.headers(providerOf(provider)),
        ...(wire === undefined ? {} : { wire }),
        ...(baseUrl === undefined ? {} : { baseUrl })
      })
      const requestDefaults: Defaults = {
        ...(Option.isSome(environment.temperature) ? { temperature: environment.temperature.value } : {}),
        ...(Option.isSome(environment.maxTokens) ? { maxTokens: environment.maxTokens.value } : {}),
        ...options.defaults
      }
      const total = Option.isSome(environment.timeout) ? { total: environment.timeout.value } : {}
      const retry = Option.isSome(environment.attempts) ? { retry: { maxAttempts: environment.attempts.value } } : {}
      return yield* make({
        ...retry,
        ...rest,
        model: modelName,
        defaults: requestDefaults,
        timeouts: options.timeouts === false ? false : { ...total, ...options.timeouts }
      }).pipe(
        Effect.provideService(ProviderClient, client),
        Effect.provideService(KeyPool, pool),
        Effect.provide(Limiter.layerUnlimited),
        // Client and pool have the same provider.
        Effect.orDie
      )
    })
  )
}

/**
 * Applies a middleware to the `LLM` of a layer. The last one applied is the outermost. Resources of a middleware live as long as the layer.
 *
 * @example
 * ```ts
 * import { AccessLog, LLM, UsageLedger } from "effect-llm"
 *
 * // From the inside out: the ledger, then the access log.
 * const Observed = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(UsageLedger.middleware()),
 *   LLM.withMiddleware(AccessLog.middleware())
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const withMiddleware =
  <E2, R2>(middleware: Middleware<E2, R2>) =>
  <E, R>(layer: Layer.Layer<LLM, E, R>): Layer.Layer<LLM, E | E2, R | Exclude<R2, Scope.Scope>> =>
    Layer.flatMap(layer, (context) => Layer.scoped(LLM, middleware(Context.get(context, LLM))))

/**
 * Sends a chat to the `LLM` in context and waits for the whole answer.
 *
 * Fails with an `LLMError`, after failover, retries and time limits. To act on one, `Effect.catchTag` by its name: `RateLimitError` and
 * `ProviderUnavailableError` can succeed later (`retryAfter`), `AuthenticationError` and `QuotaExceededError` need another key,
 * `InvalidRequestError` and `ContextLengthError` need another request.
 *
 * @example
 * ```ts
 * import { Chat, LLM } from "effect-llm"
 *
 * export const prompt = LLM.chat("The capital of France?", { system: "Answer in one word.", temperature: 0 })
 *
 * export const object = LLM.chat({ system: "Answer in one word.", prompt: "The capital of France?", temperature: 0 })
 *
 * export const messages = LLM.chat({
 *   messages: [Chat.system("Answer in one word."), Chat.user("The capital of France?")],
 *   temperature: 0
 * })
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const chat: {
  (prompt: string, options?: ChatRequest.Options): Effect.Effect<ChatResponse, LLMError, LLM>
  (request: ChatRequest.Input): Effect.Effect<ChatResponse, LLMError, LLM>
} = (request: ChatRequest.Input, options?: ChatRequest.Options): Effect.Effect<ChatResponse, LLMError, LLM> =>
  Effect.flatMap(LLM, (llm) => llm.chat(withOptions(request, options)))

/**
 * Streams the answer to a chat from the `LLM` in context. The arguments are those of `chat`.
 *
 * The last event is `Finish`, with the usage. A consumer that stops early cancels the request, unless `Options.onDisconnect` says otherwise.
 *
 * Fails with the errors of `chat` before the first event, and after it with `StreamInterruptedError` or `TimeoutError`, whose `partial` has
 * the answer so far. Only a call without an event is retried.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { LLM } from "effect-llm"
 *
 * // Prints the text as it arrives. `ChatEvent.collect` returns the whole answer of such a stream instead.
 * const program = LLM.chatStream("Tell me a story.", { maxTokens: 500 }).pipe(
 *   LLM.text,
 *   Stream.runForEach((text) => Effect.sync(() => process.stdout.write(text)))
 * )
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const chatStream: {
  (prompt: string, options?: ChatRequest.Options): Stream.Stream<ChatEvent, LLMError, LLM>
  (request: ChatRequest.Input): Stream.Stream<ChatEvent, LLMError, LLM>
} = (request: ChatRequest.Input, options?: ChatRequest.Options): Stream.Stream<ChatEvent, LLMError, LLM> =>
  Stream.unwrap(Effect.map(LLM, (llm) => llm.chatStream(withOptions(request, options))))

/**
 * Embeds texts with the `LLM` in context.
 *
 * Vectors have the order of the texts. Texts beyond the limit of the provider for one request are sent in several requests. Fails with the
 * `LLMError` of the first request that fails; `embedEach` returns the vectors of the others. A provider without embeddings fails with
 * `UnsupportedError`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const { embeddings, usage } = yield* LLM.embed(["a cat", "a dog"])
 *   return { dimensions: embeddings[0]?.length, tokens: usage.inputTokens }
 * })
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const embed = (request: EmbeddingRequest.Input): Effect.Effect<EmbeddingResponse, LLMError, LLM> =>
  Effect.flatMap(LLM, (llm) => llm.embed(request))

/**
 * Embeds texts with the `LLM` in context, so that one that the provider refuses, such as a text that is too long, fails alone: a request that
 * is refused is sent again in halves. A failure that is not of a text, such as a rate limit after all retries, is that of each text of its
 * request. Fails itself only with an `InvalidRequestError` before anything is sent.
 *
 * @example
 * ```ts
 * import { Effect, Either } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const texts = ["a cat", "a dog"]
 *   const { embeddings } = yield* LLM.embedEach(texts, { batchSize: 50 })
 *   return texts.filter((_, index) => {
 *     const embedding = embeddings[index]
 *     return embedding !== undefined && Either.isRight(embedding)
 *   })
 * })
 * ```
 *
 * @since 0.2.0
 * @category accessors
 */
export const embedEach = (
  request: EmbeddingRequest.Input,
  options?: EachOptions
): Effect.Effect<EachResponse, LLMError, LLM> =>
  Effect.flatMap(LLM, (llm) => EmbedEach.embedEach(llm, request, options))

/**
 * Lists the models that the provider of the `LLM` in context offers.
 *
 * Fails with `UnsupportedError` when the provider has no such list, else with the errors of a call.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const names = Effect.map(LLM.listModels, (models) => models.map(({ id }) => id))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const listModels: Effect.Effect<ReadonlyArray<ListedModel>, LLMError, LLM> = Effect.flatMap(
  LLM,
  (llm) => llm.listModels
)

/**
 * Selects the text of a stream, without reasoning, tool calls and usage. Errors of the stream stay.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const words = LLM.chatStream("Tell me a story.").pipe(LLM.text, Stream.mkString)
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const text = <E, R>(stream: Stream.Stream<ChatEvent, E, R>): Stream.Stream<string, E, R> =>
  Stream.filterMap(stream, (event) => (event._tag === "TextDelta" ? Option.some(event.text) : Option.none()))

/**
 * Sends a request to the `LLM` in context, runs the tools that the model calls, and sends their results, until it answers
 * without a call.
 *
 * Fails with the errors of the handlers, and with `Tool.InvalidResultError` when a result does not fit its schema, unless
 * `onFailure` is `"report"`; and with `RoundsExceededError` when the model has not finished after `maxRounds`. See `ToolLoop`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLM, Tool } from "effect-llm"
 *
 * const weather = Tool.make("weather", {
 *   description: "The current temperature of a city, in degrees Celsius.",
 *   parameters: { city: Schema.String },
 *   handler: ({ city }) => Effect.succeed(`21 degrees in ${city}`)
 * })
 *
 * const program = Effect.gen(function* () {
 *   const { response } = yield* LLM.runTools("How warm is it in Paris?", { tools: [weather], maxRounds: 5 })
 *   return response.text
 * })
 * ```
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
> => Effect.flatMap(LLM, Loop.run(request, options))

/**
 * Streams the events of `runTools` as they happen: the events of every answer, the start and end of every tool call, the end of
 * every round. The last event is `Finish`, with the result of `runTools`.
 *
 * Handlers run in the background of the stream and are interrupted when its consumer stops.
 *
 * Fails with the errors of `runTools`, after the events so far.
 *
 * @example
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { LLM, Tool } from "effect-llm"
 *
 * const weather = Tool.make("weather", {
 *   description: "The current temperature of a city, in degrees Celsius.",
 *   parameters: { city: Schema.String },
 *   handler: ({ city }) => Effect.succeed(`21 degrees in ${city}`)
 * })
 *
 * const program = LLM.runToolsStream("How warm is it in Paris?", { tools: [weather] }).pipe(
 *   Stream.runForEach((event) => Effect.logDebug(event._tag))
 * )
 * ```
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
> => Stream.unwrap(Effect.map(LLM, Loop.stream(request, options)))

/**
 * Asks the `LLM` in context for a value that fits a schema.
 *
 * An answer that does not decode is sent back to the model with its faults, once. A second one fails with a
 * `MalformedResponseError`, whose `path` names the first fault. A model that declines to answer fails with a
 * `ContentFilterError`. See `StructuredOutput`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const City = Schema.Struct({ name: Schema.String, population: Schema.Number })
 *
 * const program = Effect.gen(function* () {
 *   const { value } = yield* LLM.generateObject("The largest city of Japan.", { schema: City })
 *   return value.population
 * })
 * ```
 *
 * @since 0.1.0
 * @category structured output
 */
export const generateObject = <A, I, R>(
  request: ChatRequest.Input,
  options: StructuredOutput.Options<A, I, R>
): Effect.Effect<StructuredOutput.Result<A>, LLMError, LLM | R> =>
  Effect.flatMap(LLM, (llm) => Objects.generate(llm, request, options))

/**
 * Streams the value that `generateObject` asks for: partial values as they arrive, not yet checked with the schema, for a preview.
 * The last event is `Finish`, with the result of `generateObject`; the errors are the same.
 *
 * The request runs in the background of the stream and is interrupted when its consumer stops.
 *
 * @example
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const City = Schema.Struct({ name: Schema.String, population: Schema.Number })
 *
 * const program = LLM.streamObject("The largest city of Japan.", { schema: City }).pipe(
 *   Stream.runForEach((event) => Effect.logInfo(event))
 * )
 * ```
 *
 * @since 0.2.0
 * @category structured output
 */
export const streamObject = <A, I, R>(
  request: ChatRequest.Input,
  options: StructuredOutput.Options<A, I, R>
): Stream.Stream<StructuredOutput.Event<A>, LLMError, LLM | R> =>
  Stream.unwrap(Effect.map(LLM, (llm) => Objects.stream(llm, request, options)))

/**
 * A `Response` of an answer that streams: of `LLM.chatStream`, or of `LLM.runToolsStream` with its tool rounds. It has the status 200 when the
 * first event is there; a failure before it is a status with an error as JSON (see `WebStream.Options`), which is logged. A client that leaves
 * ends the request to the provider.
 *
 * The body is read after the effect has ended: the layer of the `LLM` must live longer. See `WebStream`.
 *
 * @example
 * ```ts
 * import { LLM } from "effect-llm"
 *
 * const response = LLM.toResponse(LLM.chatStream("Tell me a story."), { format: "events" })
 * ```
 *
 * @since 0.2.0
 * @category web
 */
export const toResponse: <E, R>(
  stream: Stream.Stream<WebStream.Event, E, R>,
  options?: WebStream.Options<E>
) => Effect.Effect<Response, never, R> = WebResponse.toResponse

/**
 * The same as a `ReadableStream` of bytes, which begins at once: a failure is the end of its form, or breaks it off.
 *
 * @since 0.2.0
 * @category web
 */
export const toReadableStream: <E, R>(
  stream: Stream.Stream<WebStream.Event, E, R>,
  options?: Omit<WebStream.Options<E>, "headers">
) => Effect.Effect<ReadableStream<Uint8Array>, never, R> = WebResponse.toReadableStream
