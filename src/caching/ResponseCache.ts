/**
 * Answers that were given before are given again, and no provider is asked.
 *
 * Two requests are the same when everything that they say is: messages, tools, schemas, temperature, `extra`, the model that
 * they name or that the `LLM` has, with provider, protocol, base URL and the `LLM`'s defaults. Only whole answers are kept, not
 * those that were cut off, filtered or refused. Equal requests at the same time are one: the others wait for its answer, and
 * one of them takes over when it is interrupted.
 *
 * An answer from the cache says so in `cached`. It consumed nothing, so its `usage` is zero and it has no `attempts`: whoever
 * adds up tokens or prices counts it right without knowing of caches. What it saved is in `cached.usage`.
 *
 * A store that fails or is slow never fails a call: the call goes on without it.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CacheStore, LLM, ResponseCache } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const Cached = OpenAI.pipe(
 *   LLM.withMiddleware(ResponseCache.middleware),
 *   Layer.provideMerge(ResponseCache.layer({ ttl: "1 day" })),
 *   Layer.provide(CacheStore.layerMemory())
 * )
 *
 * const program = Effect.gen(function* () {
 *   yield* LLM.chat("What is the capital of France?")
 *   const { cached } = yield* LLM.chat("What is the capital of France?")
 *   const { hitRate } = yield* Effect.flatMap(ResponseCache.ResponseCache, (cache) => cache.stats)
 *   return { cached, hitRate }
 * }).pipe(Effect.provide(Cached))
 * ```
 *
 * @since 0.1.0
 */
import { Chunk, Context, Duration, Effect, Layer, Option } from "effect"
import type { Clock } from "effect"
import { dual } from "effect/Function"
import type { CacheOptions, CacheService, CacheStats, Wish } from "./model.js"
import { CacheStore, CacheWish } from "./model.js"
import type { Cached, ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import * as Answers from "./responses.js"
import * as Core from "./core.js"
import type { Ignorable } from "./key.js"
import { CallLimits } from "../call/limits.js"
import * as SingleFlight from "./singleFlight.js"
import type { Open, OpenStream } from "../call/openStream.js"
import { end, fromStream, toStream } from "../call/openStream.js"
import type { Middleware, ModelInfo, Service as LLMService } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"

/**
 * Which answers are cached and for how long, and what a slow or broken store can cost.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options extends CacheOptions {
  /** Which requests are looked up and stored, such as those with `temperature: 0`. @default all */
  readonly when?: (request: Exclude<ChatRequest.Input, string>) => boolean
  /** Which answers are stored. @default `isComplete` */
  readonly accept?: (response: ChatResponse) => boolean
  /**
   * Fields that do not distinguish requests. Leave out `user` only when no provider answers by user, as some do that keep
   * conversations. @default none
   */
  readonly ignore?: ReadonlyArray<Ignorable>
  /**
   * Whether streams are stored and replayed. A replay is one `Start`, whole reasoning, text and tool calls, and one `Finish`.
   * Equal streams at the same time each call the provider. @default false
   */
  readonly streams?: boolean
}

/**
 * Statistics of a cache. `hits` and `misses` count calls.
 *
 * @since 0.1.0
 * @category model
 */
export interface Stats extends CacheStats {
  /** Calls that received the answer of an equal call in flight. */
  readonly shared: number
  /** Calls that did not use the cache; not part of `hitRate`. */
  readonly bypassed: number
}

/**
 * A cache of answers.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service extends CacheService<ChatRequest.Input, Stats> {}

/**
 * The cache whose middleware is around an `LLM`, to ask it for its `stats` and to clear it.
 *
 * @since 0.1.0
 * @category tags
 */
export class ResponseCache extends Context.Tag("effect-llm/ResponseCache")<ResponseCache, Service>() {}

export { CacheWish, type Wish } from "./model.js"

const wishing =
  (change: (wish: Wish) => Wish) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(CacheWish, (wish) => Effect.provideService(self, CacheWish, change(wish)))

/**
 * The calls within neither look into caches nor leave anything there.
 *
 * @since 0.1.0
 * @category combinators
 */
