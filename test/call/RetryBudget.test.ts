import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Metric, Schedule, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as OptionChecks from "../../src/internal/optionChecks.js"
import * as Budgets from "../../src/call/retry/budget.js"
import * as Retry from "../../src/call/Retry.js"
import type { Service } from "../../src/LLM.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import { failingProvider, llmWith } from "../support/failingProvider.js"
import { scripted, unavailable } from "../support/scripted.js"
import { whileTimePasses } from "../support/whileTimePasses.js"

const call = (llm: Service) => Effect.either(llm.chat("?"))

/** Makes calls at the same time and returns the number of those that were answered. */
const callTogether = (llm: Service, calls: number) =>
  whileTimePasses(
    Effect.map(
      Effect.all(
        Array.from({ length: calls }, () => call(llm)),
        { concurrency: "unbounded" }
      ),
      (results) => results.filter(Either.isRight).length
    )
  )

/** Makes calls one after the other, a second apart, and returns the number of those that were answered. */
const callInTurn = (llm: Service, calls: number) =>
  whileTimePasses(
    Effect.map(
      Effect.all(Array.from({ length: calls }, () => Effect.zipLeft(call(llm), Effect.sleep("1 second")))),
      (results) => results.filter(Either.isRight).length
    )
  )

const settings = (options: Retry.BudgetOptions = {}): Budgets.Settings =>
  OptionChecks.valid("test", (checks) => Budgets.settingsOf(checks, options))

