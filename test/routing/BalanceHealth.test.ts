import { describe, expect, it } from "@effect/vitest"
import { Array, Duration, Effect, Fiber, Ref, TestClock } from "effect"
import * as Balance from "../../src/routing/Balance.js"
import type * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import { answer, context, invalid, rateLimited, scripted, unavailable } from "../support/scripted.js"

const failing = new LLMErrors.ProviderUnavailableError({ ...context, status: 500, message: "boom" })

/** A deployment that a test switches between success and failure. */
const switchable = Effect.gen(function* () {
  const error = yield* Ref.make<LLMError | undefined>(undefined)
  const llm = yield* scripted(
    Effect.flatMap(Ref.get(error), (failure) =>
      failure === undefined ? Effect.succeed(answer("ok")) : Effect.fail(failure)
    )
  )
  return {
    llm,
    fails: (failure: LLMError) => Ref.set(error, failure),
    works: Ref.set(error, undefined),
    callCount: Effect.map(llm.asked, (requests) => requests.length)
  }
})

/** A balance of one deployment, whose calls do not wait for it. */
const alone = (options: Balance.Options = {}) =>
  Effect.gen(function* () {
    const deployment = yield* switchable
    const self = yield* Balance.make([{ llm: deployment.llm, id: "a" }], { maxWait: 0, ...options })
    return { ...deployment, self }
  })

const call = (self: LLM.Service) => Effect.either(self.chat("?"))

const calls = (self: LLM.Service, times: number) => Effect.replicateEffect(call(self), times)

const stateOf = (self: Balance.Service) => Effect.map(self.deployments, ([deployment]) => deployment?.state._tag)

