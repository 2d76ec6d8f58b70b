import { describe, expect, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Either, Fiber, Layer, Option, Ref, Stream, TestClock } from "effect"
import * as Budget from "../../src/accounting/Budget.js"
import * as BudgetStore from "../../src/accounting/budget/store.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { llmOver } from "../support/metered.js"
import { answer, context, scripted } from "../support/scripted.js"

/** A request that consumes seven tokens, and whose estimate is sixteen. */
const request = { messages: [Chat.user("?")], maxTokens: 8 }
const estimate = 16

const prices = Pricing.layer({ test: { model: { input: 1, output: 10 } } })

const down = new LLMErrors.ProviderUnavailableError({ ...context, status: 503, message: "down" })

const budgeted = (budgets: Budget.Options | ReadonlyArray<Budget.Options>, answering = answer("hello")) =>
  Effect.gen(function* () {
    const budget = yield* Budget.make(budgets)
    const base = yield* llmOver({
      chat: () => Effect.succeed(answering),
      stream: () => Stream.fromIterable(ChatEvent.fromResponse(answering))
    })
    return { llm: yield* budget.middleware(base), status: budget.status }
  })

const budgetExceeded = <A>(call: Effect.Effect<A, LLMError>) =>
  Effect.flatMap(Effect.flip(call), (error) =>
    error._tag === "BudgetExceededError" ? Effect.succeed(error) : Effect.dieMessage(error.message)
  )

const spentOf = (status: Effect.Effect<ReadonlyArray<Budget.Status>>) =>
  Effect.map(status, (all) => all.map(({ reserved, spent }) => [spent, reserved]))