describe("the retry budget", () => {
  it.effect.each([1, 3, 10])(
    "sends at most 1.2 requests a call plus 10 in a total outage with 200 concurrent calls, with %d key(s)",
    (keys) =>
      Effect.gen(function* () {
        const provider = failingProvider(() => 500)
        const llm = yield* llmWith(provider.client, keys)
        expect(yield* callTogether(llm, 200)).toBe(0)
        expect(provider.sent.length).toBeGreaterThan(200)
        expect(provider.sent.length).toBeLessThanOrEqual(200 * 1.2 + 10)
      })
  )

  it.effect("sends at most 1.2 requests a call plus 10 in an outage that begins after many successes", () =>
    Effect.gen(function* () {
      let isDown = false
      const provider = failingProvider(() => (isDown ? 500 : 200))
      const llm = yield* llmWith(provider.client, 10)
      expect(yield* callTogether(llm, 300)).toBe(300)
      isDown = true
      expect(yield* callTogether(llm, 200)).toBe(0)
      expect(provider.sent.length - 300).toBeLessThanOrEqual(200 * 1.2 + 10)
    })
  )

  it.effect("grants a single call of an idle program all of its attempts", () =>
    Effect.gen(function* () {
      const provider = failingProvider(() => 500)
      const llm = yield* llmWith(provider.client, 1)
      expect(yield* callTogether(llm, 1)).toBe(0)
      expect(provider.sent).toHaveLength(5)
    })
  )

  it.effect("refills with a share of the successes", () =>
    Effect.gen(function* () {
      let isDown = true
      const provider = failingProvider(() => (isDown ? 500 : 200))
      const llm = yield* llmWith(provider.client, 1, { retry: { budget: { floor: 0 }, maxAttempts: 2 } })
      expect(yield* whileTimePasses(call(llm))).toMatchObject({ _tag: "Left" })
      expect(provider.sent).toHaveLength(1)
      isDown = false
      yield* whileTimePasses(
        Effect.all(
          Array.from({ length: 20 }, () => call(llm)),
          { concurrency: "unbounded" }
        ),
        "10 millis"
      )
      isDown = true
      provider.sent.length = 0
      yield* whileTimePasses(
        Effect.all(
          Array.from({ length: 20 }, () => call(llm)),
          { concurrency: "unbounded" }
        ),
        "10 millis"
      )
      expect(provider.sent).toHaveLength(20 + 3)
    })
  )

  it.effect("counts successes of streams and of a `Retry` around an `LLM`", () =>
    Effect.gen(function* () {
      const provider = failingProvider(() => 200)
      const inner = yield* llmWith(provider.client, 1)
      const outer = yield* Retry.middleware({ budget: { floor: 1 } })(inner)
      const available = (llm: Service) => Effect.map(llm.status, ({ retries }) => retries?.available)
      yield* whileTimePasses(Stream.runDrain(outer.chatStream("?")), "10 millis")
      expect(yield* available(inner)).toBeCloseTo(10.2)
      expect(yield* available(outer)).toBeCloseTo(1.2)
    })
  )

  it.effect("says in the error that the budget is spent, and in the status how many retries it denied", () =>
    Effect.gen(function* () {
      const provider = failingProvider(() => 500)
      const llm = yield* llmWith(provider.client, 1, { retry: { budget: { floor: 1 } } })
      const error = yield* Effect.flip(whileTimePasses(llm.chat("?")))
      expect(error._tag).toBe("ProviderUnavailableError")
      expect(error.message).toBe("Status 500. The call is not retried, because the retry budget is spent.")
      expect(error.attempts).toHaveLength(2)
      expect((yield* llm.status).retries).toMatchObject({ granted: 1, denied: 1 })
    })
  )

  it.effect("says once that the call is not retried when nested policies do not", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable)
      const retry = Retry.middleware({ maxAttempts: 3, budget: { floor: 1 } })
      const llm = yield* Effect.flatMap(retry(next), retry)
      const { message } = yield* Effect.flip(whileTimePasses(llm.chat("?")))
      expect(message.split("The call is not retried").length - 1).toBe(1)
    })
  )

  it.effect("is counted by the metric `llm_retries_total`, by provider, model and outcome", () =>
    Effect.gen(function* () {
      const provider = failingProvider(() => 500, "counted-retries")
      const llm = yield* llmWith(provider.client, 1, { retry: { budget: { floor: 2 }, backoff: { max: "1 second" } } })
      yield* Effect.flip(whileTimePasses(llm.chat("?"), "10 millis"))
      const count = (outcome: string) =>
        Metric.value(
          Telemetry.metrics.retries.pipe(
            Metric.tagged("provider", "counted-retries"),
            Metric.tagged("model", "model"),
            Metric.tagged("outcome", outcome)
          )
        )
      expect([(yield* count("granted")).count, (yield* count("denied")).count]).toEqual([2, 1])
    })
  )

  it.effect("limits the retries of a schedule", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable)
      const llm = yield* Retry.middleware({ schedule: Schedule.recurs(50), budget: { floor: 3 } })(next)
      yield* Effect.flip(whileTimePasses(llm.chat("?")))
      expect(yield* next.asked).toHaveLength(4)
    })
  )

  it.effect("does not limit retries when it is `false`, and is absent from the status", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable)
      const llm = yield* Retry.middleware({ schedule: Schedule.recurs(50), budget: false })(next)
      yield* Effect.flip(whileTimePasses(llm.chat("?")))
      expect(yield* next.asked).toHaveLength(51)
      expect((yield* llm.status).retries).toBeUndefined()
    })
  )

  it.effect("is not shared by two `LLM`s of the same middleware", () =>
    Effect.gen(function* () {
      const policy = Retry.middleware({ maxAttempts: 2, budget: { floor: 1 } })
      const [one, other] = [yield* scripted(unavailable), yield* scripted(unavailable)]
      const [first, second] = [yield* policy(one), yield* policy(other)]
      yield* Effect.flip(whileTimePasses(first.chat("?")))
      yield* Effect.flip(whileTimePasses(second.chat("?")))
      expect([(yield* one.asked).length, (yield* other.asked).length]).toEqual([2, 2])
    })
  )

  it("rejects a share above 1, a negative floor and a maximum below the floor, all at once", () => {
    expect(() => Retry.middleware({ budget: { share: 2, floor: -1, max: -2 } })).toThrow(
      "budget.share: must be a number from 0 to 1; budget.floor: must be a finite number of at least 0; " +
        "budget.max: must be a number of at least the floor"
    )
  })
})

describe("the retry budget as a value", () => {
  it("keeps half of what successes saved up after 10 seconds, and almost nothing after two minutes", () => {
    const checked = settings()
    const saved: Budgets.Budget = { balance: 50, at: 0 }
    expect(Budgets.available(checked, saved, 10_000)).toBeCloseTo(30)
    expect(Budgets.available(checked, saved, 120_000)).toBeCloseTo(10, 1)
  })

  it("has half of its floor back 10 seconds after it was spent", () => {
    expect(Budgets.available(settings(), { balance: 0, at: 0 }, 10_000)).toBeCloseTo(5)
  })

  it.prop(
    "stays between zero and its maximum, and grants at most floor, refill and share of the successes",
    [
      FastCheck.array(FastCheck.record({ wait: FastCheck.nat(5000), isSuccess: FastCheck.boolean() }), {
        maxLength: 200
      })
    ],
    ([events]) => {
      const checked = settings()
      let budget = Budgets.make(checked)
      let now = 0
      let successes = 0
      let granted = 0
      for (const { isSuccess, wait } of events) {
        now += wait
        const taken = isSuccess ? undefined : Budgets.takeRetry(checked, budget, now)
        if (isSuccess) {
          successes++
          budget = Budgets.addSuccess(checked, budget, now)
        } else if (taken !== undefined) {
          granted++
          budget = taken
        }
        expect(budget.balance).toBeGreaterThanOrEqual(0)
        expect(budget.balance).toBeLessThanOrEqual(50)
      }
      const refilled = (checked.floor * Math.LN2 * now) / Budgets.halfLife
      expect(granted).toBeLessThanOrEqual(checked.floor + refilled + successes * checked.share + 1e-6)
    }
  )
})

