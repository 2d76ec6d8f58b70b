/** What comes back. Public by way of `Chat`. */
import { Schema } from "effect"
import { Attempt } from "../Attempt.js"
import { Cost } from "../Cost.js"
import { Usage } from "../Usage.js"
import { JsonObject } from "./fields.js"
import type { AssistantMessage } from "./messages.js"
import { ReasoningPart, text } from "./parts.js"
import { ToolCall } from "./tools.js"

/**
 * Why the model stopped. The provider's own word stands beside it in `rawFinishReason`.
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
 * Where an answer came from that nobody was asked for.
 *
 * @since 0.1.0
 * @category response
 */
export const Cached = Schema.Struct({
  /** `store`: kept from an earlier call. `flight`: an equal call that was under way at the same time brought it. */
  source: Schema.Literal("store", "flight"),
  /** How long ago the answer was made, in milliseconds. */
  age: Schema.Number,
  /** What it took to make the answer, and so what this call saved. */
  usage: Usage
}).annotations({ identifier: "Cached" })

/**
 * @since 0.1.0
 * @category response
 */
export type Cached = typeof Cached.Type

/**
 * A whole answer.
 *
 * @since 0.1.0
 * @category response
 */
export const ChatResponse = Schema.Struct({
  /** The provider's id of the answer; empty where it sends none. */
  id: Schema.String,
  /** The provider that answered. */
  provider: Schema.String,
  /** The model that answered, in the provider's words: often more exact than the one asked for. */
  model: Schema.String,
  text: Schema.String,
  /** What may be shown of the model's thoughts: the texts of `reasoningParts`, joined. */
  reasoning: Schema.String,
  /** The thoughts with their signatures, to be sent back in the next turn (see {@link toMessage}). */
  reasoningParts: Schema.Array(ReasoningPart),
  /** The model's own words where it declined to answer; empty otherwise. */
  refusal: Schema.String,
  toolCalls: Schema.Array(ToolCall),
  finishReason: FinishReason,
  /** The provider's own word for why the model stopped; empty where it sends none. */
  rawFinishReason: Schema.String,
  usage: Usage,
  /** What the answer cost; absent where no price is known, or nobody asked for it with `Pricing.make()`. */
  cost: Schema.optionalWith(Cost, { exact: true }),
  /** From the moment the attempt that succeeded was sent until the answer was complete, in milliseconds. */
  latency: Schema.Number,
  /** The id (never the secret) of the key that was used. */
  keyId: Schema.String,
  /** Every attempt made for this answer, in order; the last is the one that succeeded. */
  attempts: Schema.Array(Attempt),
  /** What else the provider said, in its own words: citations, safety ratings, service tier … */
  providerMetadata: JsonObject,
  /**
   * Present where no provider was asked for this call. Such an answer consumed nothing: its `usage` is zero, it has no
   * `attempts` and no `keyId`, and its `latency` is that of finding it.
   */
  cached: Schema.optionalWith(Cached, { exact: true })
}).annotations({ identifier: "ChatResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export type ChatResponse = typeof ChatResponse.Type

/**
 * As much of an answer as had arrived when its stream broke.
 *
 * @since 0.1.0
 * @category response
 */
export const PartialResponse = Schema.Struct({
  id: Schema.String,
  model: Schema.String,
  text: Schema.String,
  reasoning: Schema.String,
  /** The calls that were complete. */
  toolCalls: Schema.Array(ToolCall),
  /** What was consumed so far; an estimate unless the provider had sent its counts. */
  usage: Usage
}).annotations({ identifier: "PartialResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export type PartialResponse = typeof PartialResponse.Type

/**
 * The answer as a message, to be put behind the question in the next turn. It carries the thoughts with their signatures
 * and the tool calls, so that providers which want to see them again do.
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
