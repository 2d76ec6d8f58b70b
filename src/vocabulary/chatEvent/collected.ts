/** Collects the events of a stream as a response, and makes events from a response. Exported by `ChatEvent`. */
import type { Types } from "effect"
import { Effect, Stream } from "effect"
import type { AssistantPart, ChatResponse } from "../Chat.js"
import * as Chat from "../Chat.js"
import { StreamInterruptedError } from "../LLMError.js"
import * as Usage from "../Usage.js"
import type { ChatEvent, Continued, Finish, ReasoningDelta, RefusalDelta, Start, TextDelta } from "./events.js"

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

/** The content of a stream so far, extended in place. To read a stream with `append` takes quadratic time in the number of parts. */
export type Collector = Types.Mutable<Omit<Collected, "content" | "indexes">> & {
  readonly content: Array<AssistantPart>
  readonly indexes: Array<number>
}

export const collector = (): Collector => ({ ...nothing, content: [], indexes: [] })

/** The position of the part of this kind at an index; -1 when there is none. */
const positionOf = ({ content, indexes }: Collector, index: number, type: AssistantPart["type"]): number => {
  for (let at = indexes.length - 1; at >= 0; at--) {
    const each = indexes[at]
    if (each !== undefined && each < index) return -1
    if (each === index && content[at]?.type === type) return at
  }
  return -1
}

/** Replaces the part at a position, or inserts it in the order of the indexes. */
const setPart = ({ content, indexes }: Collector, index: number, position: number, part: AssistantPart): void => {
  if (position >= 0) {
    content[position] = part
    return
  }
  const at = indexes.findLastIndex((each) => each <= index) + 1
  content.splice(at, 0, part)
  indexes.splice(at, 0, index)
}

/** Whether a part or a piece, which comes from a stream, has nothing beside its text. */
const hasTextAlone = (value: { readonly provider?: string; readonly native?: Chat.Native }): boolean =>
  value.native === undefined && value.provider === undefined

/** Adds a piece to the part of its kind: the texts are joined, and for every other field the last value is used. */
const addPiece = (into: Collector, type: "text" | "refusal", piece: TextDelta | RefusalDelta): void => {
  const position = positionOf(into, piece.index, type)
  const before = into.content[position]
  const part = before?.type === type ? before : undefined
  const text = (part?.text ?? "") + piece.text
  // Without spreads for most pieces: they take several times as long as the rest.
  if (hasTextAlone(piece) && (part === undefined || hasTextAlone(part))) {
    return setPart(into, piece.index, position, { type, text })
  }
  const { _tag, index, ...fields } = piece
  setPart(into, index, position, { type, ...part, ...fields, text })
}

const addReasoning = (into: Collector, { _tag, index, ...fields }: ReasoningDelta): void => {
  const position = positionOf(into, index, "reasoning")
  const before = into.content[position]
  const part = before?.type === "reasoning" ? before : undefined
  setPart(into, index, position, { type: "reasoning", ...part, ...fields, text: (part?.text ?? "") + fields.text })
}

const startOf = ({ attempts, id, keyId, model, provider }: Continued): Start => ({
  _tag: "Start",
  id,
  provider,
  model,
  keyId,
  attempts
})

/** Adds an event in place. */
export const addTo = (into: Collector, event: ChatEvent): void => {
  switch (event._tag) {
    case "Start":
      into.start = event
      return
    case "TextDelta":
      return addPiece(into, "text", event)
    case "RefusalDelta":
      return addPiece(into, "refusal", event)
    case "ReasoningDelta":
      return addReasoning(into, event)
    case "ToolCallEnd":
      return setPart(into, event.index, positionOf(into, event.index, "tool-call"), event.call)
    case "ProviderPart":
      return setPart(into, event.index, positionOf(into, event.index, "provider"), event.part)
    case "ToolCallDelta":
      return
    case "Continued":
      into.start = startOf(event)
      return
    case "Finish":
      into.finish = event
  }
}

/** The content of complete events. */
export const collectAll = (events: Iterable<ChatEvent>): Collected => {
  const collected = collector()
  for (const event of events) addTo(collected, event)
  return collected
}

/**
 * Adds an event to the content of a stream.
 *
 * @since 0.1.0
 * @category collecting
 */
export const append = (collected: Collected, event: ChatEvent): Collected => {
  const copy: Collector = { ...collected, content: [...collected.content], indexes: [...collected.indexes] }
  addTo(copy, event)
  return copy
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
    // A copy, since a collector is extended in place.
    [...collected.content]
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

/** The events of a whole part. */
export const eventsOfPart = (part: AssistantPart, index: number): ReadonlyArray<ChatEvent> => {
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

const interruptedError = (collected: Collected): StreamInterruptedError =>
  new StreamInterruptedError({
    provider: collected.start?.provider ?? "",
    model: collected.start?.model ?? "",
    message: "The stream ended before its Finish event. The response so far is in `partial`.",
    attempts: collected.start?.attempts ?? [],
    begun: collected.start !== undefined,
    partial: toPartial(
      collected,
      Usage.make({ outputTokens: Usage.estimateTokens(generatedText(collected)), estimated: true })
    )
  })

/**
 * Runs a stream and returns its response. Fails with a `StreamInterruptedError`, which has the partial response, when the stream
 * ends without a `Finish` event.
 *
 * @example
 * ```ts
 * import { ChatEvent, LLM } from "effect-llm"
 *
 * // The same answer as that of `LLM.chat`, with the time limits of a stream.
 * const answer = ChatEvent.collect(LLM.chatStream("Tell me a story."))
 * ```
 *
 * @since 0.1.0
 * @category collecting
 */
export const collect = <E, R>(
  stream: Stream.Stream<ChatEvent, E, R>
): Effect.Effect<ChatResponse, E | StreamInterruptedError, R> =>
  Effect.suspend(() => {
    const collected = collector()
    const read = Stream.runForEachChunk(stream, (events) =>
      Effect.sync(() => {
        for (const event of events) addTo(collected, event)
      })
    )
    return Effect.flatMap(read, () =>
      collected.finish === undefined
        ? Effect.fail(interruptedError(collected))
        : Effect.succeed(toResponse(collected, collected.finish))
    )
  })
