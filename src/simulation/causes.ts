/** Which limit a call waits for, by the status of its limiter or pool when the wait begins. */
import type { KeyStatus, PoolStatus } from "../keyPool/status.js"
import type { LimiterStatus } from "../rateLimiter/model.js"
import type { Limit } from "./model.js"

const minute = 60_000
const day = 24 * 60 * minute

/**
 * The limit through which the queue with this call passes last. Those behind the slowest limit wait for nothing else. `callMillis`: how
 * long a call takes.
 */
export const limitOfLimiter = (status: LimiterStatus, tokens: number, callMillis: number): Limit => {
  const queued = status.waiting + 1
  /** The milliseconds until a limit has let the queue through. */
  const drain = (amount: number, available: number, perMillis: number): number =>
    amount <= available ? 0 : (amount - available) / perMillis
  const drains: ReadonlyArray<readonly [Limit, number]> = [
    ...(status.concurrency === undefined
      ? []
      : [
          [
            "concurrency",
            drain(queued, status.concurrency.limit - status.concurrency.inFlight, status.concurrency.limit / callMillis)
          ] as const
        ]),
    ...(status.tokens === undefined || tokens === 0
      ? []
      : [
          ["tokensPerMinute", drain(queued * tokens, status.tokens.available, status.tokens.refillRate / 1000)] as const
        ]),
    ...(status.minute === undefined
      ? []
      : [["requestsPerMinute", drain(queued, status.minute.available, status.minute.limit / minute)] as const]),
    ...(status.day === undefined
      ? []
      : [["requestsPerDay", drain(queued, status.day.available, status.day.limit / day)] as const]),
    ["requests", drain(queued, status.available, status.refillRate / 1000)]
  ]
  return drains.reduce((slowest, next) => (next[1] > slowest[1] ? next : slowest), ["requests", 0] as const)[0]
}

const limitOfKey = ({ halfOpen, inFlight, maxConcurrency, recentStarts, state }: KeyStatus): Limit | undefined => {
  switch (state._tag) {
    case "Ready":
      return undefined
    case "Disabled":
      return "keyFailures"
    case "Busy":
      if (maxConcurrency !== undefined && inFlight >= maxConcurrency) return "keyConcurrency"
      return recentStarts === undefined || halfOpen ? "providerLimits" : "keyRate"
    case "Cooling":
      if (state.reason === "rate-limited" || state.reason === "resting") return "providerLimits"
      return state.reason === "out-of-quota" ? "providerQuota" : "keyFailures"
  }
}

/** What most of the keys that are not ready wait for. */
export const limitOfPool = ({ keys }: PoolStatus): Limit => {
  const counts = new Map<Limit, number>()
  for (const key of keys) {
    const limit = limitOfKey(key)
    if (limit !== undefined) counts.set(limit, (counts.get(limit) ?? 0) + 1)
  }
  let most: readonly [Limit, number] = ["providerLimits", 0]
  for (const entry of counts) if (entry[1] > most[1]) most = entry
  return most[0]
}
