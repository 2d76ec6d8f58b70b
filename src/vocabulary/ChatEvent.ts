/**
 * The events of a stream, and `collect`, which makes a response from a stream.
 *
 * A successful stream is one `Start`, then the content, then exactly one `Finish`; any other end is a typed failure. Each event of
 * the content names the part that it belongs to, by the index of the part in `Chat.ChatResponse.content`. For the same response,
 * `collect(chatStream(request))` equals `chat(request)` except for `latency`. `Continued` occurs within the content only with the
 * `continueStreams` option of `Fallback`.
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
import type { AssistantPart, ChatResponse } from "./Chat.js"
import * as Chat from "./Chat.js"
import { Cost } from "./cost.js"
import { StreamInterruptedError } from "./LLMError.js"
import * as Usage from "./Usage.js"

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
  /** The parts so far in their order. Tool calls are those that are complete. */
  readonly content: ReadonlyArray<AssistantPart>
  /** The index that the events of each part of `content` have. */
  readonly indexes: ReadonlyArray<number>
  readonly finish: Finish | undefined
}

/**
 * The content before the first event.
 *
 * @since 0.1.0
 * @category collecting
 */
export const nothing: Collected = { start: undefined, content: [], indexes: [], finish: undefined }

/** Replaces the part of this kind at an index, or inserts it in the order of the indexes. */
const withPart = <Type extends AssistantPart["type"]>(
  collected: Collected,
  index: number,
  type: Type,
  update: (before: Extract<AssistantPart, { readonly type: Type }> | undefined) => AssistantPart
): Collected => {
  const { content, indexes } = collected
  const last = indexes.findLastIndex((each) => each <= index)
  for (let at = last; at >= 0 && indexes[at] === index; at--) {
    const before = content[at]
    if (before !== undefined && isType(before, type)) return { ...collected, content: content.with(at, update(before)) }
  }
  return {
    ...collected,
    content: content.toSpliced(last + 1, 0, update(undefined)),
    indexes: indexes.toSpliced(last + 1, 0, index)
  }
}

const isType = <Type extends AssistantPart["type"]>(
  part: AssistantPart,
  type: Type
): part is Extract<AssistantPart, { readonly type: Type }> => part.type === type

/** Adds a piece to the part of its kind: the texts are joined, and for every other field the last value is used. */
const withPiece = (
  collected: Collected,
  type: "text" | "refusal" | "reasoning",
  { _tag, index, text, ...fields }: TextDelta | RefusalDelta | ReasoningDelta
): Collected =>
  withPart(collected, index, type, (before) => ({ type, ...before, ...fields, text: (before?.text ?? "") + text }))

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
      return withPiece(collected, "text", event)
    case "RefusalDelta":
      return withPiece(collected, "refusal", event)
    case "ReasoningDelta":
      return withPiece(collected, "reasoning", event)
    case "ToolCallEnd":
      return withPart(collected, event.index, "tool-call", () => event.call)
    case "ProviderPart":
      return withPart(collected, event.index, "provider", () => event.part)
    case "ToolCallDelta":
      return collected
    case "Continued":
      return { ...collected, start: startOf(event) }
    case "Finish":
      return { ...collected, finish: event }
  }
}

/**
 * Makes a partial response from the content of a failed stream. `usage` is used when there was no `Finish` event.
 *
 * @since 0.1.0
 * @category collecting
 */
export const toPartial = (collected: Collected, usage: Usage.Usage): Chat.PartialResponse =>
  Chat.withContent(
    {
      id: collected.start?.id ?? "",
      model: collected.start?.model ?? "",
      usage: collected.finish?.usage ?? usage
    },
    collected.content
  )

/**
 * Returns all text that the model generated, for an estimate of its tokens: texts, refusals, reasoning and arguments of calls.
 *
 * @since 0.2.0
 * @category collecting
 */
export const generatedText = ({ content }: Pick<Collected, "content">): string =>
  content
    .map((part) => (part.type === "tool-call" ? part.arguments : part.type === "provider" ? "" : part.text))
    .join("")

const eventsOfPart = (part: AssistantPart, index: number): ReadonlyArray<ChatEvent> => {
  switch (part.type) {
    case "text": {
      const { cacheControl: _, type: __, ...piece } = part
      return [{ _tag: "TextDelta", index, ...piece }]
    }
    case "refusal": {
      const { type: _, ...piece } = part
      return [{ _tag: "RefusalDelta", index, ...piece }]
    }
    case "reasoning": {
      const { type: _, ...piece } = part
      return [{ _tag: "ReasoningDelta", index, ...piece }]
    }
    case "tool-call":
      return [
        {
          _tag: "ToolCallDelta",
          index,
          id: part.id,
          name: part.name,
          argumentsDelta: part.arguments,
          ...(part.native === undefined ? {} : { native: part.native }),
          ...(part.native === undefined || part.provider === undefined ? {} : { provider: part.provider })
        },
        { _tag: "ToolCallEnd", index, call: part }
      ]
    case "provider":
      return [{ _tag: "ProviderPart", index, part }]
  }
}

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
  ...response.content.flatMap(eventsOfPart),
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
export const toResponse = (collected: Collected, finish: Finish): ChatResponse =>
  Chat.withContent(
    {
      id: collected.start?.id ?? "",
      provider: collected.start?.provider ?? "",
      model: collected.start?.model ?? "",
      finishReason: finish.reason,
      rawFinishReason: finish.rawReason,
      usage: finish.usage,
      ...(finish.cost === undefined ? {} : { cost: finish.cost }),
      latency: finish.latency,
      keyId: collected.start?.keyId ?? "",
      attempts: collected.start?.attempts ?? [],
      providerMetadata: finish.providerMetadata,
      ...(collected.start?.cached === undefined ? {} : { cached: collected.start.cached })
    },
    collected.content
  )

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
                outputTokens: Usage.estimateTokens(generatedText(collected)),
                estimated: true
              })
            )
          })
        )
      : Effect.succeed(toResponse(collected, collected.finish))
  )
