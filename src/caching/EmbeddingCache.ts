/**
 * Vectors that were made before are not made again: of the texts of a request, only those are sent that are not known.
 *
 * A vector is kept for its text, with the model, provider, base URL, dimensions, purpose and `extra` that it was asked for
 * with. The order of the texts stays, a text that is in a request twice is asked for once, and `usage` is that of what was
 * asked. Where the provider answers with another model than the one that made the vectors kept, all texts are asked for:
 * vectors of two models never stand in one answer.
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
 *   LLM.withMiddleware(EmbeddingCache.middleware),
 *   Layer.provide(EmbeddingCache.layer({ ttl: "30 days" })),
 *   Layer.provide(CacheStore.layerMemory({ maxEntries: 100_000 }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Array as Arr, Context, Duration, Effect, Either, Layer, Option } from "effect"
import type { CacheOptions, CacheService, CacheStats } from "./model.js"
import { CacheStore, CacheWish } from "./model.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import * as Attempt from "../vocabulary/Attempt.js"
import * as Core from "./core.js"
import type { KeptVector } from "./entry.js"
import * as Entry from "./entry.js"
import * as Key from "./key.js"
import { digest } from "../internal/digest.js"
import { normalizeEmbedding } from "../call/request.js"
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
   * `exact`: vectors are returned unchanged; a number takes 4 bytes when that is exact (as for vectors received as base64), else 8.
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
 * The cache whose middleware is around an `LLM`, to ask it for its `stats` and to clear it.
 *
 * @since 0.1.0
 * @category tags
 */
export class EmbeddingCache extends Context.Tag("effect-llm/EmbeddingCache")<EmbeddingCache, Service>() {}

/** The vectors that are known, by the key of their text. */
type Known = ReadonlyMap<string, KeptVector>

/** Who made the vectors that are known; none where nobody or several did. */
const makerOf = (known: Known): Pick<KeptVector, "provider" | "model"> | undefined => {
  const [first, ...others] = known.values()
  return first !== undefined &&
    others.every(({ model, provider }) => model === first.model && provider === first.provider)
    ? { provider: first.provider, model: first.model }
    : undefined
}

interface Asked {
  readonly request: EmbeddingRequest
  /** The keys of its texts, in their order. */
  readonly keys: ReadonlyArray<string>
  /** In milliseconds. */
  readonly ttl: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

/** The vectors of an answer, each under the key of its text; none where they are not as many. */
const byKey = (
  keys: ReadonlyArray<string>,
  { embeddings, model, provider }: EmbeddingResponse,
  at: number,
  ttl: number
): Known | undefined =>
  embeddings.length === keys.length
    ? new Map(
        Arr.zipWith(keys, embeddings, (key, vector) => [
          key,
          { at, until: Entry.untilOf(at, ttl), provider, model, vector }
        ])
      )
    : undefined

/** Both answers were made for one call, the second in place of the first. */
const instead = (first: EmbeddingResponse, second: EmbeddingResponse): EmbeddingResponse => ({
  ...second,
  usage: Usage.combine(first.usage, second.usage),
  attempts: Attempt.concat(first.attempts, second.attempts)
})

/**
 * A cache over the store in context.
 *
 * @throws TypeError where an option makes no sense
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, CacheStore> => {
  Core.check("EmbeddingCache", options)
  return Effect.gen(function* () {
    const core = yield* Core.make(yield* CacheStore, "EmbeddingCache", options)
    const single = options.precision === "single"

    /** None where the request cannot be written as JSON: whoever sends it will say what is wrong with it. */
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

    const found = (keys: ReadonlyArray<string>, now: number): Effect.Effect<Known> =>
      Effect.map(core.read(keys), (texts) => {
        const known = new Map<string, KeptVector>()
        for (const [key, text] of Arr.zip(keys, texts)) {
          const entry = Option.flatMap(text, Entry.decodeVector)
          if (Option.isSome(entry) && Entry.fresh(entry.value, now)) known.set(key, entry.value)
        }
        return known
      })

