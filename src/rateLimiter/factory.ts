/** Makes rate limiters, in memory or where the context keeps them. */
import { Context, Effect } from "effect"
import type { Options, Service } from "./model.js"
import { InvalidLimitError } from "./model.js"
import * as Read from "./options.js"
import * as LimiterService from "./service.js"

/** An invalid cron expression is a defect of the first step of its schedule. */
export const makeLimiter = (settings: Read.Settings, path: string): Effect.Effect<Service, InvalidLimitError> =>
  Effect.catchAllDefect(LimiterService.make(settings), (defect) =>
    Effect.fail(new InvalidLimitError({ faults: [`${path}refill: the schedule failed with ${String(defect)}`] }))
  )

const fromOptions = (
  options: Options,
  start: Pick<Read.Settings, "emptySince">
): Effect.Effect<Service, InvalidLimitError> =>
  Effect.suspend(() => {
    const [settings, faults] = Read.read(options)
    return faults.length > 0
      ? Effect.fail(new InvalidLimitError({ faults }))
      : makeLimiter({ ...settings, ...start }, "")
  })

/**
 * Makes a limiter in memory, for one process.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, InvalidLimitError> => fromOptions(options, {})

/** Makes a limiter in memory that has what has been refilled since this monotonic time, at which it was empty. */
export const makeEmptySince = (options: Options, emptySince: number): Effect.Effect<Service, InvalidLimitError> =>
  fromOptions(options, { emptySince })

/**
 * Makes the limiters of a configuration (`Models`, the keys of a gateway), each under a name: in memory, unless the context has
 * another function, such as that of `RedisSharing`.
 *
 * @since 0.2.0
 * @category references
 */
export class RateLimiterFactory extends Context.Reference<RateLimiterFactory>()("effect-llm/RateLimiterFactory", {
  defaultValue: (): ((name: string, options: Options) => Effect.Effect<Service, InvalidLimitError>) => (_, options) =>
    make(options)
}) {}
