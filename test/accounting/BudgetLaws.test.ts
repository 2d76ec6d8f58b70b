/** Laws of budgets under random calls and interruptions. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as Budget from "../../src/accounting/Budget.js"
import type { ChatResponse } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { llmOver } from "../support/metered.js"
import { answer, context } from "../support/scripted.js"

interface Plan {
  readonly kind: "chat" | "stream"
  readonly label: string
  /** Start, duration at the provider, and time from start to interruption, in yields of the fiber. */
  readonly at: number
  readonly takes: number
  readonly interruptedAfter: number
  readonly ends: "answer" | "failure" | "malformed" | "retried"
  readonly output: number
  readonly maxTokens: number
}

const plan = (withinEstimate: boolean): FastCheck.Arbitrary<Plan> =>
  FastCheck.record({
    kind: FastCheck.constantFrom("chat" as const, "stream" as const),
    label: FastCheck.constantFrom("a", "b"),
    at: FastCheck.nat(20),
    takes: FastCheck.nat(10),
    interruptedAfter: FastCheck.integer({ min: 0, max: 15 }),
    ends: FastCheck.constantFrom(
      "answer" as const,
      "answer" as const,
      "failure" as const,
      "malformed" as const,
      "retried" as const
    ),
    output: FastCheck.nat(50),
    maxTokens: FastCheck.integer({ min: 1, max: 50 })
  }).map((plan) =>
    withinEstimate
      ? { ...plan, output: Math.min(plan.output, plan.maxTokens), ends: plan.ends === "retried" ? "answer" : plan.ends }
      : plan
  )

const failures: Partial<Record<Plan["ends"], LLMError>> = {
  failure: new LLMErrors.ProviderUnavailableError({ ...context, status: 503, message: "down" }),
  malformed: new LLMErrors.MalformedResponseError({ ...context, message: "html", path: "", excerpt: "" })
}

const inputTokens = 8

const answerTo = ({ output }: Plan): ChatResponse => ({
  ...answer("it is"),
  usage: Usage.make({ inputTokens, outputTokens: output })
})

/** Yields to the other fibers `count` times. */
const yields = (count: number) => Effect.repeatN(Effect.yieldNow(), count)

/** Runs the plans concurrently and checks the status at every yield. */
const simulate = (plans: ReadonlyArray<Plan>, budgets: ReadonlyArray<Budget.Options>, check: Check) =>
  Effect.gen(function* () {
    const budget = yield* Budget.make(budgets)
    const ledger = yield* UsageLedger.make()
    const run = (plan: Plan) =>
      Effect.gen(function* () {
        let tries = 0
        const done = (): Effect.Effect<ChatResponse, LLMError> => {
          const failure = failures[plan.ends === "retried" && tries++ === 0 ? "malformed" : plan.ends]
          return Effect.zipRight(
            yields(plan.takes),
            failure === undefined ? Effect.succeed(answerTo(plan)) : Effect.fail(failure)
          )
        }
        const llm = yield* llmOver(
          {
            chat: done,
            stream: () =>
              Stream.unwrap(
                Effect.map(done(), (response) =>
                  Stream.mapEffect(Stream.fromIterable(ChatEvent.fromResponse(response)), (event) =>
                    Effect.as(yields(1), event)
                  )
                )
              )
          },
          { retry: { maxAttempts: plan.ends === "retried" ? 2 : 1, backoff: { base: 0 } } }
        ).pipe(
          Effect.flatMap(UsageLedger.middleware()),
          Effect.provideService(UsageLedger.UsageLedger, ledger),
          Effect.flatMap(budget.middleware)
        )
        const request = { messages: [Chat.user("?")], maxTokens: plan.maxTokens }
        const call = plan.kind === "chat" ? llm.chat(request) : Stream.runDrain(llm.chatStream(request))
        yield* yields(plan.at)
        const caller = yield* Effect.fork(UsageLedger.label(Effect.asVoid<unknown, LLMError, never>(call), plan.label))
        yield* yields(plan.interruptedAfter)
        yield* Fiber.interrupt(caller)
      })
    const watcher = yield* Effect.fork(Effect.forever(Effect.zipRight(Effect.map(budget.status, check), yields(1))))
    const fiber = yield* Effect.fork(Effect.forEach(plans, run, { concurrency: "unbounded" }))
    yield* Fiber.join(fiber)
    const watcherExit = yield* Fiber.interrupt(watcher)
    expect(Exit.isInterrupted(watcherExit)).toBe(true)
    return { statuses: yield* budget.status, snapshot: yield* ledger.snapshot }
  })

type Check = (statuses: ReadonlyArray<Budget.Status>) => void

const prices = Pricing.layer({ test: { model: { input: 3, output: 7 } } })

const runs = { fastCheck: { numRuns: 25 } }

const trillionths = (dollars: number): number => Math.round(dollars * 1e12)

describe("budgets under random calls, failures, retries and interruptions", () => {
  it.effect.prop(
    "spends exactly what the ledger records, by label and in total, and leaves no reservation behind",
    { plans: FastCheck.array(plan(false), { minLength: 1, maxLength: 12 }) },
    ({ plans }) =>
      Effect.gen(function* () {
        const { snapshot, statuses } = yield* simulate(
          plans,
          [
            { name: "tokens", limit: { tokens: 300 } },
            { name: "dollars", limit: { dollars: 0.002 } },
            { name: "team", limit: { tokens: 200 }, scope: "each-label" }
          ],
          (now) => now.forEach(({ reserved }) => expect(reserved).toBeGreaterThanOrEqual(0))
        )
        expect(statuses.map(({ reserved }) => reserved)).toEqual(statuses.map(() => 0))
        const spent = (name: string) => statuses.find(({ budget }) => budget === name)?.spent ?? 0
        expect(spent("tokens")).toBe(snapshot.total.usage.totalTokens)
        expect(trillionths(spent("dollars"))).toBe(trillionths(snapshot.total.cost.total))
        const labels = UsageLedger.totalsBy(snapshot.groups, "label")
        for (const { budget, label, spent } of statuses) {
          if (budget !== "team") continue
          expect(spent).toBe(labels.get(Option.getOrElse(label, () => ""))?.usage.totalTokens ?? 0)
        }
      }).pipe(Effect.provide(prices)),
    runs
  )

  it.effect.prop(
    "never exceeds the limit when no call consumes more than it reserves",
    {
      plans: FastCheck.array(plan(true), { minLength: 1, maxLength: 20 }),
      limit: FastCheck.integer({ min: 1, max: 300 })
    },
    ({ limit, plans }) =>
      Effect.gen(function* () {
        const check: Check = (now) =>
          now.forEach(({ reserved, spent }) => expect(spent + reserved).toBeLessThanOrEqual(limit))
        const { statuses } = yield* simulate(plans, [{ limit: { tokens: limit } }], check)
        check(statuses)
      }),
    runs
  )

  it.effect.prop(
    "exceeds the limit by no more than calls consume above their reservations",
    {
      plans: FastCheck.array(plan(false), { minLength: 1, maxLength: 20 }),
      limit: FastCheck.integer({ min: 1, max: 300 })
    },
    ({ limit, plans }) =>
      Effect.gen(function* () {
        const { statuses } = yield* simulate(plans, [{ limit: { tokens: limit } }], () => undefined)
        const above = plans.reduce(
          (sum, { ends, maxTokens, output }) =>
            sum + Math.max(0, output - maxTokens) + (ends === "retried" ? inputTokens : 0),
          0
        )
        expect(statuses[0]?.spent).toBeLessThanOrEqual(limit + above)
      }),
    runs
  )
})