    /** Asks for the texts of these keys, and keeps their vectors. */
    const ask = (
      next: LLMService,
      { keys, request, ttl }: Asked,
      wanted: ReadonlyArray<string>
    ): Effect.Effect<{ readonly response: EmbeddingResponse; readonly made: Known | undefined }, LLMError> => {
      const textOf = new Map(Arr.zip(keys, request.input))
      const input = Arr.filterMap(wanted, (key) => Option.fromNullable(textOf.get(key)))
      return Effect.acquireUseRelease(
        Effect.as(core.count("misses", input.length), core.issue(wanted)),
        (ticket) =>
          Effect.flatMap(next.embed({ ...request, input }), (response) =>
            Effect.clockWith((clock) => {
              const made = byKey(wanted, response, clock.unsafeCurrentTimeMillis(), ttl)
              const entries = Arr.fromIterable(made ?? []).map(
                ([key, vector]) => [key, Entry.encodeVector(vector, single)] as const
              )
              return Effect.as(core.write(ticket, entries, ttl), { response, made })
            })
          ),
        (ticket) => Effect.sync(() => core.giveBack(ticket))
      )
    }

    const complete = (next: LLMService, asked: Asked, known: Known): Effect.Effect<EmbeddingResponse, LLMError> => {
      const { keys, request, startedAt } = asked
      const maker = makerOf(known)
      if (maker === undefined && known.size > 0) return complete(next, asked, new Map())
      const wanted = Arr.dedupe(keys).filter((key) => !known.has(key))
      const cachedTexts = keys.filter((key) => known.has(key)).length
      /** The vectors in the order of the texts; none where one is not there. */
      const inOrder = (made: Known): ReadonlyArray<ReadonlyArray<number>> | undefined => {
        const vectors = keys.map((key) => (known.get(key) ?? made.get(key))?.vector)
        return vectors.every((vector) => vector !== undefined) ? vectors : undefined
      }
      const counted = <A>(value: A) => Effect.as(core.count("hits", cachedTexts), value)

      if (maker !== undefined && wanted.length === 0) {
        return Effect.flatMap(Effect.clock, (clock) =>
          counted({
            ...maker,
            embeddings: inOrder(new Map()) ?? [],
            usage: Usage.empty,
            latency: clock.unsafeCurrentTimeMillis() - startedAt,
            attempts: [],
            cachedTexts
          })
        )
      }
      return Effect.flatMap(ask(next, asked, wanted), ({ made, response }) => {
        const embeddings =
          made !== undefined &&
          (maker === undefined || (maker.provider === response.provider && maker.model === response.model))
            ? inOrder(made)
            : undefined
        if (embeddings !== undefined) {
          return counted({ ...response, embeddings, ...(cachedTexts === 0 ? {} : { cachedTexts }) })
        }
        return wanted.length === keys.length
          ? Effect.succeed(response)
          : Effect.map(next.embed(request), (whole) => instead(response, whole))
      })
    }

    return {
      middleware: (next) =>
        Effect.succeed({
          ...next,
          embed: (input) =>
            Effect.flatMap(CacheWish, (wish) => {
              const request = normalizeEmbedding(input)
              if (wish.mode === "bypass" || Either.isLeft(request)) return next.embed(input)
              return Effect.flatMap(Effect.zip(keysOf(next.info, request.right), Effect.clock), ([keys, clock]) => {
                if (Option.isNone(keys)) return next.embed(input)
                const asked: Asked = {
                  request: request.right,
                  keys: keys.value,
                  ttl: wish.ttl === undefined ? core.ttl : Duration.toMillis(wish.ttl),
                  startedAt: clock.unsafeCurrentTimeMillis()
                }
                return wish.mode === "refresh"
                  ? complete(next, asked, new Map())
                  : Effect.flatMap(found(Arr.dedupe(keys.value), asked.startedAt), (known) =>
                      complete(next, asked, known)
                    )
              })
            })
        }),
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
 * A cache over the store in context.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<EmbeddingCache, never, CacheStore> =>
  Layer.effect(EmbeddingCache, make(options))

/**
 * The middleware of the cache in context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const middleware: Middleware<never, EmbeddingCache> = (next) =>
  Effect.flatMap(EmbeddingCache, (cache) => cache.middleware(next))
