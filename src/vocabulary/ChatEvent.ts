/**
 * The events of a stream, and `collect`, which makes a response from a stream.
 *
 * A successful stream is one `Start`, then deltas, then exactly one `Finish`; any other end is a typed failure. For the same
 * response, `collect(chatStream(request))` equals `chat(request)` except for `latency`. `Continued` occurs between deltas only
 * with the `continueStreams` option of `Fallback`.
 *
 * @example
 * ```ts
 * import { Console, Effect, Stream } from "effect"
 * import { ChatEvent, LLM } from "effect-llm"
 *
 * const program = LLM.chatStream("Tell me a story.").pipe(
 *   Stream.tap((event) => (event._tag === "TextDelta" ? Console.log(event.text) : Effect.void)),
 *   ChatEvent.collect,
 *   Effect.map((response) => response.usage.totalTokens)
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Schema, Stream } from "effect"
import { Attempt } from "./attempt.js"
import { JsonObject } from "./chat/fields.js"
import type { ChatResponse, ReasoningPart, ToolCall } from "./Chat.js"
import * as Chat from "./Chat.js"
import { Cost } from "./cost.js"
import { StreamInterruptedError } from "./LLMError.js"
import * as Usage from "./Usage.js"

const Index = Schema.Int.pipe(Schema.nonNegative())

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
 * A piece of the response's text.
 *
 * @since 0.1.0
 * @category model
 */
export interface TextDelta extends Schema.Schema.Type<typeof textDeltaSchema> {}

const textDeltaSchema = Schema.TaggedStruct("TextDelta", { text: Schema.String })

/**
 * @since 0.1.0
 * @category model
 */
export const TextDelta: Schema.Schema<TextDelta> = textDeltaSchema

/**
 * A piece of the model's reasoning. Pieces with the same `index` are one `Chat.ReasoningPart`: their texts are joined, and for
 * every other field the last value is used.
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
  provider: Schema.optionalWith(Schema.String, { exact: true })
})

/**
 * @since 0.1.0
 * @category model
 */
export const ReasoningDelta: Schema.Schema<ReasoningDelta> = reasoningDeltaSchema

/**
 * A piece of the model's refusal to answer.
 *
 * @since 0.1.0
 * @category model
 */
export interface RefusalDelta extends Schema.Schema.Type<typeof refusalDeltaSchema> {}

const refusalDeltaSchema = Schema.TaggedStruct("RefusalDelta", { text: Schema.String })

/**
 * @since 0.1.0
 * @category model
 */
export const RefusalDelta: Schema.Schema<RefusalDelta> = refusalDeltaSchema

/**
 * A piece of a tool call's arguments. `index` distinguishes parallel calls; every piece has `id` and `name`.
 *
 * @since 0.1.0
 * @category model
 */
export interface ToolCallDelta extends Schema.Schema.Type<typeof toolCallDeltaSchema> {}

