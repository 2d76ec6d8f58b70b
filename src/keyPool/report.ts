/** Status and errors of a pool, with ids and never with secrets. */
import { Duration } from "effect"
import { durationText } from "../internal/durationText.js"
import type { KeyStatus, PoolStatus, State } from "./model.js"
import { KeyPoolExhaustedError, RateLimitError } from "../vocabulary/LLMError.js"
import * as KeySets from "./keySet.js"
import type { KeySet } from "./keySet.js"
import type { PooledKey, View } from "./key.js"
import type { Denied } from "./state.js"
import * as SlidingWindow from "../internal/slidingWindow.js"

/** `epoch` is the wall-clock time at which the time of the set was 0. */
export const status = (
  provider: string,
  keySet: KeySet,
  view: View | undefined,
  waiting: number,
  epoch: number
): PoolStatus => ({
  provider,
  keys: KeySets.keys(keySet, view).map((key) => statusOf(key, KeySets.asSeen(keySet, key, view), keySet.now, epoch)),
  waiting
})

/** `seen`: the key with what is known of it with the model of a view. */
const statusOf = (key: PooledKey, seen: PooledKey, now: number, epoch: number): KeyStatus => {
  const { latency, maxConcurrency, weight } = key
  const inFlight = key.inFlight + key.others.inFlight
  const { requestsPerSecond, quotaGroup } = key.key
  return {
    id: key.id,
    weight,
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(quotaGroup === undefined ? {} : { quotaGroup }),
    state: stateOf(seen, key.health.restUntil > seen.health.restUntil ? key : seen, now, epoch),
    halfOpen: key.health.halfOpen !== undefined || seen.health.halfOpen !== undefined,
    inFlight,
    ...(key.starts === undefined ? {} : { recentStarts: SlidingWindow.expire(key.starts, now).used }),
    loadFactor: inFlight / (maxConcurrency ?? weight),
    ...(latency === undefined ? {} : { latency }),
    served: key.calls,
    succeeded: key.succeeded,
    ...key.failures
  }
}

/** `rested`: the key with its longest cooldown. */
const stateOf = ({ availability }: PooledKey, rested: PooledKey, now: number, epoch: number): State => {
  const { reason, restUntil } = rested.health
  const rest = {
    remaining: Duration.millis(restUntil - now),
    ...(restUntil === Infinity ? {} : { until: Math.ceil(epoch + restUntil) })
  }
  switch (availability) {
    case "ready":
      return { _tag: "Ready" }
    case "capped":
    case "paced":
    case "probing":
    case "admitting":
      return { _tag: "Busy" }
    case "limited":
      return { _tag: "Cooling", reason, ...rest }
    case "broken":
      return reason === "refused" ? { _tag: "Disabled", reason, ...rest } : { _tag: "Cooling", reason, ...rest }
    case "disabled":
      return { _tag: "Disabled", reason: "by-hand", remaining: Duration.infinity }
  }
}

/** The error of a call that finds the queue full. */
export const queueFull = (provider: string, waiting: number): RateLimitError =>
  new RateLimitError({
    provider,
    model: "",
    attempts: [],
    source: "pool",
    message: `The queue for the keys of ${provider} is full: ${waiting} calls wait already. Send fewer calls at the same time, add keys, or raise maxQueueLength.`
  })

/** The error of a call that gets no key. */
export const denial = (provider: string, denied: Denied): RateLimitError | KeyPoolExhaustedError => {
  const isFinite = denied.readyIn !== undefined && denied.readyIn < Infinity
  const retryAfter = isFinite ? { retryAfter: Duration.millis(Math.ceil(denied.readyIn)) } : {}
  const when = isFinite
    ? `The first can be ready in ${durationText(denied.readyIn)}`
    : "It is not known when one will be ready"
  const context = { provider, model: "", attempts: [], ...retryAfter }
  const { busy, limited } = denied
  return busy + limited > 0
    ? new RateLimitError({
        ...context,
        source: "pool",
        message: `No key for ${provider} is free in time: ${busy} busy, ${limited} resting after a rate limit or failures. ${when}. Add keys, slow down, or allow a longer wait.`
      })
    : new KeyPoolExhaustedError({
        ...context,
        message: `No key for ${provider} can be used: all keys that this call has not tried are disabled, refused or out of quota. ${when}. Check the keys and their credit.`
      })
}
