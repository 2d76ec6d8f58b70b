/** Chat responses in a cache: their keys, lookup and storage, and the replay of a cached response. */
import type { Clock } from "effect"
import { Effect, Option } from "effect"
import type { Cached, ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ModelInfo } from "../call/model.js"
import { unchangedText, withRawText } from "../call/passthrough.js"
import * as Signatures from "../call/signatures.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Core, PendingWrite } from "./core.js"
import * as Entry from "./entry.js"
import * as Key from "./key.js"
import * as Recent from "./recent.js"
import { digest } from "../internal/digest.js"
import * as RecentValues from "../internal/recentValues.js"

/** A response of the store or of the provider. */
export interface SourcedResponse {
  readonly response: ChatResponse
  /** When the provider answered, in milliseconds since the epoch. */
  readonly at: number
  /** Whether it comes from the store. */
  readonly stored: boolean
  /** The account that made the signatures in a stored response. */
  readonly account?: string | undefined
}

/** The account that made the signatures in a response, which may come from a cache. The id of its key is not stored. */
const accountOf = (response: ChatResponse): string | undefined =>
  response.content.some((part) => "signature" in part) ? Signatures.makerOfAnswer(response)?.account : undefined

/** The response for a call that did not reach the provider. Times in milliseconds since the epoch. */
export const replay = (
  { account: storedAccount, at, response }: SourcedResponse,
  source: Cached["source"],
  startedAt: number,
  now: number
): ChatResponse => {
  const original = source === "store" ? response : Entry.withoutCallData(response)
  const account = storedAccount ?? accountOf(response)
  const replayed: ChatResponse = {
    ...original,
    usage: Usage.empty,
    latency: now - startedAt,
    cached: {
      source,
      age: Math.max(0, now - at),
      usage: original.usage,
      ...(account === undefined ? {} : { account })
    }
  }
  // The usage in the text is that of the call which made the answer.
  const raw = unchangedText(response)
  return raw === undefined ? replayed : withRawText(raw, raw.text, replayed)
}

/** What the key of a request depends on. */
const withTarget = (
  { baseUrl, defaults, model, provider, wire }: ModelInfo,
  request: ChatRequest.Input
): ReadonlyArray<unknown> => [provider, baseUrl, wire, model, defaults, request]

export interface ResponseStoreOptions {
  readonly scope: string
  readonly ignore: ReadonlySet<Key.Ignorable>
  readonly accept: (response: ChatResponse) => boolean
}

export interface ResponseStore {
  /** The key of a request that was called lately. */
  readonly recentKey: (info: ModelInfo, request: ChatRequest.Input) => string | undefined
  /** None when the request cannot be written as JSON; the call then reports why. */
  readonly keyOf: (info: ModelInfo, request: ChatRequest.Input) => Effect.Effect<Option.Option<string>>
  /** Does what `find` does, outside of Effect, in a store in memory; otherwise returns undefined. */
  readonly unsafeFind: (key: string, now: number) => SourcedResponse | undefined
  readonly find: (key: string, clock: Clock.Clock) => Effect.Effect<SourcedResponse | undefined>
  /** Stores the response if `accept` allows it. `ttl` in milliseconds. */
  readonly save: (pending: PendingWrite, key: string, sourced: SourcedResponse, ttl: number) => Effect.Effect<void>
}

export const make = (core: Core, { accept, ignore, scope }: ResponseStoreOptions): ResponseStore => {
  const keys = RecentValues.make<string>()
  const entries = Recent.make<Entry.ResponseEntry>()

  const keyOf: ResponseStore["keyOf"] = (info, request) => {
    const content = Option.liftThrowable(Key.ofChat)(scope, info, request, ignore)
    if (Option.isNone(content)) return Effect.succeedNone
    const remember = keys.prepare(withTarget(info, request))
    return Effect.map(digest(content.value), (key) => {
      if (Option.isSome(key)) remember(key.value)
      return key
    })
  }

  const decode = (text: string): Entry.ResponseEntry | undefined => {
    const recent = entries.get(text)
    if (recent !== undefined) return recent
    const decoded = Option.getOrUndefined(Entry.decodeResponse(text))
    if (decoded === undefined) return undefined
    const { raw } = decoded
    const response = Entry.withoutCallData(decoded.response)
    const entry = {
      ...decoded,
      response:
        raw === undefined ? response : withRawText({ protocol: raw.protocol, isFaithful: true }, raw.text, response)
    }
    entries.set(text, entry)
    return entry
  }

  const recentKey: ResponseStore["recentKey"] = (info, request) => {
    try {
      return keys.get(withTarget(info, request))
    } catch {
      // A request that cannot be read. `keyOf` has no key for it, and the call reports why.
      return undefined
    }
  }

  /** The response of an entry, unless it has expired or cannot be decoded. */
  const usable = (text: string, now: number): SourcedResponse | undefined => {
    const entry = decode(text)
    return entry !== undefined && Entry.isFresh(entry, now)
      ? { response: entry.response, at: entry.at, stored: true, account: entry.account }
      : undefined
  }

  return {
    recentKey,
    keyOf: (info, request) => Effect.suspend(() => keyOf(info, request)),
    unsafeFind: (key, now) => {
      const text = core.unsafeRead(key, now)
      return Option.isNone(text) ? undefined : usable(text.value, now)
    },
    find: (key, clock) =>
      Effect.flatMap(core.read([key]), ([text]) => {
        if (text === undefined || Option.isNone(text)) return Effect.succeed(undefined)
        const found = usable(text.value, clock.unsafeCurrentTimeMillis())
        return found === undefined ? Effect.as(core.removeUnusable(key), found) : Effect.succeed(found)
      }),
    save: (pending, key, { at, response }, ttl) =>
      Effect.suspend(() => {
        if (!accept(response)) return Effect.void
        const raw = unchangedText(response)
        const account = accountOf(response)
        return Option.match(
          Entry.encodeResponse({
            at,
            until: Entry.expiryOf(at, ttl),
            response: Entry.withoutCallData(response),
            ...(account === undefined ? {} : { account }),
            ...(raw?.isFaithful === true ? { raw: { protocol: raw.protocol, text: raw.text } } : {})
          }),
          {
            onNone: () => Effect.void,
            onSome: (text) => core.write(pending, [[key, text]], ttl)
          }
        )
      })
  }
}
