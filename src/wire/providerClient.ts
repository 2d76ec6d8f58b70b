/** The contract of a client: one request to one provider with one key. */
import type { Redacted, Effect, Stream } from "effect"
import { Context } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { EmbeddingsWire, ListedModel } from "./Wire.js"
import type { RateLimits } from "./headers/rateLimits.js"

/**
 * The address of a provider, and its authentication, headers and query.
 *
 * @since 0.1.0
 * @category model
 */
export interface Endpoint {
  /** The name of the provider in responses, errors and metrics. */
  readonly provider: string
  /**
   * The URL without the path that the wire appends, such as `https://api.openai.com/v1`. Its query is sent after the path.
   * User info and the values of the query are masked in errors, and left out wherever the URL is shown.
   */
  readonly baseUrl: string
  /** The header that carries the key. @default `{ header: "authorization", prefix: "Bearer " }` */
  readonly auth?: Auth
  /**
   * Sent with every request. Values of six characters or more are masked in errors, except in headers without secrets, such
   * as `user-agent`, `anthropic-beta`, `openai-organization` or `x-title`.
   */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Appended to every URL, such as Azure's `api-version`. Values of six characters or more are masked in errors, except in fields
   * without secrets, such as `api-version`, `region` or `model`.
   */
  readonly query?: Readonly<Record<string, string>>
}

/**
 * The authentication of a request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Auth {
  /** The name of the header, in lower case. */
  readonly header: string
  /** Put before the key. @default "" */
  readonly prefix?: string
  /**
   * Makes the value that is sent in place of the key, such as a token that the key signs. It runs before each request, so cache
   * what is expensive; when it fails, no request is sent. The value is masked in errors like the key. @default the key
   */
  readonly token?: (call: Call) => Effect.Effect<Redacted.Redacted<string>, LLMError>
}

/**
 * The model and key of one request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Call {
  readonly model: string
  readonly key: ApiKey
  /**
   * What the requests of one conversation have in common. It is sent to providers that have a field or a header for it, where the request has
   * none. @default none
   *
   * @since 0.2.0
   */
  readonly affinity?: string
  /**
   * The ids of the other keys of its account, whose reasoning is sent with this key as well. @default none
   *
   * @since 0.2.0
   */
  readonly kin?: ReadonlyArray<string>
  /** Called with the rate limit headers of a successful response as soon as it begins. */
  readonly onRateLimits?: (limits: RateLimits) => Effect.Effect<void>
  /**
   * Whether the caller sends the request again when the server has rejected an optional field (`isFieldOmitted` of the error), as an `LLM`
   * does, because each request needs a permit. @default false: the client does
   *
   * @since 0.2.0
   */
  readonly resends?: boolean
}

/**
 * Sends one request to one provider with one key.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** The name of the provider. */
  readonly provider: string
  /** The name of the wire. */
  readonly wire: string
  /** The base URL without user info and values of its query. It distinguishes equal models at different addresses. */
  readonly baseUrl?: string
  /**
   * Whether the provider gets bodies that a gateway's client wrote in its protocol, and sends answers in the form that these clients
   * expect. @default false
   *
   * @since 0.2.0
   */
  readonly faithful?: boolean
  /** Returns the whole answer. Interruption aborts the request. */
  readonly chat: (request: ChatRequest, call: Call) => Effect.Effect<ChatResponse, LLMError>
  /** Streams the answer. The connection is closed when the stream ends or its consumer stops. */
  readonly chatStream: (request: ChatRequest, call: Call) => Stream.Stream<ChatEvent, LLMError>
  /** Absent when the provider has no embeddings. */
  readonly embeddings?: Embeddings
  /** Lists the models that the key can use. Absent when the provider has no such list. */
  readonly listModels?: (call: Call) => Effect.Effect<ReadonlyArray<ListedModel>, LLMError>
}

/**
 * The embeddings of a provider.
 *
 * @since 0.1.0
 * @category model
 */
export interface Embeddings extends Pick<EmbeddingsWire, "maxBatch" | "maxBatchTokens"> {
  /** Embeds at most `maxBatch` texts in one request. */
  readonly embed: (request: EmbeddingRequest, call: Call) => Effect.Effect<EmbeddingResponse, LLMError>
}

/**
 * The client that an `LLM` sends its requests through.
 *
 * @since 0.1.0
 * @category tags
 */
export class ProviderClient extends Context.Tag("effect-llm/ProviderClient")<ProviderClient, Service>() {}
