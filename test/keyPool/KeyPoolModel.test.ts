/**
 * Compares the state of a pool with a simple model: lists instead of a heap, and the rules as documented. After any commands both
 * must agree on which keys are in use, which calls wait and which are refused.
 */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, FiberId } from "effect"
import * as FastCheck from "fast-check"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as KeySets from "../../src/keyPool/keySet.js"
import { wakeAtOf } from "../../src/keyPool/ranking.js"
import type { KeyReservation } from "../../src/keyPool/key.js"
import * as Pool from "../../src/keyPool/state.js"
import type { Wakeup } from "../../src/internal/waitQueue.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"

const cooldown = {
  base: 1_000,
  factor: 2,
  max: 60_000,
  quota: 3_600_000,
  refused: 300_000,
  latencyDecay: 10_000,
  keyHealth: { maxCooldown: 600_000, maxFailures: Infinity }
}

interface ModelKey {
  readonly key: ApiKey.ApiKey
  readonly inFlight: Set<number>
  readonly starts: Array<number>
  isDisabled: boolean
  restUntil: number
  isBroken: boolean
  restedAtSequence: number
  consecutiveRateLimits: number
  halfOpen: "rate-limited" | "out-of-quota" | "refused" | undefined
  /** The most calls in flight since the latest cooldown began, and those that are. */
  limit: number | undefined
  readonly tests: Set<number>
  testedAt: number
}

const makeModelKey = (key: ApiKey.ApiKey): ModelKey => ({
  key,
  inFlight: new Set(),
  starts: [],
  isDisabled: false,
  restUntil: -Infinity,
  isBroken: false,
  restedAtSequence: -1,
  consecutiveRateLimits: 0,
  halfOpen: undefined,
  limit: undefined,
  tests: new Set(),
  testedAt: -Infinity
})

const isProbed = ({ halfOpen }: ModelKey): boolean => halfOpen === "out-of-quota" || halfOpen === "refused"

const limitOf = (key: ModelKey, now: number): number => {
  const { limit = Infinity, testedAt, tests } = key
  return tests.size >= limit && !isProbed(key) && now >= testedAt + 1_000 ? 2 * limit : limit
}

const startTest = (key: ModelKey): void => {
  key.limit = 1
  key.tests.clear()
  key.testedAt = -Infinity
}

const opensAt = ({ key, starts }: ModelKey): number => {
  if (key.requestsPerSecond === undefined) return -Infinity
  const limit = Math.max(1, Math.floor(key.requestsPerSecond))
  const start = starts.at(-limit)
  return start === undefined ? -Infinity : start + (limit / key.requestsPerSecond) * 1000
}

const availability = (key: ModelKey, now: number) => {
  if (key.isDisabled) return "disabled"
  if (key.restUntil > now) return key.isBroken ? "broken" : "limited"
  if (key.tests.size >= limitOf(key, now)) return isProbed(key) ? "probing" : "admitting"
  if (key.inFlight.size >= (key.key.maxConcurrency ?? Infinity)) return "capped"
  return opensAt(key) > now ? "paced" : "ready"
}

const readyAt = (key: ModelKey, now: number): number => {
  const state = availability(key, now)
  if (state === "admitting") return key.testedAt + 1_000
  return state === "limited" || state === "broken" ? key.restUntil : state === "paced" ? opensAt(key) : Infinity
}

interface ModelCall {
  readonly model: ModelKey
  readonly reservation: KeyReservation
}

const rest = (key: ModelKey, until: number, isBroken: boolean) => {
  if (until > key.restUntil) Object.assign(key, { restUntil: until, isBroken })
}

