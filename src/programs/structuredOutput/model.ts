/** The options, results and events of structured output. */
import type { Schema } from "effect"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import type * as Usage from "../../vocabulary/Usage.js"

/**
 * How the schema is enforced.
 *
 * - `native`: by the provider (`responseFormat`).
 * - `tool`: by a tool that the model must call, with the schema as parameters.
 * - `prompt`: by instructions only. The JSON is found in the answer also inside other text or a Markdown fence.
 * - `auto`: the first of these that the provider's protocol supports. An unsupported mode fails with an `UnsupportedError` before
 *   anything is sent, but each mode is a call to the limiter and to middleware: set the mode if you know it.
 *
 * @since 0.1.0
 * @category model
 */
export type Mode = "auto" | "native" | "tool" | "prompt"

/**
 * The requested value and the mode.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<A, I, R> {
  /** The schema of the value. Any schema with a JSON encoding: an outermost array, text or union is wrapped in `{ value }`. */
  readonly schema: Schema.Schema<A, I, R>
  /** The name of the value, for the model. @default the schema's identifier, else "answer" */
  readonly name?: string
  /** The description of the value, for the model. @default the schema's description, if it has one */
  readonly description?: string
  /** How the schema is enforced. @default "auto" */
  readonly mode?: Mode
  /** Asks the provider to enforce the schema exactly. @default the provider's */
  readonly strict?: boolean
  /** Whether an answer that does not decode is sent back with its faults, once. @default true */
  readonly repair?: boolean
}

/**
 * The value, with its answer and usage.
 *
 * @since 0.1.0
 * @category model
 */
export interface Result<A> {
  readonly value: A
  /** The answer that the value was decoded from. */
  readonly response: ChatResponse
  /** The usage of all rounds: one, and one more for a repair and for each pause. */
  readonly usage: Usage.Usage
}

/**
 * The events of `LLM.streamObject`: partial values while the answer streams, and at the end the result of `LLM.generateObject`.
 *
 * A partial value is JSON, not yet checked with the schema: fields can be missing and texts cut off. Rounds count from 1. The
 * partial values of a further round, after a pause of the provider or for a repair, start again from nothing.
 *
 * @since 0.2.0
 * @category model
 */
export type Event<A> =
  | { readonly _tag: "Partial"; readonly round: number; readonly value: unknown }
  | { readonly _tag: "Finish"; readonly result: Result<A> }
