/**
 * Caches embedding vectors: of the texts of a request, only those without a cached vector are sent to the provider.
 *
 * A vector is stored under its text with the model, provider, protocol, base URL, `dimensions`, `purpose`, `extra` and `scope` of
 * the request. Vectors are returned in the order of the texts, a text that occurs twice in a request is sent once, and `usage`
 * counts the texts that were sent. When another model answers than the one that made the cached vectors, all texts are sent: one
 * answer never has vectors of two models.
 *
 * A store that fails or is slow never fails a call: the call goes on without it.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { CacheStore, EmbeddingCache, LLM } from "effect-llm"
 *
 * declare const Vectors: Layer.Layer<LLM.LLM>
 *
 * const Cached = Vectors.pipe(
 *   LLM.withMiddleware(EmbeddingCache.middleware()),
 *   Layer.provide(EmbeddingCache.layer({ ttl: "30 days" })),
 *   Layer.provide(CacheStore.layerMemory({ maxEntries: 100_000 }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Array as Arr, Context, Duration, Effect, Either, Layer, Option } from "effect"
import { CacheStore } from "./model.js"
import type { CacheOptions, CacheService, CacheStats } from "./options.js"
import { CurrentCacheControl } from "./options.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import * as Attempt from "../vocabulary/attempt.js"
import * as Core from "./core.js"
import type { StoredVector } from "./entry.js"
import * as Entry from "./entry.js"
import * as Key from "./key.js"
import { digest } from "../internal/digest.js"
import { normalizeEmbedding } from "../call/request.js"
import { wrap } from "../call/wrap.js"
import type { Middleware, ModelInfo, Service as LLMService } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"

/**
 * How long vectors are cached and how exactly, and what a slow or broken store can cost.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options extends CacheOptions {
  /**
   * `exact`: vectors are returned unchanged; a number takes 4 bytes if that is exact (as for vectors received as base64), else 8.
   * `single`: 4 bytes always, which can change a number after its seventh digit. @default "exact"
   */
  readonly precision?: "exact" | "single"
}

/**
 * Statistics of a cache. `hits` and `misses` count texts.
 *
 * @since 0.1.0
 * @category model
 */
export interface Stats extends CacheStats {}

/**
 * A cache of vectors.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service extends CacheService<EmbeddingRequest.Input, Stats> {}

/**
 * The cache behind the middleware: provides its statistics, `clear` and `invalidate`.
 *
 * @since 0.1.0
 * @category tags
 */
export class EmbeddingCache extends Context.Tag("effect-llm/EmbeddingCache")<EmbeddingCache, Service>() {}

/** Vectors by the key of their text. */
type Vectors = ReadonlyMap<string, StoredVector>

/** The provider and model that made all the vectors; undefined when there are none or they differ. */
const originOf = (vectors: Vectors): Pick<StoredVector, "provider" | "model"> | undefined => {
  const [first, ...others] = vectors.values()
  return first !== undefined &&
    others.every(({ model, provider }) => model === first.model && provider === first.provider)
    ? { provider: first.provider, model: first.model }
    : undefined
}

interface Lookup {
  readonly request: EmbeddingRequest
  /** The keys of the texts, in the order of the texts. */
  readonly keys: ReadonlyArray<string>
  /** In milliseconds. */
  readonly ttl: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

/** The vectors of a response by the key of their text; undefined when it has not one vector for each key. */
const vectorsByKey = (
  keys: ReadonlyArray<string>,
  { embeddings, model, provider }: EmbeddingResponse,
  at: number,
  ttl: number
): Vectors | undefined =>
  embeddings.length === keys.length
    ? new Map(
        Arr.zipWith(keys, embeddings, (key, vector) => [
          key,
          { at, until: Entry.expiryOf(at, ttl), provider, model, vector }
        ])
      )
    : undefined

/** The response with the usage and attempts of an earlier request of the same call added. */
const withEarlierRequest = (earlier: EmbeddingResponse, response: EmbeddingResponse): EmbeddingResponse => ({
  ...response,
  usage: Usage.combine(earlier.usage, response.usage),
  attempts: Attempt.concat(earlier.attempts, response.attempts)
})

/**
 * Makes a cache over the store in context.
 *
 * @throws TypeError when an option is invalid
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, CacheStore> => {
  Core.check("EmbeddingCache", options)
  return Effect.gen(function* () {
    const core = yield* Core.make(yield* CacheStore, "EmbeddingCache", options)
    const single = options.precision === "single"

    /** None when the request cannot be written as JSON; the call then reports why. */
    const keysOf = (info: ModelInfo, request: EmbeddingRequest): Effect.Effect<Option.Option<ReadonlyArray<string>>> =>
      Effect.suspend(() =>
        Option.match(Option.liftThrowable(Key.ofEmbedding)(options.scope ?? "", info, request), {
          onNone: () => Effect.succeedNone,
          onSome: (contentOf) =>
            Effect.map(
              Effect.forEach(request.input, (text) => digest(contentOf(text))),
              Option.all
            )
        })
      )

