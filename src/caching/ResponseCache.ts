/**
 * Caches the answers of chat requests: an equal request is answered from the store without calling the provider.
 *
 * Two requests are equal when all their fields are: messages, tools, schemas, temperature, `extra`, the model of the request or
 * of the `LLM`, with the provider, protocol, base URL and defaults of the `LLM`. Only complete answers are stored, not those that
 * were cut off, filtered or refused. Equal requests at the same time share one call; when that call is interrupted, one of the
 * waiting requests calls the provider instead.
 *
 * An answer from the cache has the field `cached`. Its `usage` is zero and its `attempts` are empty, so that sums of tokens and
 * cost are right without special treatment. The usage that it saved is in `cached.usage`.
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
 *   LLM.withMiddleware(ResponseCache.middleware()),
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
import { CacheStore } from "./model.js"
import type { CacheOptions, CacheService, CacheStats, CacheControl } from "./options.js"
import { CurrentCacheControl } from "./options.js"
import type { Cached, ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import { addTo, collector } from "../vocabulary/chatEvent/collected.js"
import * as Responses from "./responses.js"
import * as Core from "./core.js"
import type { Ignorable } from "./key.js"
import { isContentPart } from "../call/answerParts.js"
import { CallLimits } from "../call/limits.js"
import { clockOf } from "../internal/clock.js"
import { changed } from "../internal/context.js"
import { asObject } from "../call/request.js"
import * as SingleFlight from "./singleFlight.js"
import type { Finalizers } from "../call/finalizers.js"
import type { Open, Opening, OpenStream } from "../call/openStream.js"
import { end, openChat, toStream } from "../call/openStream.js"
import type { RunChat } from "../call/sending.js"
import { runChat, toChatOf } from "../call/sending.js"
import { wrap } from "../call/wrap.js"
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
  readonly when?: (request: ChatRequest.Messages) => boolean
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
 * The cache behind the middleware: provides its statistics, `clear` and `invalidate`.
 *
 * @since 0.1.0
 * @category tags
 */
export class ResponseCache extends Context.Tag("effect-llm/ResponseCache")<ResponseCache, Service>() {}

export { CurrentCacheControl, type CacheControl } from "./options.js"

const withCacheControl =
  (change: (control: CacheControl) => CacheControl) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    changed(self, (context) =>
      Context.add(context, CurrentCacheControl, change(Context.get(context, CurrentCacheControl)))
    )

/**
 * Runs the calls within without caches: no lookup and no storing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const bypass: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = withCacheControl(
  (control) => ({
    ...control,
    mode: "bypass"
  })
)

/**
 * Runs the calls within without a lookup. Their answers replace the stored ones.
 *
 * @since 0.1.0
 * @category combinators
 */
export const refresh: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = withCacheControl(
  (control) => ({
    ...control,
    mode: "refresh"
  })
)

/**
 * Sets how long the answers to the calls within are valid. Of equal calls at the same time, the `ttl` of the first is used.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withTtl: {
  (ttl: Duration.DurationInput): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, ttl: Duration.DurationInput): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, ttl: Duration.DurationInput): Effect.Effect<A, E, R> =>
  withCacheControl((control) => ({ ...control, ttl }))(self)
)

/**
 * Whether an answer is complete: it has text, tool calls or provider parts, was not refused, and ended with `stop` or `tool-calls` (not cut off
 * at its token limit and not filtered).
 *
 * @since 0.1.0
 * @category decisions
 */
export const isComplete = ({ content, finishReason, refusal }: ChatResponse): boolean =>
  (finishReason === "stop" || finishReason === "tool-calls") && refusal === "" && content.some(isContentPart)

/** Whether a call with a later deadline can succeed where one failed with this error. */
const dependsOnDeadline = (error: LLMError): boolean => error._tag === "TimeoutError" || error._tag === "RateLimitError"

const isIncluded = (options: Options, request: ChatRequest.Input): boolean =>
  options.when === undefined || options.when(asObject(request))

