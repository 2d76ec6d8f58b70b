/** Several answers to one question (`n`), by as many calls. OpenAI, API reference: chat/create. */
import { Chunk, Effect, Option, Scope, Stream } from "effect"
import type { ChatResponse } from "../Chat.js"
import type { ChatEvent } from "../ChatEvent.js"
import * as Usage from "../Usage.js"
import { encodeUsage } from "../wire/chatCompletions/usage.js"
import { isRecord, parsed, record, records, string } from "../wire/json.js"
import type { Frame, Served, ServerWire } from "../wire/Wire.js"
import type { Opening } from "./opening.js"
import * as Problem from "./problem.js"
import type { Source, Writer } from "./streaming.js"

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
  openings: ReadonlyArray<Opening>,
  isCut: () => boolean
): Effect.Effect<Source<Said>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let pull: Source<Said>["pull"] = Effect.fail(Option.none())
    const begun = Effect.forEach(openings, (opening, index) =>
      Effect.map(Effect.flatten(opening.await), (opened) => ({
        first: Chunk.map(opened.first, saidBy(index)),
        rest: Stream.repeatEffectChunkOption(Effect.map(opened.pull, Chunk.map(saidBy(index))))
      }))
    )
    return {
      await: Effect.exit(
        Effect.flatMap(begun, (all) =>
          Effect.map(
            // A buffer of one chunk: what the client has not taken yet is not gathered here.
            Stream.toPull(
              Stream.mergeAll(
                all.map(({ rest }) => rest),
                { concurrency: all.length, bufferSize: 1 }
              )
            ),
            (merged): Chunk.Chunk<Said> => {
              pull = merged
              return Chunk.flatten(Chunk.fromIterable(all.map(({ first }) => first)))
            }
          )
        ).pipe(Effect.provideService(Scope.Scope, scope))
      ),
      pull: Effect.suspend(() => pull),
      isCut
    }
  })

/** Writes them as one stream: the id of the first, every choice by its index, the usage of all at the end. */
export const writer = (
  wire: ServerWire,
  body: Record<string, unknown>,
  count: number,
  createdAt: number
): Writer<Said> => {
  const wantsUsage = record(body, "stream_options")?.["include_usage"] === true
  const encoders = Array.from({ length: count }, () => wire.encodeStream(body, createdAt))
  let usage = Usage.empty
  let open = count
  let id: string | undefined
  let head: Readonly<Record<string, unknown>> = {}

  const indexed = (index: number, { data }: Frame): ReadonlyArray<Frame> => {
    const chunk = parsed(data)
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

  return {
    push: ({ event, index }) => {
      const frames = (encoders[index]?.push(event) ?? []).flatMap((frame) => indexed(index, frame))
      if (event._tag !== "Finish") return frames
      usage = Usage.combine(usage, event.usage)
      open -= 1
      return open === 0 ? [...frames, ...last()] : frames
    },
    fail: (problem) => encoders[0]?.fail(Problem.told(problem)) ?? []
  }
}