describe("charging a call", () => {
  it.effect("charges the tokens of a whole and of a streamed answer", () =>
    Effect.gen(function* () {
      const { llm, status } = yield* budgeted({ limit: { tokens: 1000 } })
      yield* llm.chat(request)
      expect(yield* spentOf(status)).toEqual([[7, 0]])
      yield* ChatEvent.collect(llm.chatStream(request))
      expect(yield* spentOf(status)).toEqual([[14, 0]])
    })
  )

  it.effect("charges dollars exactly over a hundred calls", () =>
    Effect.gen(function* () {
      const { llm, status } = yield* budgeted({ limit: { dollars: 1 } })
      for (let call = 0; call < 100; call++) yield* llm.chat(request)
      expect(yield* spentOf(status)).toEqual([[0.0043, 0]])
    }).pipe(Effect.provide(prices))
  )

  it.effect("settles a stream at its Finish event, even when the stream stays open", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ limit: { tokens: 1000 } })
      const llm = yield* Effect.flatMap(
        llmOver({
          stream: () => Stream.concat(Stream.fromIterable(ChatEvent.fromResponse(answer("hello"))), Stream.never)
        }),
        budget.middleware
      )
      const fiber = yield* Effect.fork(Stream.runDrain(llm.chatStream(request)))
      yield* TestClock.adjust("1 second")
      expect(yield* spentOf(budget.status)).toEqual([[7, 0]])
      yield* Fiber.interrupt(fiber)
      expect(yield* spentOf(budget.status)).toEqual([[7, 0]])
    })
  )

  it.effect("reserves the estimate in flight, then charges an interrupted call's input and nothing for a 503", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ limit: { tokens: 1000 } })
      const hanging = yield* Effect.flatMap(llmOver({}), budget.middleware)
      const fibers = yield* Effect.forEach(
        [hanging.chat(request), Stream.runDrain(hanging.chatStream(request))],
        (call) => Effect.fork(call)
      )
      yield* TestClock.adjust("1 second")
      expect(yield* spentOf(budget.status)).toEqual([[0, 2 * estimate]])
      yield* Fiber.interruptAll(fibers)
      expect(yield* spentOf(budget.status)).toEqual([[2 * (estimate - 8), 0]])
      const failing = yield* Effect.flatMap(llmOver({ chat: () => Effect.fail(down) }), budget.middleware)
      yield* Effect.flip(failing.chat(request))
      expect(yield* spentOf(budget.status)).toEqual([[2 * (estimate - 8), 0]])
    })
  )

  it.effect("charges the attempts on every member of a fallback, once when the middleware is applied twice", () =>
    Effect.gen(function* () {
      const broken = new LLMErrors.MalformedResponseError({ ...context, message: "html", path: "", excerpt: "" })
      const budget = yield* Budget.make({ limit: { dollars: 1 } })
      const bad = yield* Effect.flatMap(llmOver({ chat: () => Effect.fail(broken) }), budget.middleware)
      const good = yield* llmOver({ chat: () => Effect.succeed(answer("hello")) })
      const llm = yield* Effect.flatMap(Fallback.make([good])(bad), budget.middleware)
      yield* llm.chat(request)
      expect(yield* spentOf(budget.status)).toEqual([[(43 + estimate - 8) / 1e6, 0]])
    }).pipe(Effect.provide(prices))
  )

  it.effect("charges a custom LLM by the usage of its answers and of partial answers in errors", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ limit: { tokens: 1000 } })
      const partial = new LLMErrors.StreamInterruptedError({
        ...context,
        begun: true,
        message: "cut",
        partial: Chat.withContent({ id: "", model: "model", usage: Usage.make({ outputTokens: 2 }) }, [Chat.text("a")])
      })
      const llm = yield* Effect.flatMap(scripted("hello", partial, down), budget.middleware)
      yield* llm.chat(request)
      expect(yield* spentOf(budget.status)).toEqual([[7, 0]])
      yield* Effect.flip(llm.chat(request))
      expect(yield* spentOf(budget.status)).toEqual([[9, 0]])
      yield* Effect.flip(Stream.runDrain(llm.chatStream(request)))
      expect(yield* spentOf(budget.status)).toEqual([[9, 0]])
    })
  )

  it.effect("charges nothing for an answer that an inner cache serves", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ limit: { tokens: 1000 } })
      const base = yield* scripted("hello")
      const llm = yield* budget.middleware({
        ...base,
        chat: (input) =>
          Effect.zipLeft(
            base.chat(input),
            UsageLedger.cacheHit({ operation: "chat", provider: "test", model: "model" })
          )
      })
      yield* llm.chat(request)
      expect(yield* spentOf(budget.status)).toEqual([[0, 0]])
    })
  )

  it.effect("passes an invalid request on to its InvalidRequestError and charges nothing", () =>
    Effect.gen(function* () {
      const { llm, status } = yield* budgeted({ limit: { tokens: 1 } })
      expect((yield* Effect.flip(llm.chat({ messages: [] })))._tag).toBe("InvalidRequestError")
      expect(yield* spentOf(status)).toEqual([[0, 0]])
    })
  )
})

describe("refusing a call", () => {
  it.effect("reports the spent and reserved amounts and the time of renewal when a call does not fit the budget", () =>
    Effect.gen(function* () {
      const { llm } = yield* budgeted({ name: "daily", limit: { tokens: 20 }, period: "day" })
      yield* TestClock.adjust("23 hours")
      yield* llm.chat(request)
      for (const call of [
        llm.chat(request),
        Stream.runDrain(llm.chatStream(request)),
        llm.embed("a word ".repeat(99))
      ]) {
        const error = yield* budgetExceeded(Effect.asVoid<unknown, LLMError, never>(call))
        expect(error).toMatchObject({ budget: "daily", unit: "tokens", limit: 20, spent: 7, reserved: 0 })
        expect(error.retryAfter).toEqual(Duration.hours(1))
        expect(error.message).toContain("1970-01-02T00:00:00.000Z")
        expect(LLMErrors.isRetryable(error)).toBe(false)
      }
      yield* TestClock.adjust("1 hour")
      yield* llm.chat(request)
    })
  )

  it.effect("admits only as many concurrent calls as fit the budget together", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ limit: { tokens: 5 * estimate } })
      const llm = yield* Effect.flatMap(
        llmOver({ chat: () => Effect.delay(Effect.succeed(answer("hello")), "1 second") }),
        budget.middleware
      )
      const fiber = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 50 }), () => Effect.either(llm.chat(request)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(fiber)).filter(Either.isRight)).toHaveLength(5)
      expect(yield* spentOf(budget.status)).toEqual([[35, 0]])
    })
  )

  it.effect("reserves nothing in any budget when one of several has no room", () =>
    Effect.gen(function* () {
      const { llm, status } = yield* budgeted([
        { name: "all", limit: { tokens: 1000 } },
        { name: "team", limit: { tokens: 20 }, scope: "each-label" },
        { name: "guests", limit: { tokens: 1 }, scope: { label: "guest" } }
      ])
      yield* UsageLedger.label(llm.chat(request), "a")
      expect(yield* budgetExceeded(UsageLedger.label(llm.chat(request), "a"))).toMatchObject({ budget: "team" })
      yield* UsageLedger.label(llm.chat(request), "b/c")
      expect(yield* budgetExceeded(UsageLedger.label(llm.chat(request), "guest"))).toMatchObject({ budget: "guests" })
      const spentByAccount = (yield* status).map((one) => [
        one.budget,
        Option.getOrUndefined(one.label),
        one.spent,
        one.reserved
      ])
      expect(spentByAccount.sort()).toEqual([
        ["all", undefined, 14, 0],
        ["guests", undefined, 0, 0],
        ["team", "a", 7, 0],
        ["team", "b/c", 7, 0]
      ])
    })
  )
})

