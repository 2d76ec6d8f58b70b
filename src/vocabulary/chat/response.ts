/** The response of a chat call. Exported by `Chat`. */
import { Schema } from "effect"
import * as Arbitraries from "../arbitraries.js"
import { Attempt } from "../attempt.js"
import { Cost } from "../cost.js"
import { Usage } from "../Usage.js"
import { JsonObject } from "./fields.js"
import type { AssistantMessage } from "./messages.js"
import { AssistantPart, reasoningOf, refusalOf, textOf, ToolCall, toolCallsOf } from "./parts.js"

/**
 * Why the model stopped. `rawFinishReason` has the provider's own value.
 *
 * `pause`: the provider interrupted a long answer with tools that it runs itself. It goes on when the conversation with this answer
 * at its end is sent again; `LLM.runTools` does so.
 *
 * @since 0.1.0
 * @category response
 */
export const FinishReason = Schema.Literal("stop", "length", "tool-calls", "content-filter", "pause", "other")

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
  usage: Usage,
  /**
   * The account that made the signatures in the response, as a hash. Absent where it has none.
   *
   * @since 0.2.0
   */
  account: Schema.optionalWith(Schema.String, { exact: true })
}).annotations({ identifier: "Cached" })

/**
 * @since 0.1.0
 * @category response
 */
export const Cached: Schema.Schema<Cached> = cachedSchema

const contentFields = {
  /** The parts in the order in which they came. Some providers require them unchanged in the next turn (see {@link toMessage}). */
  content: Schema.Array(AssistantPart),
  /** The texts of the text parts of `content` joined. */
  text: Schema.String,
  /** The texts of the reasoning parts of `content` joined. */
  reasoning: Schema.String,
  /** The model's text when it refuses to answer: the refusal parts of `content` joined. Empty otherwise. */
  refusal: Schema.String,
  /** The tool calls of `content` in their order. */
  toolCalls: Schema.Array(ToolCall)
}

/**
 * The content of a response, and `text`, `reasoning`, `refusal` and `toolCalls`, which are views of it (see {@link withContent}).
 *
 * @since 0.2.0
 * @category response
 */
export interface Content extends Schema.Struct.Type<typeof contentFields> {}

/**
 * Returns the record, such as a response, with this content and the views of it.
 *
 * @since 0.2.0
 * @category constructors
 */
export const withContent = <const A extends object>(
  fields: A,
  content: ReadonlyArray<AssistantPart>
): Omit<A, keyof Content> & Content => ({
  ...fields,
  content,
  text: textOf(content),
  reasoning: reasoningOf(content),
  refusal: refusalOf(content),
  toolCalls: toolCallsOf(content)
})

/**
 * A schema whose generated values have views that agree with their content. It is a filter that accepts everything, because only the
 * generator of a filter gets that of the fields; one that makes it from the schema would add all of fast-check to a bundle.
 */
const withViews = <A extends Content, I>(fields: Schema.Schema<A, I>): Schema.Schema<A, I> =>
  fields.pipe(
    Schema.filter(
      () => true,
      Arbitraries.changed<A>((own) => ({ ...own, ...withContent({}, own.content) }))
    )
  )

const responseFields = {
  /** The provider's id of the response; empty when it sends none. */
  id: Schema.String,
  /** The provider that responded. */
  provider: Schema.String,
  /** The model that the provider reports, often more specific than the requested one. */
  model: Schema.String,
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
}

/**
 * A complete response.
 *
 * @since 0.1.0
 * @category response
 */
export interface ChatResponse extends Schema.Schema.Type<typeof chatResponseSchema> {}

const chatResponseSchema = Schema.Struct({ ...contentFields, ...responseFields }).annotations({
  identifier: "ChatResponse"
})

/**
 * @since 0.1.0
 * @category response
 */
export const ChatResponse: Schema.Schema<ChatResponse> = withViews(chatResponseSchema)

const partialFields = {
  id: Schema.String,
  model: Schema.String,
  /** The usage so far; an estimate unless the provider has sent its counts. */
  usage: Usage
}

/**
 * The part of a response that was received before its stream failed. Its tool calls are those that were complete.
 *
 * @since 0.1.0
 * @category response
 */
export interface PartialResponse extends Schema.Schema.Type<typeof partialResponseSchema> {}

const partialResponseSchema = Schema.Struct({ ...contentFields, ...partialFields }).annotations({
  identifier: "PartialResponse"
})

/**
 * @since 0.1.0
 * @category response
 */
export const PartialResponse: Schema.Schema<PartialResponse> = withViews(partialResponseSchema)

/** A single plain text is a string, which every provider accepts. */
const messageContent = (content: ReadonlyArray<AssistantPart>): AssistantMessage["content"] => {
  const [part, ...others] = content
  if (part === undefined) return ""
  return others.length === 0 && part.type === "text" && part.native === undefined && part.cacheControl === undefined
    ? part.text
    : content
}

/**
 * Makes an assistant message from a response, to append to the conversation. It has all parts of the response in their order: the
 * tool calls, and the reasoning with its signatures, which some providers require in the next turn.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Chat, LLM } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const question = Chat.user("Name a river.")
 *   const answer = yield* LLM.chat({ messages: [question] })
 *   return yield* LLM.chat({ messages: [question, Chat.toMessage(answer), Chat.user("How long is it?")] })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const toMessage = ({ content }: Pick<ChatResponse, "content">): AssistantMessage => ({
  role: "assistant",
  content: messageContent(content)
})
