/** The options of streams for the web. */
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type * as ToolLoop from "../tools/loopModel.js"

/**
 * An event of `LLM.chatStream` or of `LLM.runToolsStream`.
 *
 * @since 0.2.0
 * @category model
 */
export type Event = ChatEvent | ToolLoop.Event

/**
 * The form of the body.
 *
 * - `text`: the text of the answer alone.
 * - `events`: server-sent events, each with the event as JSON, without ids of keys, attempts and fields of the provider.
 * - `ui-messages`: the UI message stream of the AI SDK (ai-sdk.dev, "Stream Protocols"), which `useChat` reads: text, reasoning, tool calls
 *   and their results.
 *
 * @since 0.2.0
 * @category model
 */
export type Format = "text" | "events" | "ui-messages"

/**
 * What a client learns of a failure.
 *
 * @since 0.2.0
 * @category model
 */
export interface WebError {
  /** The status of the response, if it has not begun. */
  readonly status: number
  /** The class of the error, such as `RateLimitError`. */
  readonly type: string
  readonly message: string
  /** In seconds, for the header `Retry-After`. */
  readonly retryAfter?: number
}

/**
 * @since 0.2.0
 * @category model
 */
export interface Options<E> {
  /** @default "text" */
  readonly format?: Format
  /** Headers of the response. @default none */
  readonly headers?: Readonly<Record<string, string>>
  /** The signal of the request: the stream ends when it aborts, for servers that do not cancel the body. @default none */
  readonly signal?: AbortSignal
  /**
   * What the client learns of a failure. The default has no message of the provider and of the program; the error itself is logged.
   *
   * @default the status and a sentence for the class of an `LLMError`; 500 for any other error
   */
  readonly onError?: (error: E) => WebError
}

/** Encodes one stream. It keeps the state of that stream. */
export interface Encoder {
  readonly write: (event: Event) => string
  /** The end of a stream that failed; undefined where the form has none, and the body breaks off. */
  readonly fail: (error: WebError) => string | undefined
  /** After the last event. */
  readonly end: string
}