describe("unknown prices", () => {
  it.effect("refuses a call with an unknown price by a budget in dollars, and admits it by one in tokens", () =>
    Effect.gen(function* () {
      const dollars = yield* budgeted({ limit: { dollars: 1 } })
      const error = yield* budgetExceeded(dollars.llm.chat(request))
      expect(error.reason).toBe("unknown-price")
      expect(error.message).toContain("the price of test/model is not known")
      expect(error.message).toContain('Set its "price" in provider.json')
      const tokens = yield* budgeted({ limit: { tokens: 100 } })
      expect((yield* tokens.llm.chat(request)).text).toBe("hello")
    })
  )

  it.effect("counts the tokens of a call with an unknown price when `unknownPrice` is `count-tokens`", () =>
    Effect.gen(function* () {
      const { llm, status } = yield* budgeted({ limit: { dollars: 1 }, unknownPrice: "count-tokens" })
      yield* llm.chat(request)
      expect(yield* status).toMatchObject([{ spent: 0, reserved: 0, unpricedTokens: 7 }])
    })
  )

  it.effect("charges the reserved amount when a fallback without a known price answers", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ limit: { dollars: 1 } })
      const first = yield* llmOver({ chat: () => Effect.fail(down) })
      const unpriced = yield* llmOver(
        { chat: () => Effect.succeed({ ...answer("hello"), model: "stranger" }) },
        { model: "stranger" }
      )
      const llm = yield* Effect.flatMap(Fallback.make([unpriced])(first), budget.middleware)
      yield* llm.chat(request)
      expect(yield* budget.status).toMatchObject([{ spent: 0.000088, reserved: 0, unpricedTokens: 7 }])
    }).pipe(Effect.provide(prices))
  )
})

