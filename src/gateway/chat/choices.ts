/** Several answers to one question (`n`), by as many calls. OpenAI, API reference: chat/create. */
import { Chunk, Effect, Exit, Option, Scope, Stream } from "effect"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import * as Usage from "../../vocabulary/Usage.js"
import { encodeUsage } from "../../wire/chatCompletions/usage.js"
import { isRecord, parseJson, record, records, string } from "../../wire/json.js"
import type { Frame, Served, ServerWire } from "../../wire/Wire.js"
import type { OpenStream } from "../../call/openStream.js"
import type { BackgroundStream } from "../../call/backgroundStream.js"
import * as Problem from "../http/error.js"
import type { Manner, Source } from "./sse.js"
import { rendered, sse } from "./sse.js"

/** The answers as one: every choice by its index, and what all of them consumed. */
export const encode = (
  wire: ServerWire,
  responses: ReadonlyArray<ChatResponse>,
  served: Served
): Record<string, unknown> => {
  const [first, ...others] = responses
  if (first === undefined) return {}
  if (others.length === 0) return wire.encodeResponse(first, served)
  const bodies = responses.map((response) => wire.encodeResponse(response, served))
  return {
    ...wire.encodeResponse({ ...first, usage: Usage.combineAll(responses.map(({ usage }) => usage)) }, served),
    choices: bodies.map((body, index) => ({ ...records(body, "choices")[0], index }))
  }
}

/** What one of the answers says. */
export interface Said {
  readonly index: number
  readonly event: ChatEvent
}

const saidBy =
  (index: number) =>
  (event: ChatEvent): Said => ({ index, event })

/** All of the streams as one, each event as it comes. It has begun when all of them have. */
export const merged = (
  openings: ReadonlyArray<BackgroundStream>,
  isCut: () => boolean
): Effect.Effect<Source<Said>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let pull: Source<Said>["pull"] = Effect.fail(Option.none())
    /** A buffer of one chunk: what the client has not taken yet is not gathered here. */
    const merging = (streams: ReadonlyArray<OpenStream>) =>
      Effect.map(
        Stream.toPull(
          Stream.mergeAll(
            streams.map(({ pull }, index) =>
              Stream.repeatEffectChunkOption(Effect.map(pull, Chunk.map(saidBy(index))))
            ),
            { concurrency: streams.length, bufferSize: 1 }
          )
        ),
        (merged): Chunk.Chunk<Said> => {
          pull = merged
          return Chunk.flatten(Chunk.fromIterable(streams.map(({ first }, index) => Chunk.map(first, saidBy(index)))))
        }
      )
    return {
      begun: (millis) =>
        Effect.flatMap(
          Effect.forEach(openings, (opening) => opening.begun(millis), { concurrency: "unbounded" }),
          (exits) => {
            const known = exits.filter((exit) => exit !== undefined)
            return known.length < exits.length && known.every(Exit.isSuccess)
              ? Effect.succeed(undefined)
              : Effect.exit(Effect.flatMap(Effect.all(known), merging))
          }
        ).pipe(Effect.provideService(Scope.Scope, scope)),
      pull: Effect.suspend(() => pull),
      isCut
    }
  })

/** Writes them as one stream: the id of the first, every choice by its index, the usage of all at the end. */
export const manner = (
  wire: ServerWire,
  body: Record<string, unknown>,
  count: number,
  createdAt: number
): Manner<Said> => {
  const wantsUsage = record(body, "stream_options")?.["include_usage"] === true
  const encoders = Array.from({ length: count }, () => wire.encodeStream(body, createdAt))
  let usage = Usage.empty
  let open = count
  let id: string | undefined
  let head: Readonly<Record<string, unknown>> = {}

  const indexed = (index: number, { data }: Frame): ReadonlyArray<Frame> => {
    const chunk = parseJson(data)
    if (!isRecord(chunk)) return []
    id ??= string(chunk, "id")
    const choices = records(chunk, "choices").map((choice) => ({ ...choice, index }))
    // The usage of one alone is told with that of the others.
    if (choices.length === 0) return []
    const { choices: _, usage: __, ...rest } = chunk
    head = { ...rest, id }
    return [{ data: JSON.stringify({ ...chunk, id, choices }) }]
  }

  const last = (): ReadonlyArray<Frame> => [
    ...(wantsUsage && !usage.estimated
      ? [{ data: JSON.stringify({ ...head, choices: [], usage: encodeUsage(usage) }) }]
      : []),
    { data: "[DONE]" }
  ]

  const framesOf = ({ event, index }: Said): ReadonlyArray<Frame> => {
    const frames = (encoders[index]?.push(event) ?? []).flatMap((frame) => indexed(index, frame))
    if (event._tag !== "Finish") return frames
    usage = Usage.combine(usage, event.usage)
    open -= 1
    return open === 0 ? [...frames, ...last()] : frames
  }

  return {
    ...sse,
    write: (said) => rendered(Array.from(said).flatMap(framesOf)),
    fail: (problem) => Effect.sync(() => rendered(encoders[0]?.fail(Problem.told(problem)) ?? []))
  }
}
