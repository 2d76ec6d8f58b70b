/** Chat responses in a cache: their keys, lookup and storage, and the replay of a cached response. */
import type { Clock } from "effect"
import { Effect, Option } from "effect"
import type { Cached, ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ModelInfo } from "../call/model.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Core, PendingWrite } from "./core.js"
import * as Entry from "./entry.js"
import * as Key from "./key.js"
import * as Recent from "./recent.js"
import { digest } from "../internal/digest.js"

/** A response of the store or of the provider. */
export interface SourcedResponse {
  readonly response: ChatResponse
  /** When the provider answered, in milliseconds since the epoch. */
  readonly at: number
  /** Whether it comes from the store. */
  readonly stored: boolean
}

/** The response for a call that did not reach the provider. Times in milliseconds since the epoch. */
export const replay = (
  { at, response }: SourcedResponse,
  source: Cached["source"],
  startedAt: number,
  now: number
): ChatResponse => {
  const stored = Entry.withoutCallData(response)
  return {
    ...stored,
    usage: Usage.empty,
    latency: now - startedAt,
    cached: { source, age: Math.max(0, now - at), usage: stored.usage }
  }
}

export interface ResponseStoreOptions {
  readonly scope: string
  readonly ignore: ReadonlySet<Key.Ignorable>
  readonly accept: (response: ChatResponse) => boolean
}

export interface ResponseStore {
  /** None when the request cannot be written as JSON; the call then reports why. */
  readonly keyOf: (info: ModelInfo, request: ChatRequest.Input) => Effect.Effect<Option.Option<string>>
  readonly find: (key: string, clock: Clock.Clock) => Effect.Effect<SourcedResponse | undefined>
  /** Stores the response if `accept` allows it. `ttl` in milliseconds. */
  readonly save: (pending: PendingWrite, key: string, sourced: SourcedResponse, ttl: number) => Effect.Effect<void>
}

export const make = (core: Core, { accept, ignore, scope }: ResponseStoreOptions): ResponseStore => {
  const digests = Recent.make<Option.Option<string>>()
  const entries = Recent.make<Entry.ResponseEntry>()

  const keyOf: ResponseStore["keyOf"] = (info, request) => {
    const content = Option.liftThrowable(Key.ofChat)(scope, info, request, ignore)
    if (Option.isNone(content)) return Effect.succeedNone
    const recent = digests.get(content.value)
    return recent !== undefined
      ? Effect.succeed(recent)
      : Effect.map(digest(content.value), (key) => {
          if (Option.isSome(key)) digests.set(content.value, key)
          return key
        })
  }

  const decode = (text: string): Entry.ResponseEntry | undefined => {
    const recent = entries.get(text)
    if (recent !== undefined) return recent
    const entry = Option.getOrUndefined(Entry.decodeResponse(text))
    if (entry !== undefined) entries.set(text, entry)
    return entry
  }

  return {
    keyOf: (info, request) => Effect.suspend(() => keyOf(info, request)),
    find: (key, clock) =>
      Effect.flatMap(core.read([key]), ([text]) => {
        if (text === undefined || Option.isNone(text)) return Effect.succeed(undefined)
        const entry = decode(text.value)
        return entry !== undefined && Entry.isFresh(entry, clock.unsafeCurrentTimeMillis())
          ? Effect.succeed<SourcedResponse>({ response: entry.response, at: entry.at, stored: true })
          : Effect.as(core.removeUnusable(key), undefined)
      }),
    save: (pending, key, { at, response }, ttl) =>
      Effect.suspend(() => {
        if (!accept(response)) return Effect.void
        return Option.match(
          Entry.encodeResponse({ at, until: Entry.expiryOf(at, ttl), response: Entry.withoutCallData(response) }),
          {
            onNone: () => Effect.void,
            onSome: (text) => core.write(pending, [[key, text]], ttl)
          }
        )
      })
  }
}