/**
 * Makes a cache over the store in context.
 *
 * @throws TypeError when an option is invalid
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, CacheStore> => {
  Core.check("ResponseCache", options)
  return Effect.gen(function* () {
    const core = yield* Core.make(yield* CacheStore, "ResponseCache", options)
    const flights: SingleFlight.SingleFlight<Responses.SourcedResponse, LLMError> = new Map()
    const { find, keyOf, recentKey, save, unsafeFind } = Responses.make(core, {
      scope: options.scope ?? "",
      ignore: new Set(options.ignore ?? []),
      accept: options.accept ?? isComplete
    })

    const ttlOf = ({ ttl }: CacheControl): number => (ttl === undefined ? core.ttl : Duration.toMillis(ttl))

    const lookUp = (key: string, control: CacheControl, clock: Clock.Clock) =>
      control.mode === "refresh" ? Effect.succeed(undefined) : find(key, clock)

    const withKey = <A, R>(
      info: ModelInfo,
      request: ChatRequest.Input,
      uncached: () => Effect.Effect<A, LLMError, R>,
      use: (key: string, control: CacheControl, clock: Clock.Clock) => Effect.Effect<A, LLMError, R>
    ): Effect.Effect<A, LLMError, R> =>
      Effect.withFiberRuntime((fiber) => {
        const control = Context.get(fiber.currentContext, CurrentCacheControl)
        const bypass = () => {
          core.unsafeCount("bypassed")
          return uncached()
        }
        if (control.mode === "bypass" || !isIncluded(options, request)) return bypass()
        const recent = recentKey(info, request)
        return recent === undefined
          ? Effect.flatMap(keyOf(info, request), (key) =>
              Option.isNone(key) ? bypass() : use(key.value, control, clockOf(fiber))
            )
          : use(recent, control, clockOf(fiber))
      })

    /** The number of answers that calls have stored. */
    let stored = 0

    /** Looks the answer up; on a miss, calls the provider, publishes the answer to waiting requests and stores it. */
    const lookUpOrCall =
      (
        send: () => Effect.Effect<ChatResponse, LLMError>,
        key: string,
        control: CacheControl,
        clock: Clock.Clock,
        /** The value of `stored` at which the answer was missing. */
        missedAt?: number
      ) =>
      (publish: (value: Responses.SourcedResponse) => void): Effect.Effect<Responses.SourcedResponse, LLMError> =>
        Effect.flatMap(missedAt === stored ? Effect.succeed(undefined) : lookUp(key, control, clock), (hit) =>
          hit !== undefined
            ? Effect.succeed(hit)
            : Effect.acquireUseRelease(
                Effect.as(core.count("misses"), core.beginWrite([key])),
                (pending) =>
                  Effect.flatMap(send(), (response) => {
                    const answer = {
                      response,
                      at: clock.unsafeCurrentTimeMillis() - (response.cached?.age ?? 0),
                      stored: false
                    }
                    publish(answer)
                    return Effect.map(save(pending, key, answer, ttlOf(control)), () => {
                      stored++
                      return answer
                    })
                  }),
                (pending) => Effect.sync(() => core.endWrite(pending))
              )
        )

    const chat =
      (next: LLMService): RunChat =>
      (input, added) => {
        const send = () => runChat(next, input, added)
        return withKey(next.info, added.request ?? input, send, (key, control, clock) => {
          const startedAt = clock.unsafeCurrentTimeMillis()
          const toHit = (answer: Responses.SourcedResponse, source: Cached["source"]) => {
            core.unsafeCount(source === "store" ? "hits" : "shared")
            return Effect.succeed(Responses.replay(answer, source, startedAt, clock.unsafeCurrentTimeMillis()))
          }
          if (core.isImmediate && control.mode === "use") {
            const hit = unsafeFind(key, startedAt)
            if (hit !== undefined) return toHit(hit, "store")
          }
          const lookUpOrShare = (missedAt?: number) =>
            Effect.flatMap(CallLimits, ({ deadline, maxWait }) =>
              Effect.flatMap(
                SingleFlight.share(
                  flights,
                  {
                    key: `${key} ${control.mode} ${maxWait}`,
                    deadline,
                    dependsOnDeadline,
                    toSharedError: (error) => Errors.update(error, { attempts: [] })
                  },
                  lookUpOrCall(send, key, control, clock, missedAt)
                ),
                ({ shared, value }) =>
                  value.stored
                    ? toHit(value, "store")
                    : shared
                      ? toHit(value, "flight")
                      : Effect.succeed(value.response)
              )
            )
          // A store that answers at once is looked up before a flight: a hit then needs none.
          return core.isImmediate && control.mode === "use"
            ? Effect.flatMap(find(key, clock), (hit) =>
                hit === undefined ? lookUpOrShare(stored) : toHit(hit, "store")
              )
            : lookUpOrShare()
        })
      }

    /** The stream; its answer is stored at the `Finish` event. */
    const recordStream = (
      open: Open,
      finalizers: Finalizers,
      key: string,
      control: CacheControl,
      clock: Clock.Clock
    ): Opening =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(core.count("misses"), () => {
          const pending = core.beginWrite([key])
          const collected = collector()
          const record = (events: Chunk.Chunk<Events.ChatEvent>): Effect.Effect<Chunk.Chunk<Events.ChatEvent>> => {
            for (const event of events) {
              addTo(collected, event)
              if (event._tag === "Finish") {
                const response = Events.toResponse(collected, event)
                const at = clock.unsafeCurrentTimeMillis() - (response.cached?.age ?? 0)
                return Effect.as(save(pending, key, { response, at, stored: false }, ttlOf(control)), events)
              }
            }
            return Effect.succeed(events)
          }
          const opening = Effect.flatMap(
            Effect.suspend(() => open(finalizers)),
            (opened) =>
              Effect.map(record(opened.first), (first): OpenStream => ({
                first,
                pull: Effect.flatMap(opened.pull, record)
              }))
          )
          return finalizers.add(
            () => Effect.sync(() => core.endWrite(pending)),
            () => restore(opening)
          )
        })
      )

    const chatStream =
      (next: LLMService): LLMService["chatStream"] =>
      (request) =>
        toStream((finalizers) =>
          withKey(
            next.info,
            request,
            () => openChat(next, request)(finalizers),
            (key, control, clock) => {
              const startedAt = clock.unsafeCurrentTimeMillis()
              return Effect.flatMap(lookUp(key, control, clock), (hit) =>
                hit === undefined
                  ? recordStream(openChat(next, request), finalizers, key, control, clock)
                  : Effect.map(core.count("hits"), (): OpenStream => {
                      const response = Responses.replay(hit, "store", startedAt, clock.unsafeCurrentTimeMillis())
                      return { first: Chunk.unsafeFromArray(Events.fromResponse(response)), pull: end }
                    })
              )
            }
          )
        )

    return {
      middleware: (next) =>
        Effect.succeed(
          wrap(next, {
            chat: toChatOf(chat(next)),
            ...(options.streams === true ? { chatStream: chatStream(next) } : {})
          })
        ),
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
 * Provides a cache over the store in context.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { CacheStore, LLM, ResponseCache } from "effect-llm"
 *
 * const Cached = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(ResponseCache.middleware()),
 *   Layer.provide(ResponseCache.layer({ ttl: "1 hour" })),
 *   Layer.provide(CacheStore.layerMemory())
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<ResponseCache, never, CacheStore> =>
  Layer.effect(ResponseCache, make(options))

/**
 * The middleware of the cache in context.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { CacheStore, LLM, ResponseCache } from "effect-llm"
 *
 * const Cached = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(ResponseCache.middleware()),
 *   Layer.provide(ResponseCache.layer()),
 *   Layer.provide(CacheStore.layerMemory())
 * )
 * ```
 *
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (): Middleware<never, ResponseCache> => (next) =>
  Effect.flatMap(ResponseCache, (cache) => cache.middleware(next))
