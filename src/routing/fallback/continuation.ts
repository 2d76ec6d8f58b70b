/** Continues a broken stream on another member: the request for the rest of the answer, and the joined stream. */
import { Chunk, Effect, Either, Option } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { ChatEvent, Collected } from "../../vocabulary/ChatEvent.js"
import * as Events from "../../vocabulary/ChatEvent.js"
import { addTo, collectAll, collector } from "../../vocabulary/chatEvent/collected.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import { MalformedResponseError, StreamInterruptedError } from "../../vocabulary/LLMError.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { OpenStream, Pull } from "../../call/openStream.js"
import { end } from "../../call/openStream.js"
import type { OwnedStream } from "../../call/ownedStream.js"
import * as Overlap from "./overlap.js"
import { withLastError } from "./sequence.js"
import { asObject, estimateInput, normalize } from "../../call/request.js"

// -------------------------------------------------------------------------------------
// the request
// -------------------------------------------------------------------------------------

/** Structured answers cannot be continued: a model that must match a schema writes a whole object. */
export const canContinue = (request: ChatRequest.Input): boolean =>
  typeof request === "string" || request.responseFormat === undefined || request.responseFormat === "text"

/**
 * The request with the partial answer as its last message, without white space at its end, which providers refuse. Partial
 * reasoning is left out: it has no signature yet, and another provider could not use it.
 */
export const requestAfter = (
  request: ChatRequest.Input,
  partial: string,
  prompt: string | undefined
): ChatRequest.Input => {
  const text = partial.trimEnd()
  if (text === "") return request
  const { maxTokens, messages, ...rest } = asObject(request)
  return {
    ...rest,
    messages: [...messages, Chat.assistant(text), ...(prompt === undefined ? [] : [Chat.user(prompt)])],
    ...(maxTokens === undefined ? {} : { maxTokens: Math.max(1, maxTokens - Usage.estimateTokens(text)) })
  }
}

// -------------------------------------------------------------------------------------
// the join
// -------------------------------------------------------------------------------------

const textOf = (events: Chunk.Chunk<ChatEvent>): string =>
  Chunk.reduce(events, "", (text, event) => (event._tag === "TextDelta" ? text + event.text : text))

/** Events after which no text follows that could repeat the partial answer. */
const endsText = (event: ChatEvent): boolean =>
  event._tag === "Finish" || event._tag === "ToolCallDelta" || event._tag === "RefusalDelta"

/** Removes the first characters of the text. Each text part becomes one delta, so that a part without new text keeps its index. */
const withoutBeginning = (events: Chunk.Chunk<ChatEvent>, length: number): Chunk.Chunk<ChatEvent> => {
  const joined: Array<ChatEvent> = []
  let left = length
  for (const event of events) {
    if (event._tag !== "TextDelta") {
      joined.push(event)
      continue
    }
    const text = event.text.slice(left)
    left -= event.text.length - text.length
    const at = joined.findIndex((before) => before._tag === "TextDelta" && before.index === event.index)
    const before = joined[at]
    if (before?._tag === "TextDelta") joined[at] = { ...before, ...event, text: before.text + text }
    else joined.push({ ...event, text })
  }
  return Chunk.unsafeFromArray(joined)
}

const restartError = (events: Chunk.Chunk<ChatEvent>): LLMError => {
  const { start } = collectAll(events)
  const attempts = withLastError(start?.attempts ?? [], "MalformedResponseError")
  return new MalformedResponseError({
    provider: start?.provider ?? "",
    model: start?.model ?? "",
    ...(start === undefined ? {} : { keyId: start.keyId }),
    attempts,
    path: "",
    excerpt: textOf(events).slice(0, 200),
    message: "The model restarted an answer that it was asked to continue."
  })
}

/** Buffers a continuation until it has new text, and removes what it repeats. Fails if it restarts the answer. */
export const joinTo = (partial: string, opened: OpenStream): Effect.Effect<OpenStream, LLMError> => {
  const from = (events: Chunk.Chunk<ChatEvent>, isComplete: boolean): Effect.Effect<OpenStream, LLMError> => {
    const text = textOf(events)
    const joined = Overlap.join(partial, text, isComplete || Chunk.some(events, endsText))
    switch (joined._tag) {
      case "New":
        return Effect.succeed({
          first: withoutBeginning(events, text.length - joined.text.length),
          pull: opened.pull
        })
      case "Restarted":
        return Effect.fail(restartError(events))
      case "Undecided":
        return Effect.matchEffect(opened.pull, {
          onSuccess: (more) => from(Chunk.appendAll(events, more), false),
          onFailure: Option.match({ onNone: () => from(events, true), onSome: (error) => Effect.fail(error) })
        })
    }
  }
  return from(opened.first, false)
}

// -------------------------------------------------------------------------------------
// the stream
// -------------------------------------------------------------------------------------

/** Opens the rest of an answer on another member; `None` where no member is left that takes the error. */
export type Resume = (partial: string, error: LLMError) => Option.Option<Effect.Effect<OwnedStream, LLMError>>

const estimatedUsage = (request: ChatRequest.Input, collected: Collected): Usage.Usage =>
  Usage.make({
    inputTokens: Either.match(normalize(request), { onLeft: () => 0, onRight: estimateInput }),
    outputTokens: Usage.estimateTokens(Events.generatedText(collected)),
    estimated: true
  })