export const bypass: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = wishing((wish) => ({
  ...wish,
  mode: "bypass"
}))

/**
 * The calls within ask anew, and their answers take the place of what was kept.
 *
 * @since 0.1.0
 * @category combinators
 */
export const refresh: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = wishing((wish) => ({
  ...wish,
  mode: "refresh"
}))

/**
 * The answers to the calls within are kept for so long. Of equal calls at the same time, the first decides.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withTtl: {
  (ttl: Duration.DurationInput): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, ttl: Duration.DurationInput): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, ttl: Duration.DurationInput): Effect.Effect<A, E, R> =>
  wishing((wish) => ({ ...wish, ttl }))(self)
)

/**
 * Whether an answer came to its own end and says something: not cut off at its token limit, not filtered, not refused, not
 * empty.
 *
 * @since 0.1.0
 * @category decisions
 */
export const isComplete = ({ finishReason, refusal, text, toolCalls }: ChatResponse): boolean =>
  (finishReason === "stop" || finishReason === "tool-calls") && refusal === "" && (text !== "" || toolCalls.length > 0)

/** Whether one with a later deadline, or more patience, may fare better. */
const wantsTime = (error: LLMError): boolean => error._tag === "TimeoutError" || error._tag === "RateLimitError"

const isWanted = (options: Options, request: ChatRequest.Input): boolean =>
  options.when === undefined ||
  options.when(typeof request === "string" ? { messages: [{ role: "user", content: request }] } : request)

