/** Ledgers, budgets and prices in any order, around each other and around middlewares of a program. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as Budget from "../../src/accounting/Budget.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import { liveClock } from "../../src/internal/clock.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { eventually } from "../support/eventually.js"
import { otherClock } from "../support/otherClock.js"
import { endedByItself, interruptedAt } from "../support/steps.js"
import type { Reply } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"
import { configured, direct, portable } from "../support/inMemoryCalls.js"

const tokensOfAnswer = 19

/** A middleware of a program, which knows nothing of the form in which the library passes its listeners on. */
const ofProgram: LLM.Middleware = (next) => Effect.succeed({ ...next, chat: (request) => next.chat(request) })

const names = ["ledger", "budget", "price", "program", "wrapped"] as const

const made = Effect.gen(function* () {
  const ledger = yield* UsageLedger.make()
  const budget = yield* Budget.make({ name: "all", limit: { tokens: 1e9 } })
  const price = Pricing.middleware()
  const middlewares: Readonly<Record<(typeof names)[number], LLM.Middleware>> = {
    ledger: (next) => Effect.provideService(UsageLedger.middleware()(next), UsageLedger.UsageLedger, ledger),
    budget: budget.middleware,
    price,
    program: ofProgram,
    wrapped: (next) => Effect.succeed(LLM.wrap(next, {}))
  }
  return { ledger, budget, middlewares }
})

const charged = (stack: ReadonlyArray<(typeof names)[number]>, provider: typeof direct, isStream: boolean) =>
  Effect.gen(function* () {
    const { budget, ledger, middlewares } = yield* made
    let llm = yield* configured(provider)
    for (const name of stack) llm = yield* middlewares[name](llm)
    yield* isStream ? Stream.runDrain(llm.chatStream("?")) : llm.chat("?")
    const { total } = yield* ledger.snapshot
    const [status] = yield* budget.status
    return { recorded: total.attempts, spent: status?.spent, reserved: status?.reserved }
  })

const check = (isStream: boolean) =>
  Effect.promise(() =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(FastCheck.constantFrom(...names), { maxLength: 7 }),
        FastCheck.constantFrom(direct, portable),
        async (stack, provider) => {
          expect(await Effect.runPromise(charged(stack, provider, isStream))).toEqual({
            recorded: stack.includes("ledger") ? 1 : 0,
            spent: stack.includes("budget") ? (isStream ? 12 : tokensOfAnswer) : 0,
            reserved: 0
          })
        }
      ),
      { numRuns: 100 }
    )
  )

describe("nested middlewares of accounting", () => {
  it.live("record and charge a chat once, in any order and number", () => check(false))

  it.live("record and charge a stream once, in any order and number", () => check(true))

  it.scopedLive.each([
    ["a budget around a ledger", ["ledger", "budget"]],
    ["a ledger around prices around a budget", ["budget", "price", "ledger"]],
    ["a budget around a middleware of a program around a ledger", ["ledger", "program", "budget"]]
  ] as const)(
    "record each request of a chat under %s once, and keep no reservation, when it is interrupted before any of its steps",
    ([, stack]) =>
      Effect.gen(function* () {
        const replies: ReadonlyArray<Reply> = [{ pace: "now" }, { pace: 0 }, { pace: 0, status: 500 }]
        for (const reply of replies) {
          const server = Provider.make(() => reply)
          const { budget, ledger, middlewares } = yield* made
          let llm = yield* configured({ name: "timed", http: () => server.http }, { retry: false })
          for (const name of stack) llm = yield* middlewares[name](llm)
          const observed = Effect.zipWith(ledger.snapshot, budget.status, ({ total }, [status]) => ({
            recorded: total.attempts,
            reserved: status?.reserved,
            uncharged: total.usage.totalTokens - (status?.spent ?? 0)
          }))
          for (let step = 1, isOver = false; !isOver; step++) {
            const exit = yield* interruptedAt(llm.chat("?"), step, "20 millis")
            const expected = { recorded: server.sent(), reserved: 0, uncharged: 0 }
            if (Option.isNone(exit)) {
              yield* eventually(Effect.map(observed, ({ recorded }) => recorded === expected.recorded))
            }
            isOver = Option.exists(exit, endedByItself)
            expect({ step, ...(yield* observed) }).toEqual({ step, ...expected })
          }
        }
      })
  )

  it.live("call the chat of an LLM that was changed", () =>
    Effect.gen(function* () {
      const { ledger, middlewares } = yield* made
      let calls = 0
      const llm = yield* configured(direct)
      const changed: LLM.Service = {
        ...llm,
        chat: (request) => {
          calls++
          return llm.chat(request)
        }
      }
      yield* (yield* middlewares.ledger(yield* middlewares.budget(yield* middlewares.price(changed)))).chat("?")
      expect(calls).toBe(1)
      expect((yield* ledger.snapshot).total.attempts).toBe(1)
    })
  )

  it.live("record an LLM that a client calls within a call, on both ways of a call", () =>
    Effect.gen(function* () {
      const inner = yield* configured(direct)
      const { ledger, middlewares } = yield* made
      const client: ProviderClient.Service = {
        provider: "relay",
        wire: "test",
        chat: (request) => inner.chat(request),
        chatStream: (request) => inner.chatStream(request)
      }
      const outer = yield* LLM.make({ model: "model" }).pipe(
        Effect.provideService(ProviderClient.ProviderClient, client),
        Effect.provide(KeyPool.layer({ provider: "relay", keys: ["key"] })),
        Effect.provide(RateLimiter.layerUnlimited)
      )
      const llm = yield* middlewares.ledger(outer)
      for (const clock of [liveClock, otherClock]) {
        const { total: before } = yield* ledger.snapshot
        yield* Effect.withClock(llm.chat("?"), clock)
        yield* Effect.withClock(Stream.runDrain(llm.chatStream("?")), clock)
        expect((yield* ledger.snapshot).total.attempts - before.attempts).toBe(4)
      }
    })
  )
})
