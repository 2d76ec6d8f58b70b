/**
 * The state of a pool against a model of it that is as plain as can be: lists instead of a heap, and every rule written down
 * as the documentation says it. Whatever is done to both, they must agree on who has a key, who waits and who is refused.
 */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, FastCheck, FiberId } from "effect"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as Ring from "../../src/keyPool/keySet.js"
import type { Hold } from "../../src/keyPool/key.js"
import * as Pool from "../../src/keyPool/state.js"
import type { Wakeup } from "../../src/internal/waitQueue.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"

const remedies = { base: 1_000, factor: 2, max: 60_000, quota: 3_600_000, refused: 300_000, latencyDecay: 10_000 }

interface ModelKey {
  readonly key: ApiKey.ApiKey
  readonly inFlight: Set<number>
  readonly starts: Array<number>
  isDisabled: boolean
  restUntil: number
  isBroken: boolean
  restedAt: number
  strikes: number
  halfOpen: "out-of-quota" | "refused" | undefined
  probe: number | undefined
}

const modelKey = (key: ApiKey.ApiKey): ModelKey => ({
  key,
  inFlight: new Set(),
  starts: [],
  isDisabled: false,
  restUntil: -Infinity,
  isBroken: false,
  restedAt: -1,
  strikes: 0,
  halfOpen: undefined,
  probe: undefined
})

const opensAt = ({ key, starts }: ModelKey): number => {
  if (key.requestsPerSecond === undefined) return -Infinity
  const limit = Math.max(1, Math.floor(key.requestsPerSecond))
  const start = starts.at(-limit)
  return start === undefined ? -Infinity : start + (limit / key.requestsPerSecond) * 1000
}

const standing = (key: ModelKey, now: number) => {
  if (key.isDisabled) return "disabled"
  if (key.restUntil > now) return key.isBroken ? "broken" : "limited"
  if (key.halfOpen !== undefined && key.probe !== undefined) return "probing"
  if (key.inFlight.size >= (key.key.maxConcurrency ?? Infinity)) return "capped"
  return opensAt(key) > now ? "paced" : "ready"
}

const readyAt = (key: ModelKey, now: number): number => {
  const state = standing(key, now)
  return state === "limited" || state === "broken" ? key.restUntil : state === "paced" ? opensAt(key) : Infinity
}

interface ModelCall {
  readonly model: ModelKey
  readonly hold: Hold
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
  isKin: boolean
) => {
  const isNews = sequence > key.restedAt
  switch (verdict._tag) {
    case "Served":
      if (isNews && !(isKin && key.halfOpen === "refused")) {
        Object.assign(key, { strikes: 0, halfOpen: undefined, probe: undefined })
      }
      return
    case "RateLimited": {
      key.strikes = isNews ? key.strikes + 1 : Math.max(1, key.strikes)
      if (isNews) key.restedAt = latest
      const backoff = Math.min(remedies.max, remedies.base * remedies.factor ** (key.strikes - 1))
      return rest(
        key,
        now + (verdict.retryAfter === undefined ? backoff : Duration.toMillis(verdict.retryAfter)),
        false
      )
    }
    case "OutOfQuota":
      Object.assign(key, { restedAt: latest, halfOpen: "out-of-quota" })
      return rest(key, now + remedies.quota, true)
    case "Refused":
      if (isKin) return
      Object.assign(key, { restedAt: latest, halfOpen: "refused" })
      return rest(key, now + remedies.refused, true)
    case "Neutral":
      return
  }
}

/** One that waits. `until` is when it looks again though no wakeup rings. */
interface Waiter {
  readonly ticket: number
  readonly wish: Pool.Wish
  wakeup: Wakeup
  until: number
}

const makeBell = (): Wakeup => Deferred.unsafeMake(FiberId.none)

