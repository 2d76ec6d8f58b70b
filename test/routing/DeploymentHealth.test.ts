import { describe, expect, it } from "@effect/vitest"
import { Array, Duration, Effect, Fiber, Option, Random, Ref, Stream, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as Balance from "../../src/routing/Balance.js"
import type { Notice } from "../../src/routing/balance/health.js"
import * as MemoryHealth from "../../src/routing/balance/memoryHealth.js"
import * as DeploymentSet from "../../src/routing/balance/deploymentSet.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import { makeClock, restless } from "../support/interleaving.js"
import { answer, context, rateLimited, scripted } from "../support/scripted.js"

const failing = new LLMErrors.ProviderUnavailableError({ ...context, status: 500, message: "boom" })

const options: Balance.Options = { maxWait: 0, breaker: { failures: 1, cooldown: { base: "10 seconds" } } }

const stateOf = (self: Balance.Service) => Effect.map(self.deployments, ([deployment]) => deployment?.state._tag)

const call = (self: Balance.Service) => Effect.either(self.chat("?"))

describe("Balance.layerMemoryHealth", () => {
  it.effect("keeps a balance from calling a deployment whose circuit another balance opened", () =>
    Effect.gen(function* () {
      const bad = yield* scripted(failing)
      const good = yield* scripted("good")
      const one = yield* Balance.make([{ llm: bad, id: "a" }], options)
      const other = yield* Balance.make(
        [
          { llm: bad, id: "a" },
          { llm: good, id: "b" }
        ],
        { ...options, strategy: Balance.failover }
      )
      yield* call(one)
      expect((yield* other.chat("?")).text).toBe("good")
      expect(yield* bad.asked).toHaveLength(1)
    }).pipe(Effect.provide(Balance.layerMemoryHealth))
  )

  it.effect("keeps the health of deployments private to each balance when no DeploymentHealth is provided", () =>
    Effect.gen(function* () {
      const bad = yield* scripted(failing)
      const one = yield* Balance.make([{ llm: bad, id: "a" }], options)
      const other = yield* Balance.make([{ llm: bad, id: "a" }], options)
      yield* call(one)
      expect(yield* stateOf(one)).toBe("Open")
      expect(yield* stateOf(other)).toBe("Ready")
    })
  )

  it.effect("allows one probe for all balances, whose queued calls go on within a second of its success", () =>
    Effect.gen(function* () {
      const gate = yield* Effect.makeLatch()
      const llm = yield* scripted(failing, Effect.as(gate.await, answer("ok")))
      const patient: Balance.Options = { ...options, maxWait: "1 minute" }
      const peers = yield* Effect.replicateEffect(Balance.make([{ llm, id: "a" }], patient), 4)
      yield* Effect.forEach(peers.slice(0, 1), call)
      const all = yield* Effect.fork(Effect.forEach(peers, (self) => self.chat("?"), { concurrency: "unbounded" }))
      yield* TestClock.adjust("15 seconds")
      expect(yield* llm.asked).toHaveLength(2)
      yield* gate.open
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(all)).toHaveLength(4)
      for (const self of peers) expect(yield* stateOf(self)).toBe("Ready")
    }).pipe(Effect.provide(Balance.layerMemoryHealth))
  )

  it.effect("fails a call after `maxWait` while another balance's probe is running", () =>
    Effect.gen(function* () {
      const llm = yield* scripted(failing, Effect.never)
      const one = yield* Balance.make([{ llm, id: "a" }], options)
      const other = yield* Balance.make([{ llm, id: "a" }], { ...options, maxWait: "20 seconds" })
      yield* call(one)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* Effect.fork(call(one))
      yield* Effect.yieldNow()
      const hasty = yield* Effect.fork(Effect.timed(call(other)))
      yield* TestClock.adjust("1 minute")
      const [time, ended] = yield* Fiber.join(hasty)
      expect(ended._tag).toBe("Left")
      expect(Duration.toSeconds(time)).toBe(20)
      expect(yield* llm.asked).toHaveLength(2)
      yield* Fiber.interrupt(probe)
    }).pipe(Effect.provide(Balance.layerMemoryHealth))
  )

  it.effect("closes the circuit for all balances at the first event of a streaming probe", () =>
    Effect.gen(function* () {
      const llm = yield* scripted(
        failing,
        {
          stream: Stream.concat(Stream.make({ _tag: "TextDelta" as const, text: "o", index: 0 }), Stream.never)
        },
        "ok"
      )
      const one = yield* Balance.make([{ llm, id: "a" }], options)
      const other = yield* Balance.make([{ llm, id: "a" }], options)
      yield* call(one)
      yield* TestClock.adjust("10 seconds")
      const stream = yield* Effect.fork(Stream.runDrain(one.chatStream("?")))
      yield* Effect.yieldNow()
      yield* TestClock.adjust("1 millis")
      expect(yield* stateOf(other)).toBe("Ready")
      expect((yield* other.chat("?")).text).toBe("ok")
      yield* Fiber.interrupt(stream)
    }).pipe(Effect.provide(Balance.layerMemoryHealth))
  )

  it.effect("applies the longest Retry-After of any balance to all of them", () =>
    Effect.gen(function* () {
      const llm = yield* scripted(rateLimited(5000), rateLimited(60_000))
      const gate = yield* Effect.makeLatch()
      const slow = yield* scripted(Effect.zipRight(gate.await, Effect.fail(rateLimited(60_000))))
      const one = yield* Balance.make([{ llm: slow, id: "a" }], options)
      const other = yield* Balance.make([{ llm, id: "a" }], options)
      const late = yield* Effect.fork(call(one))
      yield* Effect.yieldNow()
      yield* call(other)
      yield* gate.open
      yield* Fiber.join(late)
      for (const self of [one, other]) {
        expect((yield* self.deployments)[0]?.state).toMatchObject({ _tag: "Cooling", remaining: Duration.minutes(1) })
      }
    }).pipe(Effect.provide(Balance.layerMemoryHealth))
  )

  it.effect("applies shared cooldowns but no open circuits to a balance without a breaker", () =>
    Effect.gen(function* () {
      const llm = yield* scripted(failing, rateLimited(5000))
      const one = yield* Balance.make([{ llm, id: "a" }], options)
      const other = yield* Balance.make([{ llm, id: "a" }], { ...options, breaker: false })
      yield* call(one)
      expect(yield* stateOf(other)).toBe("Ready")
      yield* call(other)
      expect(yield* stateOf(other)).toBe("Cooling")
    }).pipe(Effect.provide(Balance.layerMemoryHealth))
  )

  it.effect("releases a probe exactly once when its call fails, dies, succeeds or is interrupted", () =>
    Effect.gen(function* () {
      const proved = yield* Ref.make(0)
      const inner = yield* Balance.makeMemoryHealth
      const counting: Balance.HealthStore = {
        ...inner,
        proved: (...args) =>
          Effect.zipRight(
            Ref.update(proved, (before) => before + 1),
            inner.proved(...args)
          )
      }
      const llm = yield* scripted(failing, failing, Effect.never, Effect.die("fault"), "ok")
      const self = yield* Effect.provideService(
        Balance.make([{ llm, id: "a" }], options),
        Balance.DeploymentHealth,
        counting
      )
      yield* call(self)
      yield* TestClock.adjust("10 seconds")
      yield* call(self)
      yield* TestClock.adjust("20 seconds")
      const probe = yield* Effect.fork(call(self))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(probe)
      yield* Effect.exit(call(self))
      expect((yield* call(self))._tag).toBe("Right")
      expect(yield* Ref.get(proved)).toBe(4)
    })
  )
})