const judge = (
  key: ModelKey,
  sequence: number,
  verdict: KeyPool.Verdict,
  now: number,
  latest: number,
  isGroupMember: boolean
) => {
  const isFirst = sequence > key.restedAtSequence
  switch (verdict._tag) {
    case "Served":
      if (isFirst && !(isGroupMember && key.halfOpen === "refused")) {
        Object.assign(key, { consecutiveRateLimits: 0, halfOpen: undefined })
        if (!isGroupMember && key.limit !== undefined) {
          key.limit = key.limit >= (key.key.maxConcurrency ?? Infinity) ? undefined : key.limit + 1
        }
      }
      return
    case "RateLimited": {
      key.consecutiveRateLimits = isFirst ? key.consecutiveRateLimits + 1 : Math.max(1, key.consecutiveRateLimits)
      if (isFirst) {
        key.restedAtSequence = latest
        key.halfOpen ??= "rate-limited"
        startTest(key)
      }
      const backoff = Math.min(cooldown.max, cooldown.base * cooldown.factor ** (key.consecutiveRateLimits - 1))
      return rest(
        key,
        now + Math.min(600_000, verdict.retryAfter === undefined ? backoff : Duration.toMillis(verdict.retryAfter)),
        false
      )
    }
    case "OutOfQuota":
      Object.assign(key, { restedAtSequence: latest, halfOpen: "out-of-quota" })
      startTest(key)
      return rest(key, now + cooldown.quota, true)
    case "Refused":
      if (isGroupMember) return
      Object.assign(key, { restedAtSequence: latest, halfOpen: "refused" })
      startTest(key)
      return rest(key, now + cooldown.refused, true)
    case "Failed":
    case "Neutral":
      return
  }
}

/** A waiting call. `until` is when it looks again without a wakeup. */
interface Waiter {
  readonly ticket: Pool.Place
  readonly request: Pool.AcquireRequest
  wakeup: Wakeup
  until: number
}

const makeWakeup = (): Wakeup => Deferred.unsafeMake(FiberId.none)

