/** The response of a chat call. Exported by `Chat`. */
import { Schema } from "effect"
import { Attempt } from "../attempt.js"
import { Cost } from "../cost.js"
import { Usage } from "../Usage.js"
import { JsonObject } from "./fields.js"
import type { AssistantMessage } from "./messages.js"
import { ReasoningPart, text } from "./parts.js"
import { ToolCall } from "./tools.js"

/**
 * Why the model stopped. `rawFinishReason` has the provider's own value.
 *
 * @since 0.1.0
 * @category response
 */
export const FinishReason = Schema.Literal("stop", "length", "tool-calls", "content-filter", "other")

/**
 * @since 0.1.0
 * @category response
 */
export type FinishReason = typeof FinishReason.Type

/**
 * The origin of a response that was not requested from a provider.
 *
 * @since 0.1.0
 * @category response
 */
export interface Cached extends Schema.Schema.Type<typeof cachedSchema> {}

const cachedSchema = Schema.Struct({
  /** `store`: the response of an earlier call. `flight`: the response of an equal call in flight at the same time. */
  source: Schema.Literal("store", "flight"),
  /** Age of the response, in milliseconds. */
  age: Schema.Number,
  /** Usage of the call that made the response, which this call saved. */
  usage: Usage
}).annotations({ identifier: "Cached" })

/**
 * @since 0.1.0
 * @category response
 */
export const Cached: Schema.Schema<Cached> = cachedSchema

/**
 * A complete response.
 *
 * @since 0.1.0
 * @category response
 */
export interface ChatResponse extends Schema.Schema.Type<typeof chatResponseSchema> {}

const chatResponseSchema = Schema.Struct({
  /** The provider's id of the response; empty when it sends none. */
  id: Schema.String,
  /** The provider that responded. */
  provider: Schema.String,
  /** The model that the provider reports, often more specific than the requested one. */
  model: Schema.String,
  text: Schema.String,
  /** The model's reasoning as text: the texts of `reasoningParts` joined. */
  reasoning: Schema.String,
  /** The reasoning with its signatures, to be sent back in the next turn (see {@link toMessage}). */
  reasoningParts: Schema.Array(ReasoningPart),
  /** The model's text when it refuses to answer; empty otherwise. */
  refusal: Schema.String,
  toolCalls: Schema.Array(ToolCall),
  finishReason: FinishReason,
  /** The provider's value for the finish reason; empty when it sends none. */
  rawFinishReason: Schema.String,
  usage: Usage,
  /** The cost of the response. Absent when the price is unknown or no pricing (`Pricing.middleware()`) is used. */
  cost: Schema.optionalWith(Cost, { exact: true }),
  /** Time from the start of the successful attempt to the end of the response, in milliseconds. */
  latency: Schema.Number,
  /** The id (never the secret) of the key. */
  keyId: Schema.String,
  /** Every attempt of this call, in order; the last one succeeded. */
  attempts: Schema.Array(Attempt),
  /** Other fields of the provider's response, unchanged: citations, safety ratings, service tier … */
  providerMetadata: JsonObject,
  /**
   * Present when no provider was called for this response. Its `usage` is then zero, `attempts` and `keyId` are empty, and
   * `latency` is the time of the lookup.
   */
  cached: Schema.optionalWith(Cached, { exact: true })
}).annotations({ identifier: "ChatResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export const ChatResponse: Schema.Schema<ChatResponse> = chatResponseSchema

/**
 * The part of a response that was received before its stream failed.
 *
 * @since 0.1.0
 * @category response
 */
export interface PartialResponse extends Schema.Schema.Type<typeof partialResponseSchema> {}

const partialResponseSchema = Schema.Struct({
  id: Schema.String,
  model: Schema.String,
  text: Schema.String,
  reasoning: Schema.String,
  /** The tool calls that were complete. */
  toolCalls: Schema.Array(ToolCall),
  /** The usage so far; an estimate unless the provider has sent its counts. */
  usage: Usage
}).annotations({ identifier: "PartialResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export const PartialResponse: Schema.Schema<PartialResponse> = partialResponseSchema

/**
 * Makes an assistant message from a response, to append to the conversation. It includes the tool calls and the reasoning with
 * its signatures, which some providers require in the next turn.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toMessage = (response: Pick<ChatResponse, "text" | "reasoningParts" | "toolCalls">): AssistantMessage => ({
  role: "assistant",
  content:
    response.reasoningParts.length === 0
      ? response.text
      : [...response.reasoningParts, ...(response.text === "" ? [] : [text(response.text)])],
  ...(response.toolCalls.length === 0 ? {} : { toolCalls: response.toolCalls })
})