describe("shared health under random failures, interruptions and scheduling", () => {
  interface Call {
    readonly peer: number
    readonly streams: boolean
    readonly fails: boolean
    readonly at: number
    readonly millis: number
    readonly interruptedAfter: number | undefined
  }

  const randomCall: FastCheck.Arbitrary<Call> = FastCheck.record({
    peer: FastCheck.nat(2),
    streams: FastCheck.boolean(),
    fails: FastCheck.boolean(),
    at: FastCheck.integer({ min: 0, max: 3000 }),
    millis: FastCheck.integer({ min: 1, max: 300 }),
    interruptedAfter: FastCheck.option(FastCheck.integer({ min: 0, max: 300 }), { nil: undefined })
  })

  /** A store that delays the answers to `probe` and `proved`, and counts the probes that are held. */
  const watched = Effect.gen(function* () {
    const inner = yield* Balance.makeMemoryHealth
    const probes = yield* Ref.make({ held: 0, most: 0, granted: 0, refused: 0 })
    const health: Balance.HealthStore = {
      ...inner,
      probe: (id, author) =>
        Effect.gen(function* () {
          const permission = yield* inner.probe(id, author)
          yield* Ref.update(probes, (before) => {
            if (permission._tag === "Refused") return { ...before, refused: before.refused + 1 }
            const held = before.held + 1
            return { ...before, held, most: Math.max(before.most, held), granted: before.granted + 1 }
          })
          yield* Effect.sleep(yield* Random.nextIntBetween(0, 20))
          return permission
        }),
      proved: (...args) =>
        Effect.gen(function* () {
          yield* Effect.sleep(yield* Random.nextIntBetween(0, 20))
          yield* Ref.update(probes, (before) => ({ ...before, held: before.held - 1 }))
          yield* inner.proved(...args)
        })
    }
    return { health, probes: Ref.get(probes) }
  })

  const run = (calls: ReadonlyArray<Call>, seed: number) => {
    const { clock, pass } = makeClock()
    return Effect.gen(function* () {
      const { health, probes } = yield* watched
      const base = yield* scripted("base")
      const peers = yield* Effect.forEach([0, 1, 2], (peer) => {
        const ownCalls = calls.filter((one) => one.peer === peer)
        let made = 0
        const result = Effect.suspend(() => {
          const { fails, millis } = ownCalls[made++ % ownCalls.length] ?? { fails: false, millis: 1 }
          return Effect.zipRight(Effect.sleep(millis), fails ? Effect.fail(failing) : Effect.succeed(answer("ok")))
        })
        const llm = {
          ...base,
          chat: () => result,
          chatStream: () =>
            Stream.flatMap(Stream.fromEffect(result), (whole) => Stream.fromIterable(ChatEvent.fromResponse(whole)))
        }
        return Effect.provideService(
          Balance.make([{ llm, id: "a" }], {
            maxWait: "1 second",
            breaker: { failures: 1, cooldown: { base: "50 millis", max: "200 millis" } }
          }),
          Balance.DeploymentHealth,
          health
        )
      })
      const fibers = yield* Effect.forEach(calls, ({ at, interruptedAfter, peer, streams }) => {
        const self = peers[peer]
        if (self === undefined) return Effect.dieMessage("no such peer")
        const called = streams ? Stream.runDrain(self.chatStream("?")) : Effect.asVoid(self.chat("?"))
        return Effect.fork(
          Effect.flatMap(Effect.fork(Effect.zipRight(Effect.sleep(at), called)), (fiber) =>
            interruptedAfter === undefined
              ? Effect.asVoid(Fiber.await(fiber))
              : Effect.zipRight(Effect.sleep(at + interruptedAfter), Effect.asVoid(Fiber.interrupt(fiber)))
          )
        )
      })
      for (let second = 0; second < 10; second++) yield* pass(1000)
      const ended = yield* Effect.forEach(fibers, Fiber.poll)
      return { ended, probes: yield* probes, statuses: yield* Effect.forEach(peers, ({ deployments }) => deployments) }
    }).pipe(Effect.withScheduler(restless(seed)), Effect.withClock(clock), Effect.withRandom(Random.make(seed)))
  }

  it.effect("leaves no lease and no probe behind a finished call, and never lets two balances probe at once", () =>
    Effect.gen(function* () {
      const all = { granted: 0, refused: 0 }
      const cases = FastCheck.sample(
        FastCheck.tuple(
          FastCheck.array(randomCall, { minLength: 20, maxLength: 60, size: "max" }),
          FastCheck.integer()
        ),
        { numRuns: 20, seed: 11 }
      )
      for (const [calls, seed] of cases) {
        const { ended, probes, statuses } = yield* run(calls, seed)
        expect(ended.filter(Option.isNone)).toEqual([])
        expect(statuses.flat().map(({ inFlight }) => inFlight)).toEqual([0, 0, 0])
        expect(probes.held).toBe(0)
        expect(probes.most).toBeLessThanOrEqual(1)
        all.granted += probes.granted
        all.refused += probes.refused
      }
      // The random cases do compete for probes.
      expect(all.granted).toBeGreaterThan(100)
      expect(all.refused).toBeGreaterThan(50)
    })
  )
})

