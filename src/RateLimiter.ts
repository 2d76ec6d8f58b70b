/**
 * How fast we may speak: a token bucket of requests, and one of tokens a minute.
 *
 * A bucket starts full, holds `capacity` and is refilled by `refillRate` a second, so that over any time `t` no more than
 * `capacity + refillRate × t` is ever granted. Those who wait are served in the order they came, and since that makes every
 * wait known beforehand, one that would be longer than allowed fails at once instead of sleeping in vain; so does one that
 * becomes so because others used more tokens than they had reserved.
 *
 * What older libraries call the rate limit status is `status` (`available`, `capacity`, `refillRate`), and their reset is
 * `reset`. Usual sizes: 20 at 3 a second for high throughput, 10 at 1 as a standard, 5 at 0.5 to be strict.
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
 * }).pipe(Effect.provide(RateLimiter.layer({ capacity: 20, refillRate: 3 })))
 * ```
 *
 * @since 0.1.0
 */
import { Clock, Context, Duration, Effect, Fiber, Layer, Option, Ref, Schema, SortedMap, Order } from "effect"
import { now as nowOf } from "./internal/monotonic.js"
import * as Bucket from "./internal/tokenBucket.js"
import * as Line from "./internal/waitingLine.js"
import { RateLimitError } from "./LLMError.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The most requests at once. @default 10 */
  readonly capacity?: number
  /** Requests a second. May be a fraction. @default 1 */
  readonly refillRate?: number
  /** The longest that a caller may wait. @default "30 seconds" */
  readonly maxWait?: Duration.DurationInput
  /** Tokens a minute, input and output together. @default not limited */
  readonly tokensPerMinute?: number
}

/**
 * @since 0.1.0
 * @category model
 */
export interface WaitOptions {
  /** The longest that this caller may wait, where that is shorter than the limiter's own `maxWait`. */
  readonly maxWait?: Duration.DurationInput
}

/**
 * @since 0.1.0
 * @category model
 */
export interface BucketStatus {
  /** What could be taken now. Below zero where more tokens were used than had been reserved. */
  readonly available: number
  readonly capacity: number
  /** What is put back each second. */
  readonly refillRate: number
}

/**
 * @since 0.1.0
 * @category model
 */
export interface LimiterStatus extends BucketStatus {
  /** How many callers wait. */
  readonly waiting: number
  /** The bucket of tokens, where they are limited. `reserved`: estimates that are not settled yet. */
  readonly tokens?: BucketStatus & { readonly reserved: number }
}

/**
 * A permit for one request and an estimate of its tokens.
 *
 * @since 0.1.0
 * @category model
 */
