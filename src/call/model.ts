/** The contract of an `LLM`, which everything around a call is written against. */
import type { Effect, Stream } from "effect"
import { Context } from "effect"
import type * as Pool from "../keyPool/model.js"
import type * as Limiter from "../rateLimiter/model.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type * as Distribution from "../vocabulary/Distribution.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Price } from "../vocabulary/price.js"
import type { ListedModel } from "../wire/Wire.js"
import type { Defaults } from "./request.js"

/**
 * What the calls of an `LLM` took, in milliseconds. It is part of the `status` of one whose telemetry is on.
 *
 * @since 0.1.0
 * @category percentiles
 */
export interface CallTimes {
  /** From the call to its end, retries included, however it ended. */
  readonly latency: Distribution.Distribution
  /** From the call to a stream's first event. */
  readonly timeToFirstEvent: Distribution.Distribution
}

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
  /** Where the provider is, without credentials. Absent where the client does not say. */
  readonly baseUrl?: string
  /** What every request says unless it says otherwise itself. */
  readonly defaults?: Defaults
  /**
   * What the model costs, in dollars a million tokens, where its configuration says so. It wins over the prices in context, but not
   * over `Pricing` around a call. It does not hold for another model that a request names.
   *
   * @since 0.2.0
   */
  readonly price?: Price
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
  /** What its calls took; absent where telemetry is off. */
  readonly calls?: CallTimes
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
  /**
   * Embeds texts, one vector each in their order, in as many requests as the provider's limits ask for. `UnsupportedError`
   * where the provider has no embeddings.
   */
  readonly embed: (request: EmbeddingRequest.Input) => Effect.Effect<EmbeddingResponse, LLMError>
  /** The models that the provider offers, as one of the keys sees them. `UnsupportedError` where it cannot list them. */
  readonly listModels: Effect.Effect<ReadonlyArray<ListedModel>, LLMError>
  readonly info: ModelInfo
  /** The keys and the limiter behind this `LLM`, as they are now. */
  readonly status: Effect.Effect<Status>
  /** Fills the limiter's buckets. */
  readonly resetRateLimit: Effect.Effect<void>
  /** The keys that it speaks with, to be administered: not for making calls. Absent where there are several pools, or none. */
  readonly pool?: Pool.Service | undefined
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