describe("health notices", () => {
  const { applyHealthChange: apply, healthChange, make } = DeploymentSet
  const breaker = { failures: 1, ratio: 0, window: 1000, cooldown: { base: 10, factor: 2, max: 100 } }
  const cooldown = { base: 1, factor: 2, max: 60, quota: 1, refused: 1, latencyDecay: 1 }
  const configs = [{ id: "a", weight: 1, order: 0, cost: undefined, maxConcurrency: undefined }]
  const initial = make(configs, { order: Balance.failover, bound: 1, breaker }, cooldown, 1000, 7)

  it("reports a notice when a circuit opens or closes or a cooldown grows, and none otherwise", () => {
    const open = apply(initial, 0, { state: "Open", until: 50, openings: 3 })
    expect(healthChange(initial, open, 0)).toEqual({ state: "Open", until: 50, openings: 3 })
    expect(healthChange(open, apply(open, 0, { state: "Cooling", until: 70, openings: 0 }), 0)?.until).toBe(70)
    expect(healthChange(open, apply(open, 0, { state: "Cooling", until: 30, openings: 0 }), 0)).toBeUndefined()
    expect(healthChange(open, apply(open, 0, { state: "Closed", until: 0, openings: 0 }), 0)?.state).toBe("Closed")
    expect(healthChange(initial, apply(initial, 0, { state: "Cooling", until: 9, openings: 0 }), 0)?.state).toBe(
      "Cooling"
    )
    expect(healthChange(initial, apply(initial, 0, { state: "Closed", until: 0, openings: 0 }), 0)).toBeUndefined()
    expect(healthChange(open, DeploymentSet.disable(open, 0), 0)).toBeUndefined()
    expect(apply(initial, 5, { state: "Open", until: 50, openings: 3 })).toBe(initial)
  })

  it("continues the backoff of its own circuit from the openings that other balances reported", () => {
    const opened = apply(initial, 0, { state: "Open", until: 5, openings: 2 })
    const later = DeploymentSet.advance(opened, 10)
    const winner = DeploymentSet.all(later)[0]
    if (winner === undefined) throw new Error("no deployment")
    const [reservation, reserved] = DeploymentSet.reserve(later, winner)
    expect(DeploymentSet.isProbe(reserved, reservation)).toBe(true)
    const failed = DeploymentSet.settle(reserved, reservation, Balance.Verdict.Failed())
    expect(healthChange(reserved, failed, 0)).toEqual({ state: "Open", until: 10 + 10 * 2 ** 2, openings: 3 })
  })

  it("merges notices to the longest cooldown, and keeps a circuit open until a success", () => {
    const mergeAll = (...notices: ReadonlyArray<Notice>) =>
      Array.reduce(notices, MemoryHealth.empty, (health, notice) =>
        MemoryHealth.publish(health, "a", notice)
      ).notices.get("a")
    const open: Notice = { state: "Open", until: 10, openings: 1, author: "x" }
    const cooling: Notice = { state: "Cooling", until: 20, openings: 0, author: "y" }
    const closed: Notice = { state: "Closed", until: 0, openings: 0, author: "y" }
    expect(mergeAll(open, cooling)).toEqual({ state: "Open", until: 20, openings: 1, author: "" })
    expect(mergeAll(cooling, open)).toEqual({ state: "Open", until: 20, openings: 1, author: "" })
    expect(mergeAll(open, { ...open, until: 5, author: "y" })).toBe(open)
    expect(mergeAll(open, closed)).toBe(closed)
    expect(mergeAll(open, closed, cooling)).toBe(cooling)
  })
})