export interface Reservation {
  /**
   * Replaces the estimate by the true usage, once: what was reserved too much is given back, what was too little is owed
   * and waited out by those who come later. What is no number of tokens leaves the estimate as it is. The request itself
   * stays spent.
   */
  readonly settle: (actualTokens: number) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Takes `n` permits (1 unless given), waiting in line if need be. Interrupting the wait costs nothing. */
  readonly take: (n?: number, options?: WaitOptions) => Effect.Effect<void, RateLimitError>
  /** Takes `n` permits if they are there and nobody waits for them. */
  readonly tryTake: (n?: number) => Effect.Effect<boolean>
  /** Runs an effect with one permit. */
  readonly limit: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitError, R>
  /**
   * Takes one permit and reserves an estimate of tokens, both or neither. Without a bucket of tokens: just the permit.
   *
   * The caller must settle the reservation. Run this where the fiber cannot be interrupted, such as the first argument of
   * `Effect.acquireUseRelease`: the wait, and nothing else of it, is interruptible even there.
   */
  readonly reserve: (tokens: number, options?: WaitOptions) => Effect.Effect<Reservation, RateLimitError>
  readonly status: Effect.Effect<LimiterStatus>
  /** Fills the buckets. */
  readonly reset: Effect.Effect<void>
  /** What a provider's headers say is left: lowers what is available, and never raises it. */
  readonly lower: (remaining: { readonly requests?: number; readonly tokens?: number }) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class RateLimiter extends Context.Tag("effect-llm/RateLimiter")<RateLimiter, Service>() {}

/**
 * A limiter that cannot be: `faults` names every option that makes no sense.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidLimitError extends Schema.TaggedError<InvalidLimitError>()("InvalidLimitError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The rate limit is not valid. ${this.faults.join("; ")}`
  }
}

const refused = (message: string, retryAfter?: number): RateLimitError =>
  new RateLimitError({
    provider: "",
    model: "",
    attempts: [],
    source: "limiter",
    message,
    ...(retryAfter === undefined ? {} : { retryAfter: Duration.millis(retryAfter) })
  })

/** JavaScript's timers run no longer, in milliseconds. */
const longestSleep = 2 ** 31 - 1

const isAmount = (n: number): boolean => Number.isFinite(n) && n > 0

const faultsOf = (options: Required<Pick<Options, "capacity" | "refillRate">> & Options): ReadonlyArray<string> =>
  [
    ["capacity", options.capacity],
    ["refillRate", options.refillRate],
    ["tokensPerMinute", options.tokensPerMinute ?? 1]
  ].flatMap(([name, value]) =>
    typeof value === "number" && isAmount(value) ? [] : [`${name}: expected a positive number, actual ${value}`]
  )

/**
 * A limiter over no more than memory, for one process.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, InvalidLimitError> =>
  Effect.gen(function* () {
    const { capacity = 10, refillRate = 1, tokensPerMinute } = options
    const longestWait = Duration.toMillis(options.maxWait ?? "30 seconds")
    const faults = faultsOf({ ...options, capacity, refillRate })
    if (faults.length > 0) return yield* new InvalidLimitError({ faults })

    const start = yield* Clock.clockWith((clock) => Effect.sync(() => nowOf(clock)))
    const state = yield* Ref.make<Line.State>({
      requests: Bucket.full(capacity, refillRate, start),
      tokens: tokensPerMinute === undefined ? undefined : Bucket.full(tokensPerMinute, tokensPerMinute / 60, start),
      reserved: 0,
      queue: SortedMap.empty(Order.number),
      arrivals: 0,
      promised: undefined
    })

    const nudgeFirst = (current: Line.State): Effect.Effect<void> =>
      Option.match(SortedMap.headOption(current.queue), {
        onNone: () => Effect.void,
        onSome: ([, waiter]) => Effect.asVoid(waiter.nudge.open)
      })

    const update = (f: (current: Line.State) => Line.State): Effect.Effect<void> =>
      Clock.clockWith((clock) =>
        Effect.flatten(
          Ref.modify(state, (before) => {
            const [after, leaving] = Line.evicted(f(Line.refilled(before, nowOf(clock))))
            return [
              Effect.zipRight(
                Effect.forEach(leaving, (waiter) => waiter.nudge.open, { discard: true }),
                nudgeFirst(after)
              ),
              after
            ]
          })
        )
      )

    const leave = (ticket: number): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.updateAndGet(state, (current) => ({
          ...current,
          queue: SortedMap.remove(current.queue, ticket),
          promised: undefined
        })),
        nudgeFirst
      )

    const tooLong = (wait: number, allowed: number): RateLimitError =>
      refused(
        `The limit of ${capacity} requests and ${refillRate} a second${
          tokensPerMinute === undefined ? "" : `, and ${tokensPerMinute} tokens a minute,`
        } would make this call wait ${Duration.format(Duration.millis(wait))}, longer than the ${Duration.format(
          Duration.millis(allowed)
        )} allowed. Try again later, or raise the limit or maxWait.`,
        wait
      )

    /** Waits for its turn, then for what it needs, then takes it. The taking cannot be interrupted, the waiting can. */
    const stand = (
      clock: Clock.Clock,
      ticket: number,
      self: Line.Waiter,
      allowed: number
    ): Effect.Effect<void, RateLimitError> => {
      const called = Effect.interruptible(self.nudge.await)
      /** One fiber and not the two of a race, which may hang where it is interrupted before it has started them. */
      const calledWithin = (millis: number): Effect.Effect<void> =>
        Effect.flatMap(
          Effect.fork(Effect.interruptible(Effect.zipRight(Effect.sleep(millis), self.nudge.open))),
          (timer) => Effect.ensuring(called, Fiber.interrupt(timer))
        )
      const turn: Effect.Effect<void, RateLimitError> = Effect.flatten(
        Ref.modify(state, (before): readonly [Effect.Effect<void, RateLimitError>, Line.State] => {
          const current = Line.refilled(before, nowOf(clock))
          if (!SortedMap.has(current.queue, ticket)) {
            const wait = Line.waitBehind(
              current,
              current.promised ?? Line.promisedBy(current),
              self.requests,
              self.tokens
            )
            return [Effect.fail(tooLong(wait, allowed)), current]
          }
          const first = Option.getOrUndefined(SortedMap.headOption(current.queue))
          if (first !== undefined && first[0] !== ticket) return [again(called), current]
          const wait = Line.waitFor(current, self.requests, self.tokens)
          if (wait > 0) {
            // Timers tick in whole milliseconds: to wake a moment early would be to sleep again.
            return [again(calledWithin(Math.min(Math.ceil(wait), longestSleep))), current]
          }
          const next = {
            ...Line.granted(current, self.requests, self.tokens),
            queue: SortedMap.remove(current.queue, ticket)
          }
          return [nudgeFirst(next), next]
        })
      )
      const again = (wait: Effect.Effect<void>): Effect.Effect<void, RateLimitError> =>
        Effect.zipRight(
          Effect.onInterrupt(wait, () => leave(ticket)),
          Effect.zipRight(self.nudge.close, turn)
        )
      return turn
    }