describe("retries with other keys", () => {
  const oneGood = (keyId: string) => (keyId === "key-4" ? 200 : 500)

  it.effect("answers at least 99 of 100 calls with at most 2 requests a call, when nine keys of ten answer 500", () =>
    Effect.gen(function* () {
      const provider = failingProvider((keyId) => oneGood(keyId))
      const llm = yield* llmWith(provider.client, 10)
      yield* callInTurn(llm, 20)
      provider.sent.length = 0
      expect(yield* callInTurn(llm, 100)).toBeGreaterThanOrEqual(99)
      expect(provider.sent.length).toBeLessThanOrEqual(200)
    })
  )

  it.effect(
    "answers at least 99 of 100 concurrent calls with at most 2 requests a call, when nine keys answer 500",
    () =>
      Effect.gen(function* () {
        const provider = failingProvider((keyId) => oneGood(keyId))
        const llm = yield* llmWith(provider.client, 10)
        yield* callInTurn(llm, 20)
        provider.sent.length = 0
        expect(yield* callTogether(llm, 100)).toBeGreaterThanOrEqual(99)
        expect(provider.sent.length).toBeLessThanOrEqual(200)
      })
  )

  it.effect("tries another ready key at once after a 500, without a charge to the budget", () =>
    Effect.gen(function* () {
      const provider = failingProvider((_, index) => (index === 0 ? 500 : 200))
      const llm = yield* llmWith(provider.client, 2, { retry: { budget: { floor: 0 } } })
      const response = yield* whileTimePasses(llm.chat("?"))
      expect(response.attempts.map(({ error }) => error)).toEqual(["ProviderUnavailableError", undefined])
      expect(new Set(provider.sent).size).toBe(2)
    })
  )

  it.effect("counts the try with another key towards `maxAttempts`", () =>
    Effect.gen(function* () {
      for (const maxAttempts of [1, 2, 3]) {
        const provider = failingProvider(() => 500)
        const llm = yield* llmWith(provider.client, 5, { retry: { maxAttempts } })
        yield* Effect.flip(whileTimePasses(llm.chat("?")))
        expect(provider.sent).toHaveLength(maxAttempts)
      }
    })
  )

  it.effect("tries every key before a call uses one twice", () =>
    Effect.gen(function* () {
      const provider = failingProvider(() => 500)
      const llm = yield* llmWith(provider.client, 4, { retry: { maxAttempts: 5 } })
      yield* Effect.flip(whileTimePasses(llm.chat("?")))
      expect(new Set(provider.sent.slice(0, 4)).size).toBe(4)
      expect(provider.sent).toHaveLength(5)
    })
  )

  it.effect("does not charge failover from keys that are refused", () =>
    Effect.gen(function* () {
      const provider = failingProvider((_, index) => (index < 20 ? 401 : 200))
      const llm = yield* llmWith(provider.client, 21, { retry: { budget: { floor: 0 } } })
      expect((yield* whileTimePasses(llm.chat("?"))).attempts).toHaveLength(21)
    })
  )

  it.effect("sends one request to a failing `LLM` without retries, whatever keys it has", () =>
    Effect.gen(function* () {
      const provider = failingProvider(() => 500)
      const llm = yield* llmWith(provider.client, 5, { retry: false })
      yield* Effect.flip(whileTimePasses(llm.chat("?")))
      expect(provider.sent).toHaveLength(1)
    })
  )

  it.effect("sends later calls through a key again after it has answered", () =>
    Effect.gen(function* () {
      let recovered = false
      const provider = failingProvider((keyId) => (recovered || keyId === "key-1" ? 200 : 500))
      const llm = yield* llmWith(provider.client, 3)
      expect(yield* callInTurn(llm, 10)).toBe(10)
      recovered = true
      provider.sent.length = 0
      expect(yield* callInTurn(llm, 30)).toBe(30)
      expect(provider.sent).toHaveLength(30)
      expect(new Set(provider.sent).size).toBe(3)
    })
  )
})