    const findCached = (keys: ReadonlyArray<string>, now: number): Effect.Effect<Vectors> =>
      Effect.map(core.read(keys), (texts) => {
        const cached = new Map<string, StoredVector>()
        for (const [key, text] of Arr.zip(keys, texts)) {
          const entry = Option.flatMap(text, Entry.decodeVector)
          if (Option.isSome(entry) && Entry.isFresh(entry.value, now)) cached.set(key, entry.value)
        }
        return cached
      })

    /** Requests the texts of the missing keys and stores their vectors. */
    const fetchMissing = (
      next: LLMService,
      { keys, request, ttl }: Lookup,
      missing: ReadonlyArray<string>
    ): Effect.Effect<{ readonly response: EmbeddingResponse; readonly fetched: Vectors | undefined }, LLMError> => {
      const textOf = new Map(Arr.zip(keys, request.input))
      const input = Arr.filterMap(missing, (key) => Option.fromNullable(textOf.get(key)))
      return Effect.acquireUseRelease(
        Effect.as(core.count("misses", input.length), core.beginWrite(missing)),
        (pending) =>
          Effect.flatMap(next.embed({ ...request, input }), (response) =>
            Effect.clockWith((clock) => {
              const fetched = vectorsByKey(missing, response, clock.unsafeCurrentTimeMillis(), ttl)
              const entries = Arr.fromIterable(fetched ?? []).map(
                ([key, vector]) => [key, Entry.encodeVector(vector, single)] as const
              )
              return Effect.as(core.write(pending, entries, ttl), { response, fetched })
            })
          ),
        (pending) => Effect.sync(() => core.endWrite(pending))
      )
    }

    const complete = (
      next: LLMService,
      lookup: Lookup,
      cached: Vectors
    ): Effect.Effect<EmbeddingResponse, LLMError> => {
      const { keys, request, startedAt } = lookup
      const origin = originOf(cached)
      if (origin === undefined && cached.size > 0) return complete(next, lookup, new Map())
      const missing = Arr.dedupe(keys).filter((key) => !cached.has(key))
      const cachedTexts = keys.filter((key) => cached.has(key)).length
      /** The vectors in the order of the texts; undefined when one is missing. */
      const inOrder = (fetched: Vectors): ReadonlyArray<ReadonlyArray<number>> | undefined => {
        const vectors = keys.map((key) => (cached.get(key) ?? fetched.get(key))?.vector)
        return vectors.every((vector) => vector !== undefined) ? vectors : undefined
      }
      const countHits = <A>(value: A) => Effect.as(core.count("hits", cachedTexts), value)

      if (origin !== undefined && missing.length === 0) {
        return Effect.flatMap(Effect.clock, (clock) =>
          countHits({
            ...origin,
            embeddings: inOrder(new Map()) ?? [],
            usage: Usage.empty,
            latency: clock.unsafeCurrentTimeMillis() - startedAt,
            attempts: [],
            cachedTexts
          })
        )
      }
      return Effect.flatMap(fetchMissing(next, lookup, missing), ({ fetched, response }) => {
        const embeddings =
          fetched !== undefined &&
          (origin === undefined || (origin.provider === response.provider && origin.model === response.model))
            ? inOrder(fetched)
            : undefined
        if (embeddings !== undefined) {
          return countHits({ ...response, embeddings, ...(cachedTexts === 0 ? {} : { cachedTexts }) })
        }
        return missing.length === keys.length
          ? Effect.succeed(response)
          : Effect.map(next.embed(request), (whole) => withEarlierRequest(response, whole))
      })
    }

    return {
      middleware: (next) =>
        Effect.succeed(
          wrap(next, {
            embed: (input) =>
              Effect.flatMap(CurrentCacheControl, (control) => {
                const request = normalizeEmbedding(input)
                if (control.mode === "bypass" || Either.isLeft(request)) return next.embed(input)
                return Effect.flatMap(Effect.zip(keysOf(next.info, request.right), Effect.clock), ([keys, clock]) => {
                  if (Option.isNone(keys)) return next.embed(input)
                  const lookup: Lookup = {
                    request: request.right,
                    keys: keys.value,
                    ttl: control.ttl === undefined ? core.ttl : Duration.toMillis(control.ttl),
                    startedAt: clock.unsafeCurrentTimeMillis()
                  }
                  return control.mode === "refresh"
                    ? complete(next, lookup, new Map())
                    : Effect.flatMap(findCached(Arr.dedupe(keys.value), lookup.startedAt), (cached) =>
                        complete(next, lookup, cached)
                      )
                })
              })
          })
        ),
      stats: Effect.map(core.stats, ({ bypassed: _, shared: __, ...stats }) => stats),
      clear: core.clear,
      invalidate: (llm, input) =>
        Either.match(normalizeEmbedding(input), {
          onLeft: () => Effect.void,
          onRight: (request) =>
            Effect.flatMap(
              keysOf(llm.info, request),
              Option.match({
                onNone: () => Effect.void,
                onSome: (keys) => Effect.forEach(keys, core.invalidate, { discard: true })
              })
            )
        })
    }
  })
}

/**
 * Provides a cache over the store in context.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<EmbeddingCache, never, CacheStore> =>
  Layer.effect(EmbeddingCache, make(options))

/**
 * The middleware of the cache in context.
 *
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (): Middleware<never, EmbeddingCache> => (next) =>
  Effect.flatMap(EmbeddingCache, (cache) => cache.middleware(next))
