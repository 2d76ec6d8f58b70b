/** Several choices for one request (`n`), each by a call of its own. OpenAI, API reference: chat/create. */
import type { Scope } from "effect"
import { Cause, Chunk, Effect, Option, Queue } from "effect"
import * as Background from "../../internal/background.js"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import * as Usage from "../../vocabulary/Usage.js"
import { encodeUsage } from "../../wire/chatCompletions/usage.js"
import { isRecord, parseJson, record, records, string } from "../../wire/json.js"
import type { Frame, Served, ServerWire } from "../../wire/Wire.js"
import { deltaText } from "../../call/deltaText.js"
import * as Signatures from "../../call/signatures.js"
import * as Finalizers from "../../call/finalizers.js"
import type { Open } from "../../call/openStream.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as HttpErrors from "../http/error.js"
import type { Opened, StreamEncoder } from "./sse.js"
import { renderFrames, sse } from "./sse.js"

/** The body of a whole response: every choice by its index, and the usage of all calls. */
export const encode = (
  wire: ServerWire,
  answers: ReadonlyArray<ChatResponse>,
  served: Served
): Record<string, unknown> => {
  const responses = answers.map(Signatures.sealResponse)
  const [first, ...others] = responses
  if (first === undefined) return {}
  if (others.length === 0) return wire.encodeResponse(first, served)
  const bodies = responses.map((response) => wire.encodeResponse(response, served))
  return {
    ...wire.encodeResponse({ ...first, usage: Usage.combineAll(responses.map(({ usage }) => usage)) }, served),
    choices: bodies.map((body, index) => ({ ...records(body, "choices")[0], index }))
  }
}

/** An event of one of the choices. */
export interface ChoiceEvent {
  readonly index: number
  readonly event: ChatEvent
}

const ofChoice =
  (index: number) =>
  (event: ChatEvent): ChoiceEvent => ({ index, event })

type Pull = Opened<ChoiceEvent>["pull"]

/**
 * Merges streams in the order of arrival. Not `Stream.mergeAll`, whose streams end in Effect 4 when a pull is interrupted: the rest can be
 * read after the client has left.
 */
const merge = (pulls: ReadonlyArray<Pull>): Effect.Effect<Pull, never, Scope.Scope> =>
  Effect.gen(function* () {
    // One buffered chunk at most, so that a slow client slows the providers down.
    const arrived = yield* Queue.bounded<Effect.Effect.Success<Pull> | Ended>(1)
    let unfinished = pulls.length
    let ended: Pull | undefined

    const read = (pull: Pull): Effect.Effect<void> => {
      const next: Effect.Effect<void> = Effect.matchCauseEffect(pull, {
        onSuccess: (events) => Effect.zipRight(Queue.offer(arrived, events), next),
        onFailure: (cause) => {
          if (Cause.isInterruptedOnly(cause)) return Effect.void
          const isEnd = Option.exists(Cause.failureOption(cause), Option.isNone)
          return isEnd && --unfinished > 0 ? Effect.void : Effect.asVoid(Queue.offer(arrived, new Ended(cause)))
        }
      })
      return next
    }

    yield* Effect.forEach(pulls, (pull) => Background.inBackground(read(pull)), { discard: true })
    return Effect.suspend(
      () =>
        ended ??
        Effect.flatMap(Queue.take(arrived), (item): Pull => {
          if (!(item instanceof Ended)) return Effect.succeed(item)
          ended = Effect.failCause(item.cause)
          return ended
        })
    )
  })

/** The end of a merged stream, with its error where it has one. */
class Ended {
  readonly cause: Cause.Cause<Option.Option<LLMError>>
  constructor(cause: Cause.Cause<Option.Option<LLMError>>) {
    this.cause = cause
  }
}

/** Opens the streams of all choices, and merges them in the order of arrival. */
export const openAll =
  (opens: ReadonlyArray<Open>) =>
  (finalizers: Finalizers.Finalizers): Effect.Effect<Opened<ChoiceEvent>, LLMError> =>
    Effect.flatMap(
      Effect.forEach(opens, (open) => open(finalizers), { concurrency: "unbounded" }),
      (opened) =>
        Effect.map(
          Finalizers.scopedBy(
            finalizers,
            merge(opened.map(({ pull }, index) => Effect.map(pull, Chunk.map(ofChoice(index)))))
          ),
          (pull) => ({
            first: Chunk.flatten(
              Chunk.fromIterable(opened.map(({ first }, index) => Chunk.map(first, ofChoice(index))))
            ),
            pull
          })
        )
    )

/** Encodes all choices as one stream: the id of the first chunk, every choice by its index, and the usage of all at the end. */
export const streamEncoder = (
  wire: ServerWire,
  body: Record<string, unknown>,
  count: number,
  createdAt: number
): StreamEncoder<ChoiceEvent> => {
  const wantsUsage = record(body, "stream_options")?.["include_usage"] === true
  const encoders = Array.from({ length: count }, () => wire.encodeStream(body, createdAt))
  const seals = encoders.map(() => Signatures.sealEvents())
  let usage = Usage.empty
  let unfinished = count
  let id: string | undefined
  let head: Readonly<Record<string, unknown>> = {}

  const withIndex = (index: number, { data }: Frame): ReadonlyArray<Frame> => {
    const chunk = parseJson(data)
    if (!isRecord(chunk)) return []
    id ??= string(chunk, "id")
    const choices = records(chunk, "choices").map((choice) => ({ ...choice, index }))
    // The usage chunk of one call: the last chunk has the usage of all.
    if (choices.length === 0) return []
    const { choices: _, usage: __, ...rest } = chunk
    head = { ...rest, id }
    return [{ data: JSON.stringify({ ...chunk, id, choices }) }]
  }

  const finalFrames = (): ReadonlyArray<Frame> => [
    ...(wantsUsage && !usage.estimated
      ? [{ data: JSON.stringify({ ...head, choices: [], usage: encodeUsage(usage) }) }]
      : []),
    { data: "[DONE]" }
  ]

  const framesOf = ({ event, index }: ChoiceEvent): ReadonlyArray<Frame> => {
    const frames = (seals[index]?.([event]) ?? [])
      .flatMap((each) => encoders[index]?.push(each) ?? [])
      .flatMap((frame) => withIndex(index, frame))
    if (event._tag !== "Finish") return frames
    usage = Usage.combine(usage, event.usage)
    unfinished -= 1
    return unfinished === 0 ? [...frames, ...finalFrames()] : frames
  }

  return {
    ...sse,
    textOf: ({ event }) => deltaText(event),
    write: (events) => renderFrames(Array.from(events).flatMap(framesOf)),
    fail: (error) => renderFrames(encoders[0]?.fail(HttpErrors.servedError(error)) ?? [])
  }
}
