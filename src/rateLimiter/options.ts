/** Checked options of a limiter, with every fault. Times are in milliseconds. */
import type { Schedule } from "effect"
import type { Options } from "./model.js"
import { maxTokens } from "../vocabulary/Usage.js"
import * as Checks from "../internal/optionChecks.js"
import * as Adaptive from "./adaptive.js"

export interface Settings {
  readonly capacity: number
  /** Zero if a schedule refills. */
  readonly refillRate: number
  readonly refill: Schedule.Schedule<unknown, void> | undefined
  readonly requestsPerMinute: number | undefined
  readonly requestsPerDay: number | undefined
  readonly tokensPerMinute: number | undefined
  readonly maxConcurrency: number | undefined
  readonly maxWait: number
  readonly maxQueueLength: number
  readonly batchMaxWait: number
  readonly aging: number
  readonly adaptive: Adaptive.Settings | undefined
  /** Whether the headers of a provider slow the limiter down. */
  readonly followsHeaders: boolean
  /**
   * The monotonic time at which the limiter was empty, for one that goes on with the limits of another. A refill by a schedule and the
   * requests of a day begin anew.
   */
  readonly emptySince?: number
  /** How much longer than its length a window counts a request, in milliseconds. */
  readonly deliveryAllowance?: number
}

const secondsADay = 24 * 60 * 60

type Rates = Pick<
  Options,
  "capacity" | "refillRate" | "refill" | "requestsPerMinute" | "requestsPerDay" | "maxConcurrency"
>

/** The bucket of requests when capacity or rate is not set: another limit on requests replaces the defaults. */
export const rates = (options: Rates): { readonly capacity: number; readonly refillRate: number } => {
  const { capacity, refill, refillRate, requestsPerDay, requestsPerMinute } = options
  if (refill !== undefined) return { capacity: capacity ?? 10, refillRate: 0 }
  const defaults =
    options.maxConcurrency !== undefined && capacity === undefined && refillRate === undefined
      ? { capacity: Infinity, refillRate: Infinity }
      : { capacity: 10, refillRate: 1 }
  const fallback =
    requestsPerMinute !== undefined
      ? { capacity: requestsPerMinute, refillRate: requestsPerMinute / 60 }
      : requestsPerDay !== undefined
        ? { capacity: requestsPerDay, refillRate: requestsPerDay / secondsADay }
        : defaults
  return {
    capacity: capacity ?? (refillRate === undefined ? fallback.capacity : defaults.capacity),
    refillRate: refillRate ?? fallback.refillRate
  }
}

/** Whether one call can have used so many tokens. */
export const isUsed = (tokens: number): boolean => tokens >= 0 && tokens <= maxTokens

export const isAmount = (n: number): boolean => Number.isFinite(n) && n > 0

export const read = (options: Options): readonly [Settings, ReadonlyArray<string>] => {
  const { maxConcurrency, requestsPerDay, requestsPerMinute, tokensPerMinute } = options
  const positive = {
    capacity: options.capacity,
    refillRate: options.refillRate,
    requestsPerMinute,
    requestsPerDay,
    tokensPerMinute,
    maxConcurrency
  }
  const [adaptive, adaptiveFaults] =
    options.adaptive === undefined || options.adaptive === false ? [undefined, []] : Adaptive.settings(options.adaptive)
  const { faults: checkedFaults, millis, number } = Checks.make()
  const settings = {
    ...rates(options),
    refill: options.refill,
    requestsPerMinute,
    requestsPerDay,
    tokensPerMinute,
    maxConcurrency,
    maxWait: millis("maxWait", options.maxWait ?? "30 seconds", Checks.anyLength),
    maxQueueLength: Checks.queueLength(number, options.maxQueueLength),
    batchMaxWait: millis("batch.maxWait", options.batch?.maxWait ?? "10 minutes", Checks.anyLength),
    aging: millis("batch.aging", options.batch?.aging ?? "30 seconds", Checks.anyLength),
    adaptive,
    followsHeaders: options.adaptive !== false && options.refill === undefined
  }
  const mayBeInfinite = (name: string): boolean => name === "capacity" || name === "refillRate"
  const faults = Object.entries(positive).flatMap(([name, value]) =>
    value === undefined || isAmount(value) || (value === Infinity && mayBeInfinite(name))
      ? []
      : [`${name}: expected a positive number, actual ${value}`]
  )
  const exclusive = (["refillRate", "adaptive"] as const).filter(
    (name) => options.refill !== undefined && options[name] !== undefined && options[name] !== false
  )
  const isFraction = maxConcurrency !== undefined && isAmount(maxConcurrency) && !Number.isInteger(maxConcurrency)
  return [
    settings,
    [
      ...faults,
      ...exclusive.map((name) => `refill: cannot be combined with ${name}`),
      ...(isFraction ? [`maxConcurrency: expected a whole number, actual ${maxConcurrency}`] : []),
      ...checkedFaults,
      ...(settings.aging < Infinity ? [] : ["batch.aging: expected a finite duration"]),
      ...adaptiveFaults
    ]
  ]
}
