/**
 * @since 0.1.0
 */
import type { Effect, Stream } from "effect"
import { Context } from "effect"
import type { ChatRequest, ChatResponse } from "./Chat.js"
import type { ChatEvent } from "./ChatEvent.js"
import type { LLMError } from "./LLMError.js"

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
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Asks and waits for the whole answer. */
  readonly chat: (request: ChatRequest.Input) => Effect.Effect<ChatResponse, LLMError>
  /** Asks and streams the answer. */
  readonly chatStream: (request: ChatRequest.Input) => Stream.Stream<ChatEvent, LLMError>
  readonly info: ModelInfo
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
