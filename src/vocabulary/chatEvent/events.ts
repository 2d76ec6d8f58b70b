/** The events of a stream. Exported by `ChatEvent`. */
import { Schema } from "effect"
import { Attempt } from "../attempt.js"
import * as Chat from "../Chat.js"
import { JsonObject } from "../chat/fields.js"
import { Cost } from "../cost.js"
import * as Usage from "../Usage.js"

/** The index of the part in `ChatResponse.content`. */
const Index = Schema.Int.pipe(Schema.nonNegative())

/** What a part keeps for its provider; see the parts of `Chat`. The last value of the part is used. */
const providerFields = {
  provider: Schema.optionalWith(Schema.String, { exact: true }),
  native: Schema.optionalWith(Chat.Native, { exact: true })
}

/**
 * The response has started. The first output of the model has been received and follows immediately.
 *
 * @since 0.1.0
 * @category model
 */
export interface Start extends Schema.Schema.Type<typeof startSchema> {}

const startSchema = Schema.TaggedStruct("Start", {
  /** The provider's id of the response; empty when it sends none. */
  id: Schema.String,
  provider: Schema.String,
  /** The model that the provider reports. */
  model: Schema.String,
  /** The id (never the secret) of the key. */
  keyId: Schema.String,
  /** Every attempt of this stream, in order; the last is the current one, with the time to its first event as `duration`. */
  attempts: Schema.Array(Attempt),
  /** Present when no provider was called for this stream: see `Chat.ChatResponse`. */
  cached: Schema.optionalWith(Chat.Cached, { exact: true })
})

/**
 * @since 0.1.0
 * @category model
 */
export const Start: Schema.Schema<Start> = startSchema

/**
 * A piece of a text part.
 *
 * @since 0.1.0
 * @category model
 */
export interface TextDelta extends Schema.Schema.Type<typeof textDeltaSchema> {}

const textDeltaSchema = Schema.TaggedStruct("TextDelta", { index: Index, text: Schema.String, ...providerFields })

/**
 * @since 0.1.0
 * @category model
 */
export const TextDelta: Schema.Schema<TextDelta> = textDeltaSchema

/**
 * A piece of a reasoning part. The texts of its pieces are joined, and for every other field the last value is used.
 *
 * @since 0.1.0
 * @category model
 */
export interface ReasoningDelta extends Schema.Schema.Type<typeof reasoningDeltaSchema> {}

const reasoningDeltaSchema = Schema.TaggedStruct("ReasoningDelta", {
  index: Index,
  text: Schema.String,
  signature: Schema.optionalWith(Schema.String, { exact: true }),
  id: Schema.optionalWith(Schema.String, { exact: true }),
  format: Schema.optionalWith(Schema.String, { exact: true }),
  ...providerFields
})

/**
 * @since 0.1.0
 * @category model
 */
export const ReasoningDelta: Schema.Schema<ReasoningDelta> = reasoningDeltaSchema

/**
 * A piece of a refusal part.
 *
 * @since 0.1.0
 * @category model
 */
export interface RefusalDelta extends Schema.Schema.Type<typeof refusalDeltaSchema> {}

const refusalDeltaSchema = Schema.TaggedStruct("RefusalDelta", {
  index: Index,
  text: Schema.String,
  ...providerFields
})

/**
 * @since 0.1.0
 * @category model
 */
export const RefusalDelta: Schema.Schema<RefusalDelta> = refusalDeltaSchema

/**
 * A piece of a tool call's arguments. Every piece has `id` and `name`. The first has what the call keeps for its provider, if that
 * is known when the call begins.
 *
 * @since 0.1.0
 * @category model
 */
export interface ToolCallDelta extends Schema.Schema.Type<typeof toolCallDeltaSchema> {}

const toolCallDeltaSchema = Schema.TaggedStruct("ToolCallDelta", {
  index: Index,
  id: Schema.String,
  name: Schema.String,
  argumentsDelta: Schema.String,
  ...providerFields
})

/**
 * @since 0.1.0
 * @category model
 */
export const ToolCallDelta: Schema.Schema<ToolCallDelta> = toolCallDeltaSchema

/**
 * A tool call is complete.
 *
 * @since 0.1.0
 * @category model
 */
export interface ToolCallEnd extends Schema.Schema.Type<typeof toolCallEndSchema> {}

const toolCallEndSchema = Schema.TaggedStruct("ToolCallEnd", { index: Index, call: Chat.ToolCall })

/**
 * @since 0.1.0
 * @category model
 */
export const ToolCallEnd: Schema.Schema<ToolCallEnd> = toolCallEndSchema

/**
 * A part that only one protocol has, complete, such as the call or the result of a tool that the provider runs.
 *
 * @since 0.2.0
 * @category model
 */
export interface ProviderPart extends Schema.Schema.Type<typeof providerPartSchema> {}

const providerPartSchema = Schema.TaggedStruct("ProviderPart", { index: Index, part: Chat.ProviderPart })

/**
 * @since 0.2.0
 * @category model
 */
export const ProviderPart: Schema.Schema<ProviderPart> = providerPartSchema

/**
 * The stream failed, and another member of a `Fallback` continues it from here (`continueStreams`). Text is not repeated; the
 * following events belong to the same response.
 *
 * @since 0.1.0
 * @category model
 */
export interface Continued extends Schema.Schema.Type<typeof continuedSchema> {}

const continuedSchema = Schema.TaggedStruct("Continued", {
  /** The provider's id of the continuing response; empty when it sends none. */
  id: Schema.String,
  provider: Schema.String,
  /** The continuing model, as its provider reports it. */
  model: Schema.String,
  /** The id (never the secret) of the key from here on. */
  keyId: Schema.String,
  /** Every attempt of this stream so far, in order; the last is the continuing one. */
  attempts: Schema.Array(Attempt),
  /** The usage of the part that failed. The usage of `Finish` includes it. */
  usage: Usage.Usage
})

/**
 * @since 0.1.0
 * @category model
 */
export const Continued: Schema.Schema<Continued> = continuedSchema

/**
 * The response is complete.
 *
 * @since 0.1.0
 * @category model
 */
export interface Finish extends Schema.Schema.Type<typeof finishSchema> {}

const finishSchema = Schema.TaggedStruct("Finish", {
  reason: Chat.FinishReason,
  /** The provider's value for the finish reason; empty when it sends none. */
  rawReason: Schema.String,
  usage: Usage.Usage,
  /** The cost of the response. Absent when the price is unknown or no pricing (`Pricing.middleware()`) is used. */
  cost: Schema.optionalWith(Cost, { exact: true }),
  /** Time from the start of the attempt to this event, in milliseconds. */
  latency: Schema.Number,
  /** Other fields of the provider's response, unchanged. */
  providerMetadata: JsonObject
})

/**
 * @since 0.1.0
 * @category model
 */
export const Finish: Schema.Schema<Finish> = finishSchema

/**
 * One event of a stream. A stream that succeeds ends with exactly one `Finish`.
 *
 * @since 0.1.0
 * @category model
 */
export type ChatEvent =
  | Start
  | TextDelta
  | ReasoningDelta
  | RefusalDelta
  | ToolCallDelta
  | ToolCallEnd
  | ProviderPart
  | Continued
  | Finish

/**
 * @since 0.1.0
 * @category model
 */
export const ChatEvent: Schema.Schema<ChatEvent> = Schema.Union(
  Start,
  TextDelta,
  ReasoningDelta,
  RefusalDelta,
  ToolCallDelta,
  ToolCallEnd,
  ProviderPart,
  Continued,
  Finish
).annotations({ identifier: "ChatEvent" })