/** The state under test and the model, which receive the same commands. */
const makeComparison = (options: ReadonlyArray<ApiKey.Options>, strategy: KeyPool.Strategy) => {
  const keys = options.map((option, index) => ApiKey.make(`sk-${index}`, { ...option, id: `k${index}` }))
  let state = Pool.make(KeySets.make(keys, strategy, cooldown, 42))
  let now = 0
  let added = keys.length
  const models = new Map(keys.map((key) => [key.id, makeModelKey(key)]))
  const calls: Array<ModelCall> = []
  let queue: Array<Waiter> = []
  const completed = new Set<Wakeup>()

  const apply = <A>([{ wakeups, value }, next]: Pool.Step<A>): A => {
    state = next
    for (const wakeup of wakeups) completed.add(wakeup)
    return value
  }

  const available = (request: Pool.AcquireRequest) =>
    [...models.values()].filter((model) => !request.exclude.has(model.key.id) && availability(model, now) === "ready")

  const cannotSucceed = (request: Pool.AcquireRequest): boolean => {
    const keys = [...models.values()].filter((model) => !request.exclude.has(model.key.id))
    const availabilities = keys.map((model) => availability(model, now))
    const isBusy = availabilities.some((each) => each === "capped" || each === "paced")
    const isAwaited = availabilities.some((each) => each === "capped" || each === "probing" || each === "admitting")
    const soonest = Math.min(Infinity, ...keys.map((model) => readyAt(model, now)))
    return (
      request.deadline <= now || (!request.waitsForCooldown && !isBusy) || (!isAwaited && soonest > request.deadline)
    )
  }

  const granted = (reservation: KeyReservation, request: Pool.AcquireRequest) => {
    const model = models.get(reservation.key.id)
    expect(available(request).map((each) => each.key.id)).toContain(reservation.key.id)
    if (model === undefined) return
    model.inFlight.add(reservation.sequence)
    model.starts.push(now)
    if (model.limit !== undefined) {
      model.limit = limitOf(model, now)
      model.tests.add(reservation.sequence)
      model.testedAt = now
    }
    calls.push({ model, reservation })
  }

  /** Lets every waiter with a wakeup or a timer look again, and compares the results with the model. */
  const settle = () => {
    const answers = new Map<Pool.Place, Pool.Answer>()
    for (;;) {
      const next = queue.find(
        (waiter) => !answers.has(waiter.ticket) && (completed.has(waiter.wakeup) || waiter.until <= now)
      )
      if (next === undefined) break
      next.wakeup = makeWakeup()
      const value = apply(Pool.look(state, now, next.ticket, next.wakeup))
      if (value._tag === "Waiting") next.until = value.until
      else answers.set(next.ticket, value)
    }
    for (const waiter of queue) {
      const answer = answers.get(waiter.ticket)
      if (answer?._tag === "Granted") granted(answer.reservation, waiter.request)
      else expect(available(waiter.request)).toEqual([])
    }
    for (const waiter of queue) {
      const answer = answers.get(waiter.ticket)
      if (answer?._tag !== "Granted") expect(cannotSucceed(waiter.request)).toBe(answer?._tag === "Denied")
    }
    queue = queue.filter((waiter) => !answers.has(waiter.ticket))
    compare()
  }

  const compare = () => {
    expect(Pool.waiting(state, undefined)).toBe(queue.length)
    const keySet = KeySets.advance(state.keySet, now)
    expect(
      KeySets.keys(keySet).map((key) => ({
        id: key.id,
        inFlight: key.inFlight,
        availability: key.availability,
        wakeAt: wakeAtOf(key)
      }))
    ).toEqual(
      [...models.values()].map((model) => ({
        id: model.key.id,
        inFlight: model.inFlight.size,
        availability: availability(model, now),
        wakeAt: readyAt(model, now)
      }))
    )
  }

  const pickOf = (index: number): ModelKey | undefined => [...models.values()][index % Math.max(1, models.size)]

  return {
    calls,
    waiting: () => queue.length,
    inFlight: () => KeySets.keys(state.keySet).reduce((sum, key) => sum + key.inFlight, 0),
    acquire: (exclude: ReadonlyArray<number>, maxWait: number, waitsForCooldown: boolean) => {
      const request = {
        exclude: new Set(exclude.map((index) => `k${index}`)),
        deadline: now + maxWait,
        waitsForCooldown
      }
      const first =
        queue.length > 0 ? undefined : bestOf(KeySets.keys(KeySets.advance(state.keySet, now)), request, strategy)
      const wakeup = makeWakeup()
      const value = apply(Pool.enqueue(state, now, request, wakeup))
      if (value._tag === "Granted") {
        granted(value.reservation, request)
        if (first !== undefined) expect(value.reservation.key.id).toBe(first)
      } else {
        expect(available(request)).toEqual([])
        expect(value._tag).toBe(cannotSucceed(request) ? "Denied" : "Waiting")
        if (value._tag === "Waiting") queue.push({ ticket: value.ticket, request, wakeup, until: value.until })
      }
      settle()
    },
    end: (index: number, verdict: KeyPool.Verdict) => {
      const [call] = calls.splice(index % Math.max(1, calls.length), 1)
      if (call === undefined) return
      const { reservation, model } = call
      const latest = state.keySet.sequence
      apply(Pool.settle(state, now, reservation, () => verdict))
      model.inFlight.delete(reservation.sequence)
      model.tests.delete(reservation.sequence)
      if (models.get(model.key.id) === model) {
        const group = [...models.values()].filter(
          (each) => each !== model && each.key.quotaGroup !== undefined && each.key.quotaGroup === model.key.quotaGroup
        )
        const wasUnhealthy =
          model.consecutiveRateLimits > 0 || model.halfOpen !== undefined || model.limit !== undefined
        judge(model, reservation.sequence, verdict, now, latest, false)
        if (verdict._tag !== "Served" || wasUnhealthy) {
          for (const each of group) judge(each, reservation.sequence, verdict, now, latest, true)
        }
      }
      settle()
    },
    giveUp: (index: number) => {
      const [waiter] = queue.splice(index % Math.max(1, queue.length), 1)
      if (waiter === undefined) return
      apply(Pool.giveUp(state, now, waiter.ticket))
      settle()
    },
    pass: (millis: number) => {
      now += millis
      settle()
    },
    add: (option: ApiKey.Options) => {
      const key = ApiKey.make(`sk-${added}`, { ...option, id: `added-${added}` })
      added++
      apply(Pool.change(state, now, (keySet) => [undefined, KeySets.add(keySet, key)]))
      models.set(key.id, makeModelKey(key))
      settle()
    },
    change: (what: "remove" | "disable" | "enable" | "rest", index: number, millis: number) => {
      const model = pickOf(index)
      if (model === undefined) return
      const { id } = model.key
      const changes = {
        remove: KeySets.remove,
        disable: KeySets.disable,
        enable: KeySets.enable,
        rest: (keySet: KeySets.KeySet) => KeySets.rest(keySet, id, millis, "resting")
      }
      apply(Pool.change(state, now, (keySet) => [undefined, changes[what](keySet, id)]))
      if (what === "remove") models.delete(id)
      if (what === "disable") model.isDisabled = true
      if (what === "rest") rest(model, now + Math.min(millis, 600_000), false)
      if (what === "enable") {
        const { inFlight, key, restedAtSequence, starts } = model
        Object.assign(model, { ...makeModelKey(key), inFlight, restedAtSequence, starts })
      }
      settle()
    }
  }
}

