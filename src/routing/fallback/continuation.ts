/** A stream that breaks and goes on elsewhere: what is asked of the next one, and how its words are joined to what was said. */
import { Chunk, Effect, Either, Option } from "effect"
import * as Attempt from "../../vocabulary/Attempt.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { ChatEvent, Collected } from "../../vocabulary/ChatEvent.js"
import * as Events from "../../vocabulary/ChatEvent.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import { MalformedResponseError, StreamInterruptedError } from "../../vocabulary/LLMError.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { OpenStream, Pull } from "../../call/openStream.js"
import { end } from "../../call/openStream.js"
import type { OwnedStream } from "../../call/ownedStream.js"
import * as Overlap from "./overlap.js"
import { failedLast } from "./attempts.js"
import { estimateInput, normalize } from "../../call/request.js"

// -------------------------------------------------------------------------------------
// the request
// -------------------------------------------------------------------------------------

/** Half an object cannot be gone on with: a model that is held to a schema writes a whole one. */
export const mayContinue = (request: ChatRequest.Input): boolean =>
  typeof request === "string" || request.responseFormat === undefined || request.responseFormat === "text"

/**
 * The request with what was said at its end. Half a thought is left out: it bears no signature yet, and would be another
 * provider's.
 */
export const requestAfter = (
  request: ChatRequest.Input,
  said: string,
  prompt: string | undefined
): ChatRequest.Input => {
  const text = Overlap.toBeContinued(said)
  if (text === "") return request
  const { maxTokens, messages, ...rest } = typeof request === "string" ? { messages: [Chat.user(request)] } : request
  return {
    ...rest,
    messages: [...messages, Chat.assistant(text), ...(prompt === undefined ? [] : [Chat.user(prompt)])],
    ...(maxTokens === undefined ? {} : { maxTokens: Math.max(1, maxTokens - Usage.estimateTokens(text)) })
  }
}

// -------------------------------------------------------------------------------------
// the joint
// -------------------------------------------------------------------------------------

const textsOf = (events: Chunk.Chunk<ChatEvent>): string =>
  Chunk.reduce(events, "", (text, event) => (event._tag === "TextDelta" ? text + event.text : text))

/** What can only come when no more text does that could repeat what was said. */
const endsText = (event: ChatEvent): boolean =>
  event._tag === "Finish" || event._tag === "ToolCallDelta" || event._tag === "RefusalDelta"

/** The same events with one text in the place of all. */
const withText = (events: Chunk.Chunk<ChatEvent>, text: string): Chunk.Chunk<ChatEvent> => {
  const joined: Array<ChatEvent> = []
  let told = text === ""
  for (const event of events) {
    if (event._tag !== "TextDelta") joined.push(event)
    else if (!told) {
      told = true
      joined.push({ _tag: "TextDelta", text })
    }
  }
  return Chunk.unsafeFromArray(joined)
}

const begunAnew = (events: Chunk.Chunk<ChatEvent>): LLMError => {
  const { start } = Chunk.reduce(events, Events.nothing, Events.append)
  const attempts = failedLast(start?.attempts ?? [], "MalformedResponseError")
  return new MalformedResponseError({
    provider: start?.provider ?? "",
    model: start?.model ?? "",
    ...(start === undefined ? {} : { keyId: start.keyId }),
    attempts,
    path: "",
    excerpt: textsOf(events).slice(0, 200),
    message: "The model was asked to continue an answer and began it anew."
  })
}

/**
 * Holds a continuation back until it says something new, and takes off what it repeats. One that begins the answer anew
 * fails, and the next one may try.
 */
