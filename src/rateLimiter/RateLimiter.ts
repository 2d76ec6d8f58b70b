/**
 * Limits requests per second, minute and day, tokens per minute, and calls in flight.
 *
 * A bucket starts full, holds `capacity` and is refilled by `refillRate` a second, so that over any time `t` no more than
 * `capacity + refillRate × t` is ever granted. With `refill`, a schedule fills it instead. `requestsPerMinute` and
 * `requestsPerDay` hold over every minute and every day, wherever it begins. A call is granted all that it needs of every limit
 * together, or nothing.
 *
 * Waiting calls of one client are served in order of arrival, so every wait is computed in advance. A call fails at once when its wait
 * would exceed `maxWait`. A waiting call fails as soon as other calls use more tokens than they reserved and its wait becomes too
 * long. Two waits are not known: that of a call that others can pass, because of their priority (`withPriority`) or their client
 * (`withClient`), and that for calls in flight (`maxConcurrency`). Such a call fails as soon as it has waited too long.
 *
 * The rate limit status of other libraries is `status` (`available`, `capacity`, `refillRate`), and their reset is `reset`. Usual
 * sizes: 20 at 3 a second for high throughput, 10 at 1 as a standard, 5 at 0.5 to be strict.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const limiter = yield* RateLimiter.RateLimiter
 *   yield* limiter.take()
 *   return yield* limiter.status
 * }).pipe(Effect.provide(RateLimiter.layer({ capacity: 20, refillRate: 3, requestsPerDay: 10_000, maxConcurrency: 8 })))
 * ```
 *
 * @example
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { RateLimiter } from "effect-llm"
 *
 * // A daily quota that resets at midnight in Los Angeles.
 * const program = Effect.gen(function* () {
 *   const limiter = yield* RateLimiter.make({ capacity: 1000, refill: Schedule.cron("0 0 * * *", "America/Los_Angeles") })
 *   yield* limiter.withPermits(2)(Effect.log("spends two requests of the quota"))
 *   return yield* limiter.available
 * })
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { make, makeLimiter } from "./factory.js"
import type { Options, PerModelOptions, Service, UnsafeReservation } from "./model.js"
import { InvalidLimitError, RateLimiter } from "./model.js"
import * as Read from "./options.js"
import * as PerModel from "./perModel.js"

export * from "./model.js"

export type { RateLimits } from "../wire/headers/rateLimits.js"
export { make } from "./factory.js"

const read = (options: Options, path: string) => {
  const [settings, faults] = Read.read(options)
  return { settings, faults: faults.map((fault) => `${path}${fault}`) }
}

/**
 * Makes a limiter with separate limits for each model, for calls of one `LLM` or several to different models.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makePerModel = (options: PerModelOptions): Effect.Effect<Service, InvalidLimitError> =>
  Effect.suspend(() => {
    const models = Object.entries(options.models).map(([model, limits]) => {
      const path = `models[${JSON.stringify(model)}].`
      return { model, path, ...read(limits, path) }
    })
    const others = options.others === undefined ? undefined : read(options.others, "others.")
    const faults = [...models.flatMap((each) => each.faults), ...(others?.faults ?? [])]
    return faults.length > 0
      ? Effect.fail(new InvalidLimitError({ faults }))
      : Effect.map(
          Effect.all({
            models: Effect.forEach(models, ({ model, path, settings }) =>
              Effect.map(makeLimiter(settings, path), (limiter) => [model, limiter] as const)
            ),
            others: others === undefined ? Effect.succeed(unlimitedService) : makeLimiter(others.settings, "others.")
          }),
          (made) => PerModel.make(new Map(made.models), made.others)
        )
  })

/**
 * Provides one limiter, in the memory of this process. Fails with `InvalidLimitError`, which lists every fault of the options.
 *
 * A call whose wait would exceed `maxWait` fails at once with a `RateLimitError` of the source `"limiter"`: send it after its `retryAfter`, or
 * raise the limit. A request that exceeds the whole limit fails with `InvalidRequestError`.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-llm"
 *
 * // At most 500 requests and 200,000 tokens a minute, and 20 calls in flight.
 * const limits = RateLimiter.layer({
 *   requestsPerMinute: 500,
 *   tokensPerMinute: 200_000,
 *   maxConcurrency: 20,
 *   maxWait: "30 seconds"
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<RateLimiter, InvalidLimitError> =>
  Layer.effect(RateLimiter, make(options))

/**
 * Provides a limiter with limits of its own for each model, in the memory of this process. Fails with `InvalidLimitError`, which lists every
 * fault of the options.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-llm"
 *
 * const Limits = RateLimiter.layerPerModel({
 *   models: { "gpt-4o": { requestsPerMinute: 500, tokensPerMinute: 30_000 } },
 *   others: { requestsPerMinute: 100 }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerPerModel = (options: PerModelOptions): Layer.Layer<RateLimiter, InvalidLimitError> =>
  Layer.effect(RateLimiter, makePerModel(options))

const noReservation: UnsafeReservation = {
  settle: () => Effect.void,
  giveBack: Effect.void,
  unsafeSettle: () => {},
  unsafeGiveBack: () => {}
}

const unlimitedService: Service = {
  take: () => Effect.void,
  tryTake: () => Effect.succeed(true),
  withPermits: () => (effect) => effect,
  withPermitsIfAvailable: () => Effect.asSome,
  available: Effect.succeed(Infinity),
  reserve: () => Effect.succeed(noReservation),
  unsafeTryReserve: () => noReservation,
  status: Effect.succeed({ available: Infinity, capacity: Infinity, refillRate: Infinity, waiting: 0 }),
  reset: Effect.void,
  lower: () => Effect.void
}

/**
 * A limiter without limits, which leaves them to the provider.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerUnlimited: Layer.Layer<RateLimiter> = Layer.succeed(RateLimiter, unlimitedService)
