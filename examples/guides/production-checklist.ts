/** The production checklist (docs/production-checklist.md), items 1, 2, 3 and 6: a provider that hangs, a burst, an outage, a budget. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Budget, Fallback, LLM, Timeouts } from "effect-llm"
import { NodeTransport } from "effect-llm/node"
import { SimulatedProvider } from "effect-llm/testing"

const expect = (what: string, isSo: boolean) =>
  isSo ? Console.log(`ok: ${what}`) : Effect.dieMessage(`not so: ${what}`)

const program = Effect.gen(function* () {
  const faulty = yield* SimulatedProvider.make()
  const own = LLM.layerKeys({
    provider: "faulty",
    model: "large",
    baseUrl: faulty.baseUrl,
    keys: ["sk-one"],
    timeouts: { total: "3 seconds", response: "500 millis" },
    retry: { maxAttempts: 3, budget: { share: 0.2, floor: 5 } },
    limits: { requestsPerMinute: 40 }
  }).pipe(Layer.orDie)
  const other = LLM.layerConfig({ timeouts: { total: "10 seconds" } }).pipe(Layer.orDie)
  const spending = Budget.layer({ name: "service", limit: { tokens: 2000 }, period: "day" })
  const robust = Fallback.layer([own, other]).pipe(
    LLM.withMiddleware(Timeouts.middleware({ total: "20 seconds" })),
    LLM.withMiddleware(Budget.middleware()),
    Layer.provide(spending)
  )

  yield* Effect.gen(function* () {
    yield* faulty.next(SimulatedProvider.hang())
    const rescued = yield* LLM.chat("Hello", { maxTokens: 100 })
    const llm = yield* LLM.LLM
    const { keys } = yield* llm.status
    yield* expect(
      "1. a call that hangs times out, and the fallback answers",
      rescued.attempts[0]?.error === "TimeoutError"
    )
    yield* expect(
      "1. no call is in flight",
      keys.keys.every(({ inFlight }) => inFlight === 0)
    )
    const error = yield* Effect.flip(LLM.chat("Too dear", { maxTokens: 5000 }))
    yield* expect("6. the budget refuses a call", error._tag === "BudgetExceededError" && error.attempts.length === 0)
  }).pipe(Effect.provide(robust))

  yield* Effect.gen(function* () {
    yield* faulty.next(...Array.from({ length: 100 }, () => SimulatedProvider.status(503)))
    const before = (yield* faulty.log).length
    const errors = yield* Effect.all(
      Array.from({ length: 60 }, () => Effect.flip(LLM.chat("Hello"))),
      {
        concurrency: "unbounded"
      }
    )
    const requests = (yield* faulty.log).length - before
    yield* expect(`2. the limit held (${requests} requests)`, requests <= 40)
    yield* expect(
      "2. the excess was refused at once",
      errors.some((error) => error._tag === "RateLimitError")
    )
    const { retries } = yield* Effect.flatMap(LLM.LLM, (llm) => llm.status)
    yield* expect("3. the retry budget denied retries", (retries?.denied ?? 0) > 0)
  }).pipe(Effect.provide(own))
}).pipe(Effect.scoped, Effect.provide(NodeTransport.layerUndici))

NodeRuntime.runMain(program)