describe("periods", () => {
  const at = (iso: string) => TestClock.setTime(DateTime.toEpochMillis(DateTime.unsafeMake(iso)))

  const spentAt = (period: Budget.Period, samples: ReadonlyArray<readonly [string, number]>) =>
    Effect.gen(function* () {
      yield* at("2026-01-01T00:00:00Z")
      const { llm, status } = yield* budgeted({ limit: { tokens: 1000 }, period })
      for (const [time, spent] of samples) {
        yield* at(time)
        expect([time, (yield* status)[0]?.spent]).toEqual([time, spent])
        yield* llm.chat(request)
      }
    })

  it.effect("resets a calendar period at the end of the day, week or month", () =>
    Effect.gen(function* () {
      yield* spentAt("day", [
        ["2026-03-01T00:00:00Z", 0],
        ["2026-03-01T23:59:59.999Z", 7],
        ["2026-03-02T00:00:00Z", 0]
      ])
      yield* spentAt("month", [
        ["2026-02-28T23:00:00Z", 0],
        ["2026-03-01T00:00:00Z", 0],
        ["2026-03-31T23:00:00Z", 7],
        ["2026-04-01T00:00:00Z", 0]
      ])
      yield* spentAt("week", [
        ["2026-03-08T23:00:00Z", 0],
        ["2026-03-09T00:00:00Z", 0],
        ["2026-03-15T23:00:00Z", 7]
      ])
    })
  )

  it.effect("resets a calendar period at midnight of its time zone, also when clocks change", () =>
    spentAt({ calendar: "day", timeZone: DateTime.zoneUnsafeMakeNamed("Europe/Berlin") }, [
      ["2026-03-28T22:30:00Z", 0],
      ["2026-03-28T23:00:00Z", 0],
      ["2026-03-29T21:59:59Z", 7],
      ["2026-03-29T22:00:00Z", 0],
      ["2026-10-24T22:00:00Z", 0],
      ["2026-10-25T22:59:59Z", 7],
      ["2026-10-25T23:00:00Z", 0]
    ])
  )

  it.effect("drops spending from a rolling period after its length, at most a sixtieth of it later", () =>
    spentAt({ rolling: "1 hour" }, [
      ["2026-03-01T00:00:00Z", 0],
      ["2026-03-01T00:30:00Z", 7],
      ["2026-03-01T00:59:59Z", 14],
      ["2026-03-01T01:01:01Z", 14],
      ["2026-03-01T03:00:00Z", 0]
    ])
  )

  it.effect("keeps spending for the period `forever`", () =>
    spentAt("forever", [
      ["2026-03-01T00:00:00Z", 0],
      ["2036-03-01T00:00:00Z", 7]
    ])
  )

  it.effect("keeps a reservation across the end of a period and charges it to the next", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ limit: { tokens: 20 }, period: "minute" })
      const llm = yield* Effect.flatMap(
        llmOver({ chat: () => Effect.delay(Effect.succeed(answer("hello")), "90 seconds") }),
        budget.middleware
      )
      const fiber = yield* Effect.fork(llm.chat(request))
      yield* TestClock.adjust("70 seconds")
      expect(yield* spentOf(budget.status)).toEqual([[0, estimate]])
      expect(yield* budgetExceeded(llm.chat(request))).toMatchObject({ reserved: estimate })
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(fiber)
      expect(yield* spentOf(budget.status)).toEqual([[7, 0]])
    })
  )
})

describe("onWarn", () => {
  it.effect("runs `onWarn` once per period, when the share is spent, and ignores its failure", () =>
    Effect.gen(function* () {
      const warnings = yield* Ref.make<ReadonlyArray<number>>([])
      const { llm } = yield* budgeted({
        limit: { tokens: 100 },
        period: "day",
        warnAt: 0.1,
        onWarn: ({ spent }) =>
          Effect.zipRight(
            Ref.update(warnings, (before) => [...before, spent]),
            Effect.dieMessage("the pager is broken")
          )
      })
      for (let call = 0; call < 4; call++) yield* llm.chat(request)
      yield* TestClock.adjust("1 day")
      for (let call = 0; call < 4; call++) yield* llm.chat(request)
      yield* TestClock.adjust("1 second")
      expect(yield* Ref.get(warnings)).toEqual([14, 14])
    })
  )
})

describe("invalid budgets", () => {
  it.effect("rejects invalid budgets with an InvalidBudgetError that lists every fault", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Budget.make([
          { name: "a/b", limit: { dollars: 0 } },
          { name: "twice", limit: { tokens: 1 }, warnAt: 2 },
          { name: "twice", limit: { tokens: Number.NaN } }
        ])
      )
      expect(error.faults).toHaveLength(5)
    })
  )
})

describe("BudgetStore", () => {
  it.effect("shares accounts between budgets over the same store", () =>
    Effect.gen(function* () {
      const one = yield* budgeted({ limit: { tokens: 1000 } })
      const other = yield* budgeted({ limit: { tokens: 1000 } })
      yield* one.llm.chat(request)
      expect(yield* spentOf(other.status)).toEqual([[7, 0]])
    }).pipe(Effect.provide(Layer.effect(Budget.BudgetStore, BudgetStore.makeMemory)))
  )
})
