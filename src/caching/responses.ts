/** Answers in a cache: under which key, how they are found and kept, and how they look to a call that asked nobody. */
import type { Clock } from "effect"
import { Effect, Option } from "effect"
import type { Cached, ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ModelInfo } from "../call/model.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Core, Ticket } from "./core.js"
import * as Entry from "./entry.js"
import * as Key from "./key.js"
import { digest } from "../internal/digest.js"

/** An answer on its way to whoever waits for it. */
export interface Brought {
  readonly response: ChatResponse
  /** When it was made, in milliseconds since the epoch. */
  readonly at: number
  /** Whether it was found in the store. */
  readonly stored: boolean
}

/** The answer as a call gets it that asked nobody. Times in milliseconds since the epoch. */
export const replayed = (
  { at, response }: Brought,
  source: Cached["source"],
  startedAt: number,
  now: number
): ChatResponse => {
  const kept = Entry.kept(response)
  return {
    ...kept,
    usage: Usage.empty,
    latency: now - startedAt,
    cached: { source, age: Math.max(0, now - at), usage: kept.usage }
  }
}

export interface AnswersOptions {
  readonly scope: string
  readonly ignore: ReadonlySet<Key.Ignorable>
  readonly accept: (response: ChatResponse) => boolean
}

export interface Answers {
  /** None where a request cannot be written as JSON: whoever sends it will say what is wrong with it. */
  readonly keyOf: (info: ModelInfo, request: ChatRequest.Input) => Effect.Effect<Option.Option<string>>
  readonly find: (key: string, clock: Clock.Clock) => Effect.Effect<Brought | undefined>
  /** Keeps an answer that is fit for it. `ttl` in milliseconds. */
  readonly keep: (ticket: Ticket, key: string, brought: Brought, ttl: number) => Effect.Effect<void>
}

export const make = (core: Core, { accept, ignore, scope }: AnswersOptions): Answers => ({
  keyOf: (info, request) =>
    Effect.suspend(() =>
      Option.match(Option.liftThrowable(Key.ofChat)(scope, info, request, ignore), {
        onNone: () => Effect.succeedNone,
        onSome: digest
      })
    ),
  find: (key, clock) =>
    Effect.flatMap(core.read([key]), ([text]) => {
      if (text === undefined || Option.isNone(text)) return Effect.succeed(undefined)
      const entry = Entry.decodeResponse(text.value)
      return Option.isSome(entry) && Entry.fresh(entry.value, clock.unsafeCurrentTimeMillis())
        ? Effect.succeed<Brought>({ response: entry.value.response, at: entry.value.at, stored: true })
        : Effect.as(core.drop(key), undefined)
    }),
  keep: (ticket, key, { at, response }, ttl) =>
    Effect.suspend(() => {
      if (!accept(response)) return Effect.void
      return Option.match(Entry.encodeResponse({ at, until: Entry.untilOf(at, ttl), response: Entry.kept(response) }), {
        onNone: () => Effect.void,
        onSome: (text) => core.write(ticket, [[key, text]], ttl)
      })
    })
})
