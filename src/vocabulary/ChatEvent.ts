/**
 * The vocabulary of a stream, and `collect`, which makes an answer of one.
 *
 * A successful stream is one `Start`, then deltas, then exactly one `Finish`; any other end is a typed failure. For the
 * same answer, `collect(chatStream(request))` equals `chat(request)`, but for the time it took. `Continued` stands between
 * the deltas only where a `Fallback` was told to continue streams that break.
 *
 * @since 0.1.0
 */
import { Effect, Schema, Stream } from "effect"
import { Attempt } from "./Attempt.js"
import type { ChatResponse, ReasoningPart, ToolCall } from "./Chat.js"
import * as Chat from "./Chat.js"
import { Cost } from "./Cost.js"
import { StreamInterruptedError } from "./LLMError.js"
import * as Usage from "./Usage.js"

const Index = Schema.Int.pipe(Schema.nonNegative())

/**
 * The answer has begun: the first thing that the model said has arrived and follows at once.
 *
 * @since 0.1.0
 * @category model
 */
export const Start = Schema.TaggedStruct("Start", {
  /** The provider's id of the answer; empty where it sends none. */
  id: Schema.String,
  provider: Schema.String,
  /** The model that answers, in the provider's words. */
  model: Schema.String,
  /** The id (never the secret) of the key that is used. */
  keyId: Schema.String,
  /** Every attempt made for this stream, in order; the last is this one, with the time it took to its first event. */
  attempts: Schema.Array(Attempt),
  /** Present where no provider was asked for this stream: see `Chat.ChatResponse`. */
  cached: Schema.optionalWith(Chat.Cached, { exact: true })
})

/**
 * @since 0.1.0
 * @category model
 */
export type Start = typeof Start.Type

/**
 * A piece of the answer's text.
 *
 * @since 0.1.0
 * @category model
 */
export const TextDelta = Schema.TaggedStruct("TextDelta", { text: Schema.String })

/**
 * @since 0.1.0
 * @category model
 */
export type TextDelta = typeof TextDelta.Type

/**
 * A piece of what the model thinks. Pieces with the same `index` are one `Chat.ReasoningPart`: their texts are joined, and
 * of every other field the last one sent counts.
 *
 * @since 0.1.0
 * @category model
 */
export const ReasoningDelta = Schema.TaggedStruct("ReasoningDelta", {
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
export type ReasoningDelta = typeof ReasoningDelta.Type

/**
 * A piece of the words in which the model declines to answer.
 *
 * @since 0.1.0
 * @category model
 */
export const RefusalDelta = Schema.TaggedStruct("RefusalDelta", { text: Schema.String })

/**
 * @since 0.1.0
 * @category model
 */
export type RefusalDelta = typeof RefusalDelta.Type

/**
 * A piece of a tool call's arguments. `index` tells parallel calls apart; `id` and `name` are on every piece.
 *
 * @since 0.1.0
 * @category model
 */
export const ToolCallDelta = Schema.TaggedStruct("ToolCallDelta", {
  index: Index,
  id: Schema.String,
  name: Schema.String,
  argumentsDelta: Schema.String
})

/**
 * @since 0.1.0
 * @category model
 */
export type ToolCallDelta = typeof ToolCallDelta.Type

/**
 * A tool call is complete.
 *
 * @since 0.1.0
 * @category model
 */
export const ToolCallEnd = Schema.TaggedStruct("ToolCallEnd", { index: Index, call: Chat.ToolCall })

/**
 * @since 0.1.0
 * @category model
 */
export type ToolCallEnd = typeof ToolCallEnd.Type

/**
 * The one who answered broke off, and from here on another one goes on from what had been said (`continueStreams` of
 * `Fallback`). Nothing is said twice, and what follows belongs to the same answer.
 *
 * @since 0.1.0
 * @category model
 */
export const Continued = Schema.TaggedStruct("Continued", {
  /** The provider's id of the answer that goes on here; empty where it sends none. */
  id: Schema.String,
  provider: Schema.String,
  /** The model that goes on, in the provider's words. */
  model: Schema.String,
  /** The id (never the secret) of the key that is used from here on. */
  keyId: Schema.String,
  /** Every attempt made for this stream so far, in order; the last is the one that goes on. */
  attempts: Schema.Array(Attempt),
  /** What the part that broke consumed. `Finish` has it added to its own. */
  usage: Usage.Usage
})

/**
 * @since 0.1.0
 * @category model
 */
export type Continued = typeof Continued.Type

/**
 * The answer is complete.
 *
 * @since 0.1.0
 * @category model
 */
export const Finish = Schema.TaggedStruct("Finish", {
  reason: Chat.FinishReason,
  /** The provider's own word for why the model stopped; empty where it sends none. */
  rawReason: Schema.String,
  usage: Usage.Usage,
  /** What the answer cost; absent where no price is known, or nobody asked for it with `Pricing.make()`. */
  cost: Schema.optionalWith(Cost, { exact: true }),
  /** From the moment the attempt was sent until now, in milliseconds. */
  latency: Schema.Number,
  /** What else the provider said, in its own words. */
  providerMetadata: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})

/**
 * @since 0.1.0
 * @category model
 */
export type Finish = typeof Finish.Type

/**
 * One event of a stream. A stream that succeeds ends with exactly one `Finish`.
 *
 * @since 0.1.0
 * @category model
 */
export const ChatEvent = Schema.Union(
  Start,
  TextDelta,
  ReasoningDelta,
  RefusalDelta,
  ToolCallDelta,
  ToolCallEnd,
  Continued,
  Finish
).annotations({ identifier: "ChatEvent" })

/**
 * @since 0.1.0
 * @category model
 */
export type ChatEvent = typeof ChatEvent.Type

// -------------------------------------------------------------------------------------
// collecting
// -------------------------------------------------------------------------------------

/**
 * What a stream has said so far.
 *
 * @since 0.1.0
 * @category collecting
 */
export interface Collected {
  /** Who answers: after a `Continued`, the one who goes on. */
  readonly start: Start | undefined
  readonly text: string
  readonly refusal: string
  readonly reasoningParts: ReadonlyArray<ReasoningPart>
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly finish: Finish | undefined
}

/**
 * Nothing yet.
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
 * What a stream has said, one event later.
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

/** The thoughts as one text. */
const reasoningText = (parts: ReadonlyArray<ReasoningPart>): string => parts.map((part) => part.text).join("")

/**
 * What had been said when a stream broke, with `usage` counted by the caller where no `Finish` told it.
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
 * The events that say what a whole answer says: what a stream of it would be if it arrived at once.
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
 * What a stream has said that came to its end.
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
 * The whole answer of a stream. A stream that ends without its `Finish` fails with `StreamInterruptedError`, which
 * carries what had arrived.
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
            message: "The stream ended before its Finish event. What had arrived is in `partial`.",
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