/**
 * A cache over the store in context.
 *
 * @throws TypeError where an option makes no sense
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, CacheStore> => {
  Core.check("ResponseCache", options)
  return Effect.gen(function* () {
    const core = yield* Core.make(yield* CacheStore, "ResponseCache", options)
    const flights: SingleFlight.SingleFlight<Answers.Brought, LLMError> = new Map()
    const { find, keep, keyOf } = Answers.make(core, {
      scope: options.scope ?? "",
      ignore: new Set(options.ignore ?? []),
      accept: options.accept ?? isComplete
    })

    const ttlOf = ({ ttl }: Wish): number => (ttl === undefined ? core.ttl : Duration.toMillis(ttl))

    const lookedUp = (key: string, wish: Wish, clock: Clock.Clock) =>
      wish.mode === "refresh" ? Effect.succeed(undefined) : find(key, clock)

    const entering = <A, R>(
      info: ModelInfo,
      request: ChatRequest.Input,
      otherwise: Effect.Effect<A, LLMError, R>,
      use: (key: string, wish: Wish, clock: Clock.Clock) => Effect.Effect<A, LLMError, R>
    ): Effect.Effect<A, LLMError, R> =>
      Effect.flatMap(CacheWish, (wish) =>
        wish.mode === "bypass" || !isWanted(options, request)
          ? Effect.zipRight(core.count("bypassed"), otherwise)
          : Effect.flatMap(
              keyOf(info, request),
              Option.match({
                onNone: () => Effect.zipRight(core.count("bypassed"), otherwise),
                onSome: (key) => Effect.clockWith((clock) => use(key, wish, clock))
              })
            )
      )

    /** Looks the answer up; asks and keeps it where it is not there. */
    const bringing =
      (next: LLMService, request: ChatRequest.Input, key: string, wish: Wish, clock: Clock.Clock) =>
      (bring: (value: Answers.Brought) => void): Effect.Effect<Answers.Brought, LLMError> =>
        Effect.flatMap(lookedUp(key, wish, clock), (hit) =>
          hit !== undefined
            ? Effect.succeed(hit)
            : Effect.acquireUseRelease(
                Effect.as(core.count("misses"), core.issue([key])),
                (ticket) =>
                  Effect.flatMap(next.chat(request), (response) => {
                    const brought = {
                      response,
                      at: clock.unsafeCurrentTimeMillis() - (response.cached?.age ?? 0),
                      stored: false
                    }
                    bring(brought)
                    return Effect.as(keep(ticket, key, brought, ttlOf(wish)), brought)
                  }),
                (ticket) => Effect.sync(() => core.giveBack(ticket))
              )
        )

    const chat =
      (next: LLMService): LLMService["chat"] =>
      (request) =>
        entering(next.info, request, next.chat(request), (key, wish, clock) => {
          const startedAt = clock.unsafeCurrentTimeMillis()
          const toHit = (brought: Answers.Brought, source: Cached["source"]) =>
            Effect.as(
              core.count(source === "store" ? "hits" : "shared"),
              Answers.replayed(brought, source, startedAt, clock.unsafeCurrentTimeMillis())
            )
          return Effect.flatMap(CallLimits, ({ deadline, patience }) =>
            Effect.flatMap(
              SingleFlight.share(
                flights,
                {
                  key: `${key} ${wish.mode} ${patience}`,
                  deadline,
                  wantsTime,
                  toFollower: (error) => Errors.amend(error, { attempts: [] })
                },
                bringing(next, request, key, wish, clock)
              ),
              ({ followed, value }) =>
                value.stored
                  ? toHit(value, "store")
                  : followed
                    ? toHit(value, "flight")
                    : Effect.succeed(value.response)
            )
          )
        })

    /** The stream, whose answer is kept when it has come to its end. */
    const recorded = (open: Open, key: string, wish: Wish, clock: Clock.Clock): Open =>
      Effect.flatMap(
        Effect.acquireRelease(Effect.as(core.count("misses"), core.issue([key])), (ticket) =>
          Effect.sync(() => core.giveBack(ticket))
        ),
        (ticket) =>
          Effect.flatMap(open, (opened) => {
            let said = Events.nothing
            const heard = (events: Chunk.Chunk<Events.ChatEvent>): Effect.Effect<Chunk.Chunk<Events.ChatEvent>> => {
              for (const event of events) {
                said = Events.append(said, event)
                if (event._tag === "Finish") {
                  const response = Events.toResponse(said, event)
                  const at = clock.unsafeCurrentTimeMillis() - (response.cached?.age ?? 0)
                  return Effect.as(keep(ticket, key, { response, at, stored: false }, ttlOf(wish)), events)
                }
              }
              return Effect.succeed(events)
            }
            return Effect.map(heard(opened.first), (first): OpenStream => ({
              first,
              pull: Effect.flatMap(opened.pull, heard)
            }))
          })
      )

    const chatStream =
      (next: LLMService): LLMService["chatStream"] =>
      (request) =>
        toStream(
          entering(next.info, request, fromStream(next.chatStream(request)), (key, wish, clock) => {
            const startedAt = clock.unsafeCurrentTimeMillis()
            return Effect.flatMap(lookedUp(key, wish, clock), (hit) =>
              hit === undefined
                ? recorded(fromStream(next.chatStream(request)), key, wish, clock)
                : Effect.map(core.count("hits"), (): OpenStream => {
                    const response = Answers.replayed(hit, "store", startedAt, clock.unsafeCurrentTimeMillis())
                    return { first: Chunk.unsafeFromArray(Events.fromResponse(response)), pull: end }
                  })
            )
          })
        )

    return {
      middleware: (next) =>
        Effect.succeed({
          ...next,
          chat: chat(next),
          ...(options.streams === true ? { chatStream: chatStream(next) } : {})
        }),
      stats: core.stats,
      clear: Effect.suspend(() => {
        flights.clear()
        return core.clear
      }),
      invalidate: (llm, request) =>
        Effect.flatMap(
          keyOf(llm.info, request),
          Option.match({
            onNone: () => Effect.void,
            onSome: (key) => {
              for (const flight of flights.keys()) if (flight.startsWith(key)) flights.delete(flight)
              return core.invalidate(key)
            }
          })
        )
    }
  })
}

/**
 * A cache over the store in context.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<ResponseCache, never, CacheStore> =>
  Layer.effect(ResponseCache, make(options))

/**
 * The middleware of the cache in context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const middleware: Middleware<never, ResponseCache> = (next) =>
  Effect.flatMap(ResponseCache, (cache) => cache.middleware(next))
