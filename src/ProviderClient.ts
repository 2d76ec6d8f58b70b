/**
 * One request to one provider with one key: no waiting, no retries, no choice of key. `make` joins a wire to an endpoint.
 *
 * @since 0.1.0
 */
import type { Effect, Stream } from "effect"
import { Context } from "effect"
import type { ApiKey } from "./ApiKey.js"
import type { ChatRequest, ChatResponse } from "./Chat.js"
import type { ChatEvent } from "./ChatEvent.js"
import type { LLMError } from "./LLMError.js"

/**
 * Where a provider is and how it wants to be spoken to.
 *
 * @since 0.1.0
 * @category model
 */
export interface Endpoint {
  /** The name of the provider, as it stands in answers, errors and metrics. */
  readonly provider: string
  /** Up to and without the path that the wire appends, such as `https://api.openai.com/v1`. */
  readonly baseUrl: string
  /** The header that carries the key. @default `{ header: "authorization", prefix: "Bearer " }` */
  readonly auth?: { readonly header: string; readonly prefix?: string }
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** Appended to every URL, such as Azure's `api-version`. */
  readonly query?: Readonly<Record<string, string>>
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
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** The name of the provider. */
  readonly provider: string
  /** The name of the wire. */
  readonly wire: string
  readonly chat: (request: ChatRequest, call: Call) => Effect.Effect<ChatResponse, LLMError>
  readonly chatStream: (request: ChatRequest, call: Call) => Stream.Stream<ChatEvent, LLMError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class ProviderClient extends Context.Tag("effect-llm/ProviderClient")<ProviderClient, Service>() {}
