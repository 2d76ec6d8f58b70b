/** The types of an `LLM`: its service, model information, status, middleware and errors. */
import type { Effect, Stream } from "effect"
import { Context, Schema } from "effect"
import type * as Pool from "../keyPool/model.js"
import type * as Limiter from "../rateLimiter/model.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { QuantileSketch } from "../vocabulary/quantileSketch.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Price } from "../vocabulary/price.js"
import type { ListedModel } from "../wire/Wire.js"
import type { Defaults } from "./request.js"

/**
 * The durations of an `LLM`'s calls, in milliseconds. Part of `status` when telemetry is on.
 *
 * @since 0.1.0
 * @category percentiles
 */
export interface CallTimes {
  /** From the call to its end, including retries and failed calls. */
  readonly latency: QuantileSketch
  /** From the call to a stream's first event. */
  readonly timeToFirstEvent: QuantileSketch
}

/**
 * Provider, model and configuration of an `LLM`.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelInfo {
  readonly provider: string
  readonly model: string
  /** The name of the wire protocol, such as `chat-completions`. */
  readonly wire: string
  /**
   * Whether bodies that a gateway's client wrote in this protocol reach the provider unchanged, and its answers that client. Around
   * several `LLM`s with `Balance`, `Fallback` or `Hedge`, whether that holds for each. @default false
   *
   * @since 0.2.0
   */
  readonly faithful?: boolean
  /** The maximum tokens of a request and its answer together. @default 200000 */
  readonly contextWindow: number
  /** The provider's URL without credentials. Absent when the client has none. */
  readonly baseUrl?: string
  /** Defaults for the fields of every request. */
  readonly defaults?: Defaults
  /**
   * The configured price of the model, in dollars per million tokens. It overrides the prices in context, but not `Pricing` around
   * a call. It does not apply to another model that a request names.
   *
   * @since 0.2.0
   */
  readonly price?: Price
  /**
   * What a gateway does with what a request means and the provider's protocol cannot express. Of several models in a group, that of the first
   * holds. @default "error"
   *
   * @since 0.2.0
   */
  readonly onUnsupported?: "error" | "drop"
  /**
   * What a call does while no key of the account is ready that made the reasoning in its request. See `LLM.Options`. @default "drop"
   *
   * @since 0.2.0
   */
  readonly onOwnerUnavailable?: "drop" | "wait"
  /**
   * The model of embeddings, where it is not `model`.
   *
   * @since 0.2.0
   */
  readonly embeddingModel?: string
  /**
   * The family of its vectors, which can be compared with those of the same family alone. @default the model of embeddings
   *
   * @since 0.2.0
   */
  readonly embeddingFamily?: string
}

/**
 * The retry budget of an `LLM`, and the retries that were granted and denied since the `LLM` was built.
 *
 * @since 0.2.0
 * @category model
 */
export interface RetryStatus {
  /** The retries that are available now. */
  readonly available: number
  /** Retries that were made. */
  readonly granted: number
  /** Calls that failed because the budget was spent. */
  readonly denied: number
}

/**
 * The state of an `LLM`'s keys, limiter and calls. It contains key ids, never secrets.
 *
 * @since 0.1.0
 * @category model
 */
export interface Status {
  readonly keys: Pool.PoolStatus
  readonly limiter: Limiter.LimiterStatus
  /** The durations of calls; absent when telemetry is off. */
  readonly calls?: CallTimes
  /**
   * The retry budget of the outermost `Retry`; absent without one, and around several `LLM`s with `Balance`.
   *
   * @since 0.2.0
   */
  readonly retries?: RetryStatus
}

/**
 * The service of an `LLM`.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Sends a chat and waits for the whole answer. Interruption aborts the request and releases its key. */
  readonly chat: (request: ChatRequest.Input) => Effect.Effect<ChatResponse, LLMError>
  /** Sends a chat and streams the answer. Connection and key are released when the stream ends or its consumer stops. */
  readonly chatStream: (request: ChatRequest.Input) => Stream.Stream<ChatEvent, LLMError>
  /**
   * Embeds texts, one vector for each in their order, in as many requests as the provider's limits require. Fails with
   * `UnsupportedError` when the provider has no embeddings.
   */
  readonly embed: (request: EmbeddingRequest.Input) => Effect.Effect<EmbeddingResponse, LLMError>
  /** Lists the provider's models that one of the keys can use. Fails with `UnsupportedError` when the provider has no list. */
  readonly listModels: Effect.Effect<ReadonlyArray<ListedModel>, LLMError>
  readonly info: ModelInfo
  /** The current state of the keys and the limiter of this `LLM`. */
  readonly status: Effect.Effect<Status>
  /** Fills the limiter's buckets. */
  readonly resetRateLimit: Effect.Effect<void>
  /**
   * The administration of the keys: to disable, enable, rest, reweight, add or remove one by its id. Around several `LLM`s it is
   * that of the first with `Fallback` and `Hedge`, and absent with `Balance`. Absent when the `LLM` has no keys of its own.
   *
   * @since 0.2.0
   */
  readonly keys?: Pool.KeyAdministration | undefined
}

/**
 * The tag of an `LLM`.
 *
 * @since 0.1.0
 * @category tags
 */
export class LLM extends Context.Tag("effect-llm/LLM")<LLM, Service>() {}

/**
 * The parts of an `LLM` cannot be used together. Lists all faults at once, none with a secret.
 *
 * @since 0.2.0
 * @category errors
 */
export class InvalidLLMError extends Schema.TaggedError<InvalidLLMError>()("InvalidLLMError", {
  provider: Schema.String,
  model: Schema.String,
  /** Each is a sentence with its remedy, such as `The key pool has keys of deepseek, but the client calls openai …`. */
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The LLM for ${this.model} of ${this.provider} is not valid. ${this.faults.join("; ")}`
  }
}

/**
 * A function that adds a feature to an `LLM`.
 *
 * @since 0.1.0
 * @category model
 */
export type Middleware<E = never, R = never> = (next: Service) => Effect.Effect<Service, E, R>

/**
 * What a middleware changes: members that replace those of the wrapped `LLM`, and an effect around its calls.
 *
 * @since 0.2.0
 * @category model
 */
export interface Overrides extends Partial<Service> {
  /**
   * Put around every call that has no override: `chat`, `chatStream`, `embed`, `listModels`, and calls that later versions add.
   * Around a stream it is put around its opening, which ends with the first event. @default the call alone
   */
  readonly around?: <A, R>(call: Effect.Effect<A, LLMError, R>) => Effect.Effect<A, LLMError, R>
}