    const acquire = (requests: number, tokens: number, wait: WaitOptions = {}): Effect.Effect<void, RateLimitError> =>
      Clock.clockWith((clock) => {
        const nudge = Effect.unsafeMakeLatch(false)
        const allowed = Math.min(longestWait, wait.maxWait === undefined ? Infinity : Duration.toMillis(wait.maxWait))
        return Effect.uninterruptible(
          Effect.flatten(
            Ref.modify(state, (before): readonly [Effect.Effect<void, RateLimitError>, Line.State] => {
              const now = nowOf(clock)
              const current = Line.refilled(before, now)
              if (SortedMap.size(current.queue) === 0 && Line.waitFor(current, requests, tokens) === 0) {
                return [Effect.void, Line.granted(current, requests, tokens)]
              }
              const promised =
                SortedMap.size(current.queue) === 0 ? current : (current.promised ?? Line.promisedBy(current))
              const needed = Line.waitBehind(current, promised, requests, tokens)
              if (needed > allowed) return [Effect.fail(tooLong(needed, allowed)), { ...current, promised }]
              const ticket = current.arrivals
              const self: Line.Waiter = { requests, tokens, deadline: now + allowed, nudge }
              return [
                stand(clock, ticket, self, allowed),
                {
                  ...current,
                  arrivals: ticket + 1,
                  queue: SortedMap.set(current.queue, ticket, self),
                  promised: Line.afterServing(promised, requests, tokens)
                }
              ]
            })
          )
        )
      })

    const refuse = (n: number): RateLimitError | undefined =>
      !isAmount(n)
        ? refused(`A number of permits must be positive, not ${n}.`)
        : n > capacity
          ? refused(`${n} permits can never be had from a limiter with a capacity of ${capacity}. Raise the capacity.`)
          : undefined

    const take: Service["take"] = (n = 1, wait) => {
      const refusal = refuse(n)
      return refusal === undefined ? acquire(n, 0, wait) : Effect.fail(refusal)
    }

    const settled =
      (estimate: number, actual: number) =>
      (current: Line.State): Line.State =>
        current.tokens === undefined
          ? current
          : {
              ...current,
              tokens: Bucket.taken(current.tokens, actual - estimate),
              reserved: current.reserved - estimate
            }

    const reservation = (estimate: number): Reservation => {
      let open = tokensPerMinute !== undefined
      return {
        settle: (actual) =>
          Effect.uninterruptible(
            Effect.suspend(() => {
              if (!open) return Effect.void
              open = false
              return update(settled(estimate, Number.isFinite(actual) && actual >= 0 ? actual : estimate))
            })
          )
      }
    }

    const reserve: Service["reserve"] = (tokens, wait) => {
      const estimate = tokensPerMinute === undefined || !isAmount(tokens) ? 0 : tokens
      return tokensPerMinute !== undefined && estimate > tokensPerMinute
        ? Effect.fail(
            refused(
              `About ${Math.round(estimate)} tokens can never be had from a limit of ${tokensPerMinute} a minute. Shorten the request or raise tokensPerMinute.`
            )
          )
        : Effect.map(acquire(1, estimate, wait), () => reservation(estimate))
    }

    const statusOf = (bucket: Bucket.Bucket): BucketStatus => ({
      available: bucket.available,
      capacity: bucket.capacity,
      refillRate: bucket.rate * 1000
    })

    return {
      take,
      tryTake: (n = 1) =>
        refuse(n) !== undefined
          ? Effect.succeed(false)
          : Clock.clockWith((clock) =>
              Ref.modify(state, (before): readonly [boolean, Line.State] => {
                const current = Line.refilled(before, nowOf(clock))
                return SortedMap.size(current.queue) === 0 && Line.waitFor(current, n, 0) === 0
                  ? [true, Line.granted(current, n, 0)]
                  : [false, current]
              })
            ),
      limit: (effect) => Effect.zipRight(take(), effect),
      reserve,
      status: Clock.clockWith((clock) =>
        Effect.map(
          Ref.updateAndGet(state, (current) => Line.refilled(current, nowOf(clock))),
          (current): LimiterStatus => ({
            ...statusOf(current.requests),
            waiting: SortedMap.size(current.queue),
            ...(current.tokens === undefined
              ? {}
              : { tokens: { ...statusOf(current.tokens), reserved: current.reserved } })
          })
        )
      ),
      reset: update((current) => ({
        ...current,
        requests: { ...current.requests, available: current.requests.capacity },
        tokens: current.tokens === undefined ? undefined : { ...current.tokens, available: current.tokens.capacity }
      })),
      lower: ({ requests, tokens }) =>
        update((current) => ({
          ...current,
          requests: Bucket.lowered(current.requests, requests),
          tokens: current.tokens === undefined ? undefined : Bucket.lowered(current.tokens, tokens)
        }))
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<RateLimiter, InvalidLimitError> =>
  Layer.effect(RateLimiter, make(options))

const free: Reservation = { settle: () => Effect.void }

/**
 * No limit at all, for those who leave it to the provider.
 *
 * @since 0.1.0
 * @category layers
 */
export const unlimited: Layer.Layer<RateLimiter> = Layer.succeed(RateLimiter, {
  take: () => Effect.void,
  tryTake: () => Effect.succeed(true),
  limit: (effect) => effect,
  reserve: () => Effect.succeed(free),
  status: Effect.succeed({ available: Infinity, capacity: Infinity, refillRate: Infinity, waiting: 0 }),
  reset: Effect.void,
  lower: () => Effect.void
})