export const joinedTo = (said: string, opened: OpenStream): Effect.Effect<OpenStream, LLMError> => {
  const from = (events: Chunk.Chunk<ChatEvent>, ended: boolean): Effect.Effect<OpenStream, LLMError> => {
    const joined = Overlap.join(said, textsOf(events), ended || Chunk.some(events, endsText))
    switch (joined._tag) {
      case "New":
        return Effect.succeed({ first: withText(events, joined.text), pull: opened.pull })
      case "Restarted":
        return Effect.fail(begunAnew(events))
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

/** Opens the rest of an answer elsewhere; `None` where nobody is left who may try. */
export type Resume = (said: Collected, error: LLMError) => Option.Option<Effect.Effect<OwnedStream, LLMError>>

const estimated = (request: ChatRequest.Input, said: Collected): Usage.Usage =>
  Usage.make({
    inputTokens: Either.match(normalize(request), { onLeft: () => 0, onRight: estimateInput }),
    outputTokens: Usage.estimateTokens(said.text + said.reasoningParts.map((part) => part.text).join("")),
    estimated: true
  })

/** What the provider had counted itself before the stream broke. */
const countedUsage = (error: LLMError): Usage.Usage | undefined => {
  const usage = "partial" in error ? error.partial?.usage : undefined
  return usage === undefined || usage.estimated || usage.totalTokens === 0 ? undefined : usage
}

/** What broke for good after it had been continued: the caller is told of all that was said. */
const brokenAgain = (
  error: LLMError,
  said: Collected,
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
    partial: Events.toPartial(said, usage),
    reported: error._tag === "StreamInterruptedError" ? (error.reported ?? error._tag) : error._tag
  })

/** A stream that is taken up by another when it breaks, as often as `resume` finds one. */
export const continued = (begun: OwnedStream, request: ChatRequest.Input, resume: Resume): OpenStream => {
  let current = begun
  /** All that was given out. */
  let said = Events.nothing
  /** What the present part has said, for its usage. */
  let part = Events.nothing
  /** What the parts before it consumed. */
  let before = Usage.empty
  let thoughtsBefore = 0
  let hasCalls = false
  let isContinued = false
  /** How it ended: whoever pulls again is told again. */
  let over: Pull | undefined

  const give = (events: Chunk.Chunk<ChatEvent>): Chunk.Chunk<ChatEvent> => {
    const given = isContinued ? Chunk.map(events, inContinuation) : events
    for (const event of given) {
      said = Events.append(said, event)
      part = Events.append(part, event)
      hasCalls ||= event._tag === "ToolCallDelta" || event._tag === "ToolCallEnd"
    }
    return given
  }

  const inContinuation = (event: ChatEvent): ChatEvent => {
    switch (event._tag) {
      case "Start":
        return said.start === undefined
          ? event
          : {
              ...event,
              _tag: "Continued",
              attempts: Attempt.concat(said.start.attempts, event.attempts),
              usage: before
            }
      case "ReasoningDelta":
        return { ...event, index: event.index + thoughtsBefore }
      case "Finish":
        return { ...event, usage: Usage.combine(before, event.usage) }
      default:
        return event
    }
  }

  const broken = (error: LLMError): Pull => {
    const attempts = failedLast(said.start?.attempts ?? [], error._tag)
    const consumed = Usage.combine(before, countedUsage(error) ?? estimated(request, part))
    const failed = (last: LLMError, receipt: ReadonlyArray<Attempt.Attempt>): Pull => {
      const told = receipt.length === 0 ? error : Errors.amend(error, { attempts: receipt })
      over = Effect.fail(Option.some(isContinued ? brokenAgain(last, said, consumed, receipt) : told))
      return over
    }
    // Tools that were called, or half called, are the program's to answer; a refusal and an end are last words.
    const complete = hasCalls || said.refusal !== "" || said.finish !== undefined
    return Option.match(complete ? Option.none() : resume(said, error), {
      onNone: () => failed(error, attempts),
      onSome: (open) =>
        Effect.matchEffect(Effect.zipRight(current.close, open), {
          onFailure: (last) => failed(last, Attempt.concat(attempts, last.attempts)),
          onSuccess: (next) => {
            current = next
            before = consumed
            thoughtsBefore = said.reasoningParts.length
            part = Events.nothing
            if (said.start !== undefined) said = { ...said, start: { ...said.start, attempts } }
            isContinued = true
            return Chunk.isEmpty(next.opened.first) ? pull : Effect.succeed(give(next.opened.first))
          }
        })
    })
  }

  const pull: Pull = Effect.suspend(
    () =>
      over ??
      Effect.matchEffect(current.opened.pull, {
        onSuccess: (events) => Effect.succeed(give(events)),
        onFailure: Option.match({ onNone: () => end, onSome: broken })
      })
  )

  return { first: give(begun.opened.first), pull }
}