describe("Balance circuit breaker", () => {
  it.effect("opens after five failed calls and lets no call through", () =>
    Effect.gen(function* () {
      const { callCount, fails, self } = yield* alone()
      yield* fails(failing)
      yield* calls(self, 25)
      expect(yield* callCount).toBe(5)
      expect((yield* self.deployments)[0]?.state).toMatchObject({
        _tag: "Open",
        remaining: Duration.seconds(10),
        until: 10_000
      })
    })
  )

  it.effect("keeps the circuit closed while failures are less than `ratio` of the calls", () =>
    Effect.gen(function* () {
      const { fails, self, works } = yield* alone({ breaker: { failures: 3, ratio: 0.5 } })
      yield* calls(self, 10)
      yield* fails(failing)
      yield* calls(self, 9)
      expect(yield* stateOf(self)).toBe("Ready")
      yield* works
      yield* calls(self, 1)
      yield* fails(failing)
      yield* calls(self, 1)
      expect((yield* self.deployments)[0]?.window).toEqual({ calls: 21, failures: 10 })
      yield* calls(self, 1)
      expect(yield* stateOf(self)).toBe("Open")
    })
  )

  it.effect("does not count failures that are older than the breaker's window", () =>
    Effect.gen(function* () {
      const { fails, self } = yield* alone({ breaker: { failures: 3, window: "30 seconds" } })
      yield* fails(failing)
      for (let round = 0; round < 10; round++) {
        yield* calls(self, 1)
        yield* TestClock.adjust("15 seconds")
      }
      expect(yield* stateOf(self)).toBe("Ready")
      yield* calls(self, 2)
      expect(yield* stateOf(self)).toBe("Open")
    })
  )

  it.effect("lets one probe through when the circuit is half-open, and closes it when the probe succeeds", () =>
    Effect.gen(function* () {
      const gate = yield* Effect.makeLatch()
      const llm = yield* scripted(failing, Effect.as(gate.await, answer("ok")))
      const self = yield* Balance.make([{ llm, id: "a" }], { breaker: { failures: 1 }, maxWait: "1 minute" })
      yield* call(self)
      const waiting = yield* Effect.fork(Effect.all(Array.replicate(self.chat("?"), 20), { concurrency: "unbounded" }))
      yield* TestClock.adjust("10 seconds")
      expect(yield* stateOf(self)).toBe("HalfOpen")
      expect(yield* llm.asked).toHaveLength(2)
      expect((yield* self.deployments)[0]?.inFlight).toBe(1)
      yield* gate.open
      yield* Fiber.join(waiting)
      expect(yield* llm.asked).toHaveLength(21)
      expect(yield* stateOf(self)).toBe("Ready")
    })
  )

  it.effect("doubles the cooldown after each failed probe up to `max`, and resets it after a success", () =>
    Effect.gen(function* () {
      const { fails, self, works } = yield* alone({
        breaker: { failures: 1, cooldown: { base: "10 seconds", max: "35 seconds" } }
      })
      const cooldown = Effect.gen(function* () {
        yield* call(self)
        const [deployment] = yield* self.deployments
        const remaining = deployment?.state._tag === "Open" ? Duration.toSeconds(deployment.state.remaining) : 0
        yield* TestClock.adjust(Duration.seconds(remaining))
        return remaining
      })
      yield* fails(failing)
      expect(yield* Effect.replicateEffect(cooldown, 4)).toEqual([10, 20, 35, 35])
      yield* works
      expect(yield* cooldown).toBe(0)
      yield* fails(failing)
      expect(yield* cooldown).toBe(10)
    })
  )

  it.effect("does not count failures of calls that started before the circuit opened", () =>
    Effect.gen(function* () {
      const gate = yield* Effect.makeLatch()
      const llm = yield* scripted(Effect.zipRight(gate.await, Effect.fail(failing)))
      const self = yield* Balance.make([{ llm, id: "a" }], { breaker: { failures: 2 }, maxWait: 0 })
      const fiber = yield* Effect.fork(Effect.all(Array.replicate(call(self), 10), { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      yield* gate.open
      yield* Fiber.join(fiber)
      expect((yield* self.deployments)[0]).toMatchObject({
        failed: 10,
        window: { calls: 0, failures: 0 },
        state: { _tag: "Open", remaining: Duration.seconds(10) }
      })
    })
  )

  it.effect("keeps the circuit open when a call that started before it opened succeeds", () =>
    Effect.gen(function* () {
      const gate = yield* Effect.makeLatch()
      const llm = yield* scripted(Effect.as(gate.await, answer("late")), failing)
      const self = yield* Balance.make([{ llm, id: "a" }], { breaker: { failures: 1, ratio: 0 }, maxWait: 0 })
      const late = yield* Effect.fork(self.chat("?"))
      yield* Effect.yieldNow()
      yield* call(self)
      yield* gate.open
      expect((yield* Fiber.join(late)).text).toBe("late")
      expect(yield* stateOf(self)).toBe("Open")
    })
  )

  it.effect("lets the next call probe the deployment when a probe is interrupted", () =>
    Effect.gen(function* () {
      const llm = yield* scripted(failing, Effect.never, "ok")
      const self = yield* Balance.make([{ llm, id: "a" }], { breaker: { failures: 1 }, maxWait: 0 })
      yield* call(self)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* Effect.fork(self.chat("?"))
      yield* Effect.yieldNow()
      expect((yield* self.deployments)[0]?.state).toEqual({ _tag: "HalfOpen", probing: true })
      expect((yield* call(self))._tag).toBe("Left")
      yield* Fiber.interrupt(probe)
      expect((yield* self.deployments)[0]?.state).toEqual({ _tag: "HalfOpen", probing: false })
      expect((yield* self.chat("?")).text).toBe("ok")
      expect(yield* stateOf(self)).toBe("Ready")
    })
  )

  it.effect("keeps queued calls waiting for the next probe when a probe fails", () =>
    Effect.gen(function* () {
      const llm = yield* scripted(failing, Effect.delay(Effect.fail(failing), "2 seconds"), "ok")
      const self = yield* Balance.make([{ llm, id: "a" }], { breaker: { failures: 1 }, maxWait: "1 minute" })
      yield* call(self)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* Effect.fork(call(self))
      const waiting = yield* Effect.fork(self.chat("?"))
      // The probe fails, and the next cooldown takes twenty seconds.
      yield* TestClock.adjust("2 seconds")
      expect((yield* Fiber.join(probe))._tag).toBe("Left")
      yield* TestClock.adjust("20 seconds")
      expect((yield* Fiber.join(waiting)).text).toBe("ok")
    })
  )

  it.effect("never opens the circuit when `breaker` is false", () =>
    Effect.gen(function* () {
      const { callCount, fails, self } = yield* alone({ breaker: false })
      yield* fails(failing)
      yield* calls(self, 25)
      yield* fails(new LLMErrors.AuthenticationError({ ...context, message: "no" }))
      yield* calls(self, 5)
      expect(yield* callCount).toBe(30)
      expect((yield* self.deployments)[0]).toMatchObject({ state: { _tag: "Ready" }, failed: 30 })
    })
  )

  it.effect("opens at the first AuthenticationError, so that each dead deployment costs one call in all", () =>
    Effect.gen(function* () {
      const dead = yield* Effect.replicateEffect(switchable, 9)
      const good = yield* scripted("good")
      yield* Effect.forEach(dead, ({ fails }) =>
        fails(new LLMErrors.AuthenticationError({ ...context, status: 401, message: "revoked" }))
      )
      const self = yield* Balance.make(
        [...dead.map(({ llm }, index) => ({ llm, id: `dead-${index}` })), { llm: good }],
        {
          strategy: Balance.failover
        }
      )
      for (const answered of yield* Effect.replicateEffect(self.chat("?"), 50)) expect(answered.text).toBe("good")
      expect(yield* Effect.forEach(dead, ({ callCount }) => callCount)).toEqual(Array.replicate(1, 9))
    })
  )

  it.effect("resets the breaker when the deployment is enabled by hand", () =>
    Effect.gen(function* () {
      const { callCount, fails, self, works } = yield* alone()
      yield* fails(failing)
      yield* calls(self, 10)
      yield* works
      yield* self.enable("a")
      yield* calls(self, 3)
      expect(yield* callCount).toBe(8)
      expect((yield* self.deployments)[0]).toMatchObject({
        state: { _tag: "Ready" },
        window: { calls: 3, failures: 0 }
      })
    })
  )
})

describe("Balance cooldown", () => {
  it.effect("sends no call to a rate-limited deployment until its Retry-After has passed", () =>
    Effect.gen(function* () {
      const { callCount, fails, self } = yield* alone()
      yield* fails(rateLimited(7000))
      yield* calls(self, 10)
      expect(yield* callCount).toBe(1)
      expect((yield* self.deployments)[0]).toMatchObject({
        state: { _tag: "Cooling", remaining: Duration.seconds(7) },
        limited: 1,
        failed: 0
      })
      yield* TestClock.adjust("6999 millis")
      yield* calls(self, 1)
      expect(yield* callCount).toBe(1)
      yield* TestClock.adjust("1 millis")
      yield* calls(self, 1)
      expect(yield* callCount).toBe(2)
    })
  )

  it.effect("lengthens the cooldown after each rate limit without Retry-After, and resets it after a success", () =>
    Effect.gen(function* () {
      const { fails, self, works } = yield* alone({ cooldown: { max: "3 seconds" } })
      const cooldown = Effect.gen(function* () {
        yield* call(self)
        const [deployment] = yield* self.deployments
        const remaining = deployment?.state._tag === "Cooling" ? Duration.toSeconds(deployment.state.remaining) : 0
        yield* TestClock.adjust(Duration.seconds(remaining))
        return remaining
      })
      yield* fails(rateLimited())
      expect(yield* Effect.replicateEffect(cooldown, 4)).toEqual([1, 2, 3, 3])
      yield* works
      expect(yield* cooldown).toBe(0)
      yield* fails(rateLimited())
      expect(yield* cooldown).toBe(1)
    })
  )

  it.effect("keeps the longer of two cooldown", () =>
    Effect.gen(function* () {
      const gate = yield* Effect.makeLatch()
      const llm = yield* scripted(Effect.zipRight(gate.await, Effect.fail(rateLimited(1000))), rateLimited(9000))
      const self = yield* Balance.make([{ llm, id: "a" }], { maxWait: 0 })
      const first = yield* Effect.fork(call(self))
      yield* Effect.yieldNow()
      yield* call(self)
      yield* gate.open
      yield* Fiber.join(first)
      expect((yield* self.deployments)[0]?.state).toMatchObject({ remaining: Duration.seconds(9) })
    })
  )

  it.effect("opens the circuit when a deployment is overloaded often enough", () =>
    Effect.gen(function* () {
      const { fails, self } = yield* alone({ breaker: { failures: 3 } })
      yield* fails(unavailable)
      yield* calls(self, 1)
      yield* TestClock.adjust("1 seconds")
      yield* calls(self, 1)
      yield* TestClock.adjust("2 seconds")
      expect(yield* stateOf(self)).toBe("Ready")
      yield* calls(self, 1)
      expect(yield* stateOf(self)).toBe("Open")
    })
  )

  it.effect("gives a deployment only its share of the calls when its cooldown ends", () =>
    Effect.gen(function* () {
      const first = yield* switchable
      const second = yield* switchable
      const self = yield* Balance.make([
        { llm: first.llm, id: "a" },
        { llm: second.llm, id: "b" }
      ])
      yield* first.fails(rateLimited(5000))
      yield* calls(self, 100)
      yield* first.works
      yield* TestClock.adjust("5 seconds")
      const before = yield* first.callCount
      yield* calls(self, 20)
      // Half of the calls, give or take one.
      expect(Math.abs((yield* first.callCount) - before - 10)).toBeLessThanOrEqual(1)
    })
  )
})

describe("Balance.verdictOf", () => {
  const of = (error: LLMError) => Balance.verdictOf(error)._tag
  const is = { ...context, message: "no" }

  it("verdictOf maps each class of error to a verdict", () => {
    expect(of(rateLimited(5))).toBe("Limited")
    expect(of(new LLMErrors.RateLimitError({ ...is, source: "limiter" }))).toBe("Neutral")
    expect(of(new LLMErrors.RateLimitError({ ...is, source: "pool" }))).toBe("Neutral")
    expect(of(unavailable)).toBe("Overloaded")
    expect(of(new LLMErrors.ProviderUnavailableError({ ...is, status: 529 }))).toBe("Overloaded")
    expect(of(new LLMErrors.ProviderUnavailableError({ ...is, status: 500 }))).toBe("Failed")
    expect(of(new LLMErrors.ProviderUnavailableError({ ...is, status: 500, retryAfter: Duration.seconds(1) }))).toBe(
      "Overloaded"
    )
    expect(of(new LLMErrors.NetworkError(is))).toBe("Failed")
    expect(of(new LLMErrors.TimeoutError({ ...is, phase: "first-event" }))).toBe("Failed")
    expect(of(new LLMErrors.TimeoutError({ ...is, phase: "total" }))).toBe("Neutral")
    expect(of(new LLMErrors.KeyPoolExhaustedError(is))).toBe("Down")
    expect(of(new LLMErrors.PermissionError(is))).toBe("Down")
    expect(of(new LLMErrors.ModelNotFoundError(is))).toBe("Down")
    expect(of(invalid)).toBe("Neutral")
    expect(of(new LLMErrors.ContextLengthError(is))).toBe("Neutral")
    expect(of(new LLMErrors.ContentFilterError(is))).toBe("Neutral")
    expect(of(new LLMErrors.UnsupportedError({ ...is, feature: "tools" }))).toBe("Neutral")
  })

  it.effect("opens the circuit for a ModelNotFoundError unless the request named the model", () =>
    Effect.gen(function* () {
      const { fails, self } = yield* alone()
      yield* fails(new LLMErrors.ModelNotFoundError(is))
      yield* Effect.flip(self.chat({ model: "no-such", messages: [{ role: "user", content: "?" }] }))
      expect(yield* stateOf(self)).toBe("Ready")
      yield* call(self)
      expect(yield* stateOf(self)).toBe("Open")
    })
  )

  it.effect("uses the verdict of the `verdict` option instead of the default", () =>
    Effect.gen(function* () {
      const { fails, self } = yield* alone({ verdict: () => Balance.Verdict.Down({ retryAfter: Duration.seconds(3) }) })
      yield* fails(invalid)
      yield* call(self)
      expect((yield* self.deployments)[0]?.state).toMatchObject({ _tag: "Open", remaining: Duration.seconds(3) })
    })
  )
})