const bestOf = (
  keys: ReturnType<typeof KeySets.keys>,
  request: Pool.AcquireRequest,
  strategy: KeyPool.Strategy
): string | undefined =>
  keys.filter((key) => key.availability === "ready" && !request.exclude.has(key.id)).sort(strategy)[0]?.id

const keyOptions: FastCheck.Arbitrary<ApiKey.Options> = FastCheck.record(
  {
    weight: FastCheck.constantFrom(1, 2, 3.5),
    maxConcurrency: FastCheck.constantFrom(1, 2, 50),
    requestsPerSecond: FastCheck.constantFrom(0.5, 1, 3),
    quotaGroup: FastCheck.constantFrom("org")
  },
  { requiredKeys: ["maxConcurrency"] }
)

const millis = FastCheck.constantFrom(1, 333, 1_000, 5_000, 60_000, 300_000, 3_600_000)

const verdict: FastCheck.Arbitrary<KeyPool.Verdict> = FastCheck.oneof(
  FastCheck.constant(KeyPool.Verdict.Neutral()),
  FastCheck.constant(KeyPool.Verdict.Served({ latency: 5 })),
  FastCheck.constant(KeyPool.Verdict.RateLimited({})),
  millis.map((wait) => KeyPool.Verdict.RateLimited({ retryAfter: Duration.millis(wait) })),
  FastCheck.constant(KeyPool.Verdict.OutOfQuota({})),
  FastCheck.constant(KeyPool.Verdict.Refused())
)

type Command = (pools: ReturnType<typeof makeComparison>) => void

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  {
    weight: 6,
    arbitrary: FastCheck.tuple(
      FastCheck.oneof(
        { weight: 3, arbitrary: FastCheck.constant([]) },
        { weight: 1, arbitrary: FastCheck.array(FastCheck.nat(3), { maxLength: 3 }) }
      ),
      FastCheck.constantFrom(0, 500, 5_000, 40_000, Infinity),
      FastCheck.oneof({ weight: 3, arbitrary: FastCheck.constant(true) }, FastCheck.constant(false))
    ).map(
      ([exclude, maxWait, waitsForCooldown]): Command =>
        (pools) =>
          pools.acquire(exclude, maxWait, waitsForCooldown)
    )
  },
  {
    weight: 5,
    arbitrary: FastCheck.tuple(FastCheck.nat(20), verdict).map(
      ([index, verdict]): Command =>
        (pools) =>
          pools.end(index, verdict)
    )
  },
  {
    weight: 3,
    arbitrary: millis.map(
      (wait): Command =>
        (pools) =>
          pools.pass(wait)
    )
  },
  {
    weight: 1,
    arbitrary: FastCheck.nat(5).map(
      (index): Command =>
        (pools) =>
          pools.giveUp(index)
    )
  },
  {
    weight: 1,
    arbitrary: keyOptions.map(
      (options): Command =>
        (pools) =>
          pools.add(options)
    )
  },
  {
    weight: 1,
    arbitrary: FastCheck.tuple(
      FastCheck.constantFrom("remove" as const, "disable" as const, "enable" as const, "rest" as const),
      FastCheck.nat(5),
      millis
    ).map(
      ([what, index, wait]): Command =>
        (pools) =>
          pools.change(what, index, wait)
    )
  }
)

describe("the pool state against a simple model", () => {
  it.prop(
    "pool state and model agree on the availability of keys, grants, refusals and the queue",
    [
      FastCheck.array(keyOptions, { minLength: 1, maxLength: 3 }),
      FastCheck.constantFrom(
        KeyPool.leastLoaded,
        KeyPool.weighted,
        KeyPool.roundRobin,
        KeyPool.latency,
        KeyPool.random,
        KeyPool.failover
      ),
      FastCheck.array(command, { maxLength: 100, size: "max" })
    ],
    ([options, strategy, commands]) => {
      const pools = makeComparison(options, strategy)
      for (const run of commands) run(pools)
      // After any commands, an unlimited key and the end of all calls serve every waiter.
      pools.add({})
      expect(pools.waiting()).toBe(0)
      while (pools.calls.length > 0) pools.end(0, KeyPool.Verdict.Neutral())
      expect(pools.inFlight()).toBe(0)
    },
    { fastCheck: { numRuns: 250 } }
  )
})