const toolCallDeltaSchema = Schema.TaggedStruct("ToolCallDelta", {
  index: Index,
  id: Schema.String,
  name: Schema.String,
  argumentsDelta: Schema.String
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
  Continued,
  Finish
).annotations({ identifier: "ChatEvent" })

// -------------------------------------------------------------------------------------
// collecting
// -------------------------------------------------------------------------------------

/**
 * The content of a stream so far.
 *
 * @since 0.1.0
 * @category collecting
 */
export interface Collected {
  /** The `Start` event; after a `Continued`, one with the provider, model and key that continue. */
  readonly start: Start | undefined
  readonly text: string
  readonly refusal: string
  readonly reasoningParts: ReadonlyArray<ReasoningPart>
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly finish: Finish | undefined
}

/**
 * The content before the first event.
 *
 * @since 0.1.0
 * @category collecting
 */
export const nothing: Collected = {
  start: undefined,
  text: "",
  refusal: "",
  reasoningParts: [],
  toolCalls: [],
  finish: undefined
}

const appendReasoning = (
  parts: ReadonlyArray<ReasoningPart>,
  { _tag, index, text, ...rest }: ReasoningDelta
): ReadonlyArray<ReasoningPart> => {
  const next = parts.slice()
  while (next.length <= index) next.push({ type: "reasoning", text: "" })
  const before = next[index]
  next[index] = { type: "reasoning", ...before, ...rest, text: (before?.text ?? "") + text }
  return next
}

const startOf = ({ attempts, id, keyId, model, provider }: Continued): Start => ({
  _tag: "Start",
  id,
  provider,
  model,
  keyId,
  attempts
})

/**
 * Adds an event to the content of a stream.
 *
 * @since 0.1.0
 * @category collecting
 */
export const append = (collected: Collected, event: ChatEvent): Collected => {
  switch (event._tag) {
    case "Start":
      return { ...collected, start: event }
    case "TextDelta":
      return { ...collected, text: collected.text + event.text }
    case "RefusalDelta":
      return { ...collected, refusal: collected.refusal + event.text }
    case "ReasoningDelta":
      return { ...collected, reasoningParts: appendReasoning(collected.reasoningParts, event) }
    case "ToolCallEnd":
      return { ...collected, toolCalls: [...collected.toolCalls, event.call] }
    case "ToolCallDelta":
      return collected
    case "Continued":
      return { ...collected, start: startOf(event) }
    case "Finish":
      return { ...collected, finish: event }
  }
}

const reasoningText = (parts: ReadonlyArray<ReasoningPart>): string => parts.map((part) => part.text).join("")

/**
 * Makes a partial response from the content of a failed stream. `usage` is used when there was no `Finish` event.
 *
 * @since 0.1.0
 * @category collecting
 */
export const toPartial = (collected: Collected, usage: Usage.Usage): Chat.PartialResponse => ({
  id: collected.start?.id ?? "",
  model: collected.start?.model ?? "",
  text: collected.text,
  reasoning: reasoningText(collected.reasoningParts),
  toolCalls: collected.toolCalls,
  usage: collected.finish?.usage ?? usage
})

/**
 * Makes the events of a stream from a complete response, with one delta for each part of its content.
 *
 * @since 0.1.0
 * @category collecting
 */
export const fromResponse = (response: ChatResponse): ReadonlyArray<ChatEvent> => [
  {
    _tag: "Start",
    id: response.id,
    provider: response.provider,
    model: response.model,
    keyId: response.keyId,
    attempts: response.attempts,
    ...(response.cached === undefined ? {} : { cached: response.cached })
  },
  ...response.reasoningParts.map(({ type, ...part }, index): ReasoningDelta => ({
    _tag: "ReasoningDelta",
    index,
    ...part
  })),
  ...(response.text === "" ? [] : [{ _tag: "TextDelta", text: response.text } as const]),
  ...(response.refusal === "" ? [] : [{ _tag: "RefusalDelta", text: response.refusal } as const]),
  ...response.toolCalls.flatMap((call, index): ReadonlyArray<ChatEvent> => [
    { _tag: "ToolCallDelta", index, id: call.id, name: call.name, argumentsDelta: call.arguments },
    { _tag: "ToolCallEnd", index, call }
  ]),
  {
    _tag: "Finish",
    reason: response.finishReason,
    rawReason: response.rawFinishReason,
    usage: response.usage,
    ...(response.cost === undefined ? {} : { cost: response.cost }),
    latency: response.latency,
    providerMetadata: response.providerMetadata
  }
]

/**
 * Makes a response from the content of a stream and its `Finish` event.
 *
 * @since 0.1.0
 * @category collecting
 */
export const toResponse = (collected: Collected, finish: Finish): ChatResponse => ({
  id: collected.start?.id ?? "",
  provider: collected.start?.provider ?? "",
  model: collected.start?.model ?? "",
  text: collected.text,
  reasoning: reasoningText(collected.reasoningParts),
  reasoningParts: collected.reasoningParts,
  refusal: collected.refusal,
  toolCalls: collected.toolCalls,
  finishReason: finish.reason,
  rawFinishReason: finish.rawReason,
  usage: finish.usage,
  ...(finish.cost === undefined ? {} : { cost: finish.cost }),
  latency: finish.latency,
  keyId: collected.start?.keyId ?? "",
  attempts: collected.start?.attempts ?? [],
  providerMetadata: finish.providerMetadata,
  ...(collected.start?.cached === undefined ? {} : { cached: collected.start.cached })
})

/**
 * Runs a stream and returns its response. Fails with a `StreamInterruptedError`, which has the partial response, when the stream
 * ends without a `Finish` event.
 *
 * @since 0.1.0
 * @category collecting
 */
export const collect = <E, R>(
  stream: Stream.Stream<ChatEvent, E, R>
): Effect.Effect<ChatResponse, E | StreamInterruptedError, R> =>
  Effect.flatMap(Stream.runFold(stream, nothing, append), (collected) =>
    collected.finish === undefined
      ? Effect.fail(
          new StreamInterruptedError({
            provider: collected.start?.provider ?? "",
            model: collected.start?.model ?? "",
            message: "The stream ended before its Finish event. The response so far is in `partial`.",
            attempts: collected.start?.attempts ?? [],
            begun: collected.start !== undefined,
            partial: toPartial(
              collected,
              Usage.make({
                outputTokens: Usage.estimateTokens(collected.text + reasoningText(collected.reasoningParts)),
                estimated: true
              })
            )
          })
        )
      : Effect.succeed(toResponse(collected, collected.finish))
  )