/** The state under test and the model, side by side. */
const sideBySide = (options: ReadonlyArray<ApiKey.Options>, strategy: KeyPool.Strategy) => {
  const keys = options.map((option, index) => ApiKey.make(`sk-${index}`, { ...option, id: `k${index}` }))
  let state = Pool.make(Ring.make(keys, strategy, remedies, 42))
  let now = 0
  let added = keys.length
  const models = new Map(keys.map((key) => [key.id, modelKey(key)]))
  const calls: Array<ModelCall> = []
  let line: Array<Waiter> = []
  const rung = new Set<Wakeup>()

  const taken = <A>([{ wakeups, value }, next]: Pool.Step<A>): A => {
    state = next
    for (const wakeup of wakeups) rung.add(wakeup)
    return value
  }

  const available = (wish: Pool.Wish) =>
    [...models.values()].filter((model) => !wish.exclude.has(model.key.id) && standing(model, now) === "ready")

  const isHopeless = (wish: Pool.Wish): boolean => {
    const keys = [...models.values()].filter((model) => !wish.exclude.has(model.key.id))
    const standings = keys.map((model) => standing(model, now))
    const isBusy = standings.some((each) => each === "capped" || each === "paced")
    const isAwaited = standings.some((each) => each === "capped" || each === "probing")
    const soonest = Math.min(Infinity, ...keys.map((model) => readyAt(model, now)))
    return wish.deadline <= now || (!wish.patient && !isBusy) || (!isAwaited && soonest > wish.deadline)
  }

  const granted = (hold: Hold, wish: Pool.Wish) => {
    const model = models.get(hold.key.id)
    expect(available(wish).map((each) => each.key.id)).toContain(hold.key.id)
    if (model === undefined) return
    model.inFlight.add(hold.sequence)
    model.starts.push(now)
    if (model.halfOpen !== undefined) model.probe = hold.sequence
    calls.push({ model, hold })
  }

  /** Lets all who have reason to look again do so, and compares what they get with what they should. */
  const settle = () => {
    const answers = new Map<number, Pool.Granted | Pool.Denied>()
    for (;;) {
      const looker = line.find(
        (waiter) => !answers.has(waiter.ticket) && (rung.has(waiter.wakeup) || waiter.until <= now)
      )
      if (looker === undefined) break
      looker.wakeup = makeBell()
      const value = taken(Pool.look(state, now, looker.ticket, looker.wakeup))
      if (value._tag === "Waiting") looker.until = value.until
      else answers.set(looker.ticket, value)
    }
    for (const waiter of line) {
      const answer = answers.get(waiter.ticket)
      if (answer?._tag === "Granted") granted(answer.hold, waiter.wish)
      else expect(available(waiter.wish)).toEqual([])
    }
    for (const waiter of line) {
      const answer = answers.get(waiter.ticket)
      if (answer?._tag !== "Granted") expect(isHopeless(waiter.wish)).toBe(answer?._tag === "Denied")
    }
    line = line.filter((waiter) => !answers.has(waiter.ticket))
    compare()
  }

  const compare = () => {
    expect(Pool.waiting(state)).toBe(line.length)
    const keySet = Ring.advance(state.keySet, now)
    expect(
      Ring.keys(keySet).map((key) => ({
        id: key.id,
        inFlight: key.inFlight,
        standing: key.standing,
        wakeAt: key.wakeAt
      }))
    ).toEqual(
      [...models.values()].map((model) => ({
        id: model.key.id,
        inFlight: model.inFlight.size,
        standing: standing(model, now),
        wakeAt: readyAt(model, now)
      }))
    )
  }

  const pickOf = (index: number): ModelKey | undefined => [...models.values()][index % Math.max(1, models.size)]

  return {
    calls,
    waiting: () => line.length,
    inFlight: () => Ring.keys(state.keySet).reduce((sum, key) => sum + key.inFlight, 0),
    ask: (exclude: ReadonlyArray<number>, maxWait: number, patient: boolean) => {
      const wish = { exclude: new Set(exclude.map((index) => `k${index}`)), deadline: now + maxWait, patient }
      const first = line.length > 0 ? undefined : bestOf(Ring.keys(Ring.advance(state.keySet, now)), wish, strategy)
      const wakeup = makeBell()
      const value = taken(Pool.queue(state, now, wish, wakeup))
      if (value._tag === "Granted") {
        granted(value.hold, wish)
        if (first !== undefined) expect(value.hold.key.id).toBe(first)
      } else {
        expect(available(wish)).toEqual([])
        expect(value._tag).toBe(isHopeless(wish) ? "Denied" : "Waiting")
        if (value._tag === "Waiting") line.push({ ticket: value.ticket, wish, wakeup, until: value.until })
      }
      settle()
    },
    end: (index: number, verdict: KeyPool.Verdict) => {
      const [call] = calls.splice(index % Math.max(1, calls.length), 1)
      if (call === undefined) return
      const { hold, model } = call
      const latest = state.keySet.sequence
      taken(Pool.giveBack(state, now, hold, () => verdict))
      model.inFlight.delete(hold.sequence)
      if (model.probe === hold.sequence) model.probe = undefined
      if (models.get(model.key.id) === model) {
        const kin = [...models.values()].filter(
          (each) => each !== model && each.key.quotaGroup !== undefined && each.key.quotaGroup === model.key.quotaGroup
        )
        const wasSuffering = model.strikes > 0 || model.halfOpen !== undefined
        judge(model, hold.sequence, verdict, now, latest, false)
        if (verdict._tag !== "Served" || wasSuffering) {
          for (const each of kin) judge(each, hold.sequence, verdict, now, latest, true)
        }
      }
      settle()
    },
    giveUp: (index: number) => {
      const [waiter] = line.splice(index % Math.max(1, line.length), 1)
      if (waiter === undefined) return
      taken(Pool.giveUp(state, now, waiter.ticket))
      settle()
    },
    pass: (millis: number) => {
      now += millis
      settle()
    },
    add: (option: ApiKey.Options) => {
      const key = ApiKey.make(`sk-${added}`, { ...option, id: `added-${added}` })
      added++
      taken(Pool.change(state, now, (keySet) => [undefined, Ring.add(keySet, key)]))
      models.set(key.id, modelKey(key))
      settle()
    },
    change: (what: "remove" | "disable" | "enable" | "rest", index: number, millis: number) => {
      const model = pickOf(index)
      if (model === undefined) return
      const { id } = model.key
      const changes = {
        remove: Ring.remove,
        disable: Ring.disable,
        enable: Ring.enable,
        rest: (keySet: Ring.KeySet) => Ring.rest(keySet, id, millis, "resting")
      }
      taken(Pool.change(state, now, (keySet) => [undefined, changes[what](keySet, id)]))
      if (what === "remove") models.delete(id)
      if (what === "disable") model.isDisabled = true
      if (what === "rest") rest(model, now + millis, false)
      if (what === "enable") {
        const { inFlight, key, restedAt, starts } = model
        Object.assign(model, { ...modelKey(key), inFlight, restedAt, starts })
      }
      settle()
    }
  }
}

const bestOf = (keys: ReturnType<typeof Ring.keys>, wish: Pool.Wish, strategy: KeyPool.Strategy): string | undefined =>
  keys.filter((key) => key.standing === "ready" && !wish.exclude.has(key.id)).sort(strategy)[0]?.id

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

type Command = (pools: ReturnType<typeof sideBySide>) => void

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
      ([exclude, maxWait, patient]): Command =>
        (pools) =>
          pools.ask(exclude, maxWait, patient)
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
      const pools = sideBySide(options, strategy)
      for (const run of commands) run(pools)
      // Whatever has been done, a key for everyone and the end of all calls leave nobody behind.
      pools.add({})
      expect(pools.waiting()).toBe(0)
      while (pools.calls.length > 0) pools.end(0, KeyPool.Verdict.Neutral())
      expect(pools.inFlight()).toBe(0)
    },
    { fastCheck: { numRuns: 250 } }
  )
})
