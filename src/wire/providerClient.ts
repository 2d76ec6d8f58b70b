/** The contract of a client: one request to one provider with one key. */
import type { Redacted, Effect, Stream } from "effect"
import { Context } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { EmbeddingsWire, ListedModel } from "./Wire.js"
import type { RateLimits } from "./headers/RateLimitHeaders.js"

/**
 * Where a provider is and how it wants to be spoken to.
 *
 * @since 0.1.0
 * @category model
 */
export interface Endpoint {
  /** The name of the provider, as it stands in answers, errors and metrics. */
  readonly provider: string
  /**
   * Up to and without the path that the wire appends, such as `https://api.openai.com/v1`. A query in it is sent behind the path.
   * User info and the values of the query are masked in errors, and left out where the URL is shown.
   */
  readonly baseUrl: string
  /** The header that carries the key. @default `{ header: "authorization", prefix: "Bearer " }` */
  readonly auth?: Auth
  /**
   * Sent with every request. Values of six characters and more are masked in errors, but for headers that carry no secrets, such
   * as `user-agent`, `anthropic-beta`, `openai-organization` or `x-title`.
   */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Appended to every URL, such as Azure's `api-version`. Values of six characters and more are masked in errors, but for fields
   * that carry no secrets, such as `api-version`, `region` or `model`.
   */
  readonly query?: Readonly<Record<string, string>>
}

/**
 * How a request shows that it may.
 *
 * @since 0.1.0
 * @category model
 */
export interface Auth {
  /** The name of the header, in lower case. */
  readonly header: string
  /** Stands before the key. @default "" */
  readonly prefix?: string
  /**
   * What the header carries in place of the key, for providers that want something made from it, such as a token that it
   * signs. Asked before each request, so what is dear should be kept; where it fails, nothing is sent. Like the key itself it
   * is masked in errors. @default the key
   */
  readonly token?: (call: Call) => Effect.Effect<Redacted.Redacted<string>, LLMError>
}

/**
 * What a single request needs beside its content.
 *
 * @since 0.1.0
 * @category model
 */
export interface Call {
  readonly model: string
  readonly key: ApiKey
  /** Told what the provider's rate limit headers say of the key, as soon as a successful answer begins. */
  readonly onRateLimits?: (limits: RateLimits) => Effect.Effect<void>
}

/**
 * One request at a time, with the key that it is given.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** The name of the provider. */
  readonly provider: string
  /** The name of the wire. */
  readonly wire: string
  /** Where the provider is, without user info and the values of its query: what sets apart answers of the same model in different places. */
  readonly baseUrl?: string
  /** Asks and waits for the whole answer. Interruption aborts the request. */
  readonly chat: (request: ChatRequest, call: Call) => Effect.Effect<ChatResponse, LLMError>
  /** Asks and streams the answer. The connection is closed when the stream ends or is given up. */
  readonly chatStream: (request: ChatRequest, call: Call) => Stream.Stream<ChatEvent, LLMError>
  /** Absent where the provider has no embeddings. */
  readonly embeddings?: Embeddings
  /** Lists the models that the key may ask. Absent where the provider cannot. */
  readonly listModels?: (call: Call) => Effect.Effect<ReadonlyArray<ListedModel>, LLMError>
}

/**
 * How a provider embeds texts.
 *
 * @since 0.1.0
 * @category model
 */
export interface Embeddings extends Pick<EmbeddingsWire, "maxBatch" | "maxBatchTokens"> {
  /** Embeds as many texts as one request may have. */
  readonly embed: (request: EmbeddingRequest, call: Call) => Effect.Effect<EmbeddingResponse, LLMError>
}

/**
 * The client that an `LLM` speaks through.
 *
 * @since 0.1.0
 * @category tags
 */
export class ProviderClient extends Context.Tag("effect-llm/ProviderClient")<ProviderClient, Service>() {}