/** The usage that the provider reported before the stream broke. */
const reportedUsage = (error: LLMError): Usage.Usage | undefined => {
  const usage = "partial" in error ? error.partial?.usage : undefined
  return usage === undefined || usage.estimated || usage.totalTokens === 0 ? undefined : usage
}

/** The error of a stream that breaks for good after it was continued, with the partial answer of all parts. */
const interruptedError = (
  error: LLMError,
  collected: Collected,
  usage: Usage.Usage,
  attempts: ReadonlyArray<Attempt.Attempt>
): LLMError =>
  new StreamInterruptedError({
    provider: error.provider,
    model: error.model,
    ...(error.keyId === undefined ? {} : { keyId: error.keyId }),
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    message: error.message,
    attempts,
    begun: true,
    partial: Events.toPartial(collected, usage),
    reported: error._tag === "StreamInterruptedError" ? (error.reported ?? error._tag) : error._tag
  })

/**
 * Events after which no other member can continue the answer: a tool call, even a partial one, a part of the provider, a refusal,
 * and the end of the answer. The request for the rest has only the text, so it cannot carry the first two.
 */
const endsContinuation = (event: ChatEvent): boolean =>
  event._tag === "ToolCallDelta" ||
  event._tag === "ToolCallEnd" ||
  event._tag === "ProviderPart" ||
  event._tag === "Finish" ||
  (event._tag === "RefusalDelta" && event.text !== "")

/** Whether the last part of an answer is a text that can grow. Native fields describe the text as it is. */
const endsWithOpenText = ({ content, indexes }: Collected, count: number): boolean => {
  const last = content.at(-1)
  return last?.type === "text" && last.native === undefined && indexes.at(-1) === count - 1
}

/** Continues a stream on another one each time it breaks, as long as `resume` returns one. */
export const continueStream = (begun: OwnedStream, request: ChatRequest.Input, resume: Resume): OpenStream => {
  let current = begun
  /** All events that were emitted. */
  const collected = collector()
  /** The events of the current stream, for its usage. */
  let collectedFromCurrent = collector()
  /** The usage of the earlier streams. */
  let earlierUsage = Usage.empty
  /** The number of parts that began, of which some may have no content. */
  let partCount = 0
  /** What is added to the indexes of the current stream; undefined until its first part begins. */
  let indexOffset: number | undefined = 0
  let isFinal = false
  let isContinued = false
  /** The final error, which every later pull returns again. */
  let failure: Pull | undefined

  const emit = (events: Chunk.Chunk<ChatEvent>): Chunk.Chunk<ChatEvent> => {
    const emitted = isContinued ? Chunk.map(events, toContinuation) : events
    for (const event of emitted) {
      addTo(collected, event)
      addTo(collectedFromCurrent, event)
      if ("index" in event) partCount = Math.max(partCount, event.index + 1)
      isFinal ||= endsContinuation(event)
    }
    return emitted
  }

  /** A continuation that begins with text continues the last text of the answer; all its other parts are new ones. */
  const offsetFrom = (event: ChatEvent & { readonly index: number }): number =>
    event._tag === "TextDelta" && event.index === 0 && endsWithOpenText(collected, partCount)
      ? partCount - 1
      : partCount

  const toContinuation = (event: ChatEvent): ChatEvent => {
    if ("index" in event) {
      indexOffset ??= offsetFrom(event)
      return { ...event, index: event.index + indexOffset }
    }
    switch (event._tag) {
      case "Start":
        return collected.start === undefined
          ? event
          : {
              ...event,
              _tag: "Continued",
              attempts: Attempt.concat(collected.start.attempts, event.attempts),
              usage: earlierUsage
            }
      case "Finish":
        return { ...event, usage: Usage.combine(earlierUsage, event.usage) }
      default:
        return event
    }
  }

  const recover = (error: LLMError): Pull => {
    const attempts = withLastError(collected.start?.attempts ?? [], error._tag)
    const usage = Usage.combine(earlierUsage, reportedUsage(error) ?? estimatedUsage(request, collectedFromCurrent))
    const fail = (last: LLMError, all: ReadonlyArray<Attempt.Attempt>): Pull => {
      const amended = all.length === 0 ? error : Errors.update(error, { attempts: all })
      failure = Effect.fail(Option.some(isContinued ? interruptedError(last, collected, usage, all) : amended))
      return failure
    }
    return Option.match(isFinal ? Option.none() : resume(Chat.textOf(collected.content), error), {
      onNone: () => fail(error, attempts),
      onSome: (open) =>
        Effect.matchEffect(Effect.zipRight(current.close, open), {
          onFailure: (last) => fail(last, Attempt.concat(attempts, last.attempts)),
          onSuccess: (next) => {
            current = next
            earlierUsage = usage
            indexOffset = undefined
            collectedFromCurrent = collector()
            if (collected.start !== undefined) collected.start = { ...collected.start, attempts }
            isContinued = true
            return Chunk.isEmpty(next.opened.first) ? pull : Effect.succeed(emit(next.opened.first))
          }
        })
    })
  }

  const pull: Pull = Effect.suspend(
    () =>
      failure ??
      Effect.matchEffect(current.opened.pull, {
        onSuccess: (events) => Effect.succeed(emit(events)),
        onFailure: Option.match({ onNone: () => end, onSome: recover })
      })
  )

  return { first: emit(begun.opened.first), pull }
}
