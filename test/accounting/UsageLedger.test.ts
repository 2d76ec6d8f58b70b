import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Cost from "../../src/vocabulary/cost.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { llmOver } from "../support/metered.js"
import { answer, context } from "../support/scripted.js"

const prices = Pricing.layer({ test: { model: { input: 1, output: 10 } } })

const withLedger = <A, E>(effect: Effect.Effect<A, E, UsageLedger.UsageLedger>) =>
  effect.pipe(Effect.provide(UsageLedger.layer()), Effect.provide(prices))

const refused = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })
const down = new LLMErrors.ProviderUnavailableError({ ...context, status: 503, message: "down" })
const broken = new LLMErrors.MalformedResponseError({ ...context, message: "html", path: "", excerpt: "" })

const usage = Usage.make({ inputTokens: 3, outputTokens: 4 })

const events = (text: string) => Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(answer(text))), 1)

const totals = FastCheck.record({
  outcome: FastCheck.constantFrom("ok", "interrupted", "cache-hit", "NetworkError"),
  usage: FastCheck.record({ inputTokens: FastCheck.nat(100), outputTokens: FastCheck.nat(100) }).map(Usage.make),
  cost: FastCheck.nat(1000).map((input) => Cost.make({ input: input / 1e6 }))
}).map(UsageLedger.ofEntry)

describe("Totals", () => {
  it.prop(
    "combines totals associatively, with `empty` as identity",
    { one: totals, two: totals, three: totals },
    ({ one, three, two }) => {
      const { combine, empty } = UsageLedger
      expect(combine(one, combine(two, three))).toEqual(combine(combine(one, two), three))
      expect(combine(one, empty)).toEqual(one)
      expect(combine(empty, one)).toEqual(one)
    }
  )
})

describe("recording attempts", () => {
  it.effect("records a whole and a streamed answer with usage and cost", () =>
    withLedger(
      Effect.gen(function* () {
        const llm = yield* Effect.flatMap(
          llmOver({ chat: () => Effect.succeed(answer("hello")), stream: () => events("hello") }),
          UsageLedger.middleware()
        )
        yield* llm.chat("?")
        yield* ChatEvent.collect(llm.chatStream("?"))
        const { groups, total } = yield* UsageLedger.snapshot
        expect(total).toMatchObject({ attempts: 2, succeeded: 2, usage: Usage.combine(usage, usage) })
        expect(total.cost).toEqual(Cost.make({ input: 0.000006, output: 0.00008 }))
        expect(groups.map(({ keyId, label, model, provider }) => [provider, model, keyId, label])).toEqual([
          ["test", "model", "one", ""]
        ])
      })
    )
  )

  it.effect("records refused keys and failed attempts beside the attempt that succeeds", () =>
    withLedger(
      Effect.gen(function* () {
        let requests = 0
        const llm = yield* Effect.flatMap(
          llmOver(
            {
              chat: (_, { key }) => {
                requests++
                return key.id === "one"
                  ? Effect.fail(refused)
                  : requests < 4
                    ? Effect.fail(requests === 2 ? down : broken)
                    : Effect.succeed(answer("at last"))
              }
            },
            { retry: { backoff: { base: 0 }, when: () => true } },
            ["one", "two"]
          ),
          UsageLedger.middleware()
        )
        const ledger = yield* UsageLedger.UsageLedger
        const recorded = yield* Effect.fork(Stream.runCollect(Stream.take(ledger.entries, 4)))
        yield* Effect.yieldNow()
        const fiber = yield* Effect.fork(llm.chat("a question"))
        yield* TestClock.adjust("1 minute")
        const response = yield* Fiber.join(fiber)
        const entries = Array.from(yield* Fiber.join(recorded))
        expect(entries.map(({ keyId, outcome }) => [keyId, outcome])).toEqual([
          ["one", "AuthenticationError"],
          ["two", "ProviderUnavailableError"],
          ["two", "MalformedResponseError"],
          ["two", "ok"]
        ])
        expect(entries.map(({ outcome }) => outcome === "ok")).toEqual(
          response.attempts.map(({ error }) => error === undefined)
        )
        expect(entries.map((entry) => entry.usage.totalTokens > 0)).toEqual([false, false, true, true])
        expect(entries[2]?.usage).toMatchObject({ estimated: true, outputTokens: 0 })
        expect(entries.map((entry) => entry.number)).toEqual([1, 2, 3, 4])
      })
    )
  )

  it.effect("records the estimated usage of a stream that the consumer stops", () =>
    withLedger(
      Effect.gen(function* () {
        const llm = yield* Effect.flatMap(
          llmOver({
            stream: () => Stream.concat(Stream.take(events("once upon a time"), 2), Stream.never)
          }),
          UsageLedger.middleware()
        )
        yield* Stream.runDrain(Stream.take(llm.chatStream("Tell me a story"), 2))
        const { total } = yield* UsageLedger.snapshot
        expect(total).toMatchObject({ attempts: 1, succeeded: 0 })
        expect(total.usage.estimated).toBe(true)
        expect(total.usage.outputTokens).toBe(Usage.estimateTokens("once upon a time"))
        expect(total.usage.inputTokens).toBeGreaterThan(0)
        expect(total.cost.total).toBeGreaterThan(0)
      })
    )
  )

  it.effect("records the estimated input of a whole call that is interrupted", () =>
    withLedger(
      Effect.gen(function* () {
        const llm = yield* Effect.flatMap(llmOver({}), UsageLedger.middleware())
        const fiber = yield* Effect.fork(llm.chat("What is the time?"))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        const { total } = yield* UsageLedger.snapshot
        expect(total).toMatchObject({ attempts: 1, succeeded: 0 })
        expect(total.usage.inputTokens).toBeGreaterThan(0)
        expect(total.usage).toMatchObject({ outputTokens: 0, estimated: true })
      })
    )
  )

  it.effect("records the attempts on every member of a fallback, once when its middleware is applied twice", () =>
    withLedger(
      Effect.gen(function* () {
        const bad = yield* Effect.flatMap(llmOver({ chat: () => Effect.fail(down) }), UsageLedger.middleware())
        const good = yield* llmOver({ chat: () => Effect.succeed(answer("hello")) })
        const llm = yield* Effect.flatMap(Fallback.make([good])(bad), UsageLedger.middleware())
        yield* llm.chat("?")
        expect((yield* UsageLedger.snapshot).total).toMatchObject({ attempts: 2, succeeded: 1 })
      })
    )
  )

  it.effect("answers calls and ignores cache hits when no ledger is in context", () =>
    Effect.gen(function* () {
      const llm = yield* llmOver({ chat: () => Effect.succeed(answer("hello")) })
      expect((yield* llm.chat("?")).text).toBe("hello")
      yield* UsageLedger.cacheHit({ operation: "chat", provider: "test", model: "model" })
    })
  )
})

describe("snapshot, reset and entries", () => {
  it.effect("groups totals by the innermost label, and uses the LLM's own label only when the call has none", () =>
    withLedger(
      Effect.gen(function* () {
        const llm = yield* Effect.flatMap(
          llmOver({ chat: () => Effect.succeed(answer("hello")), stream: () => events("hello") }),
          (base) => Effect.flatMap(UsageLedger.labelled("house")(base), UsageLedger.middleware())
        )
        yield* llm.chat("?")
        yield* UsageLedger.label(llm.chat("?"), "team-a")
        yield* llm.chat("?").pipe(UsageLedger.label("team-b"), UsageLedger.label("team-a"))
        yield* Stream.runDrain(UsageLedger.labelStream(llm.chatStream("?"), "team-b"))
        const { groups, total } = yield* UsageLedger.snapshot
        const byLabel = UsageLedger.totalsBy(groups, "label")
        expect(["house", "team-a", "team-b"].map((label) => byLabel.get(label)?.attempts)).toEqual([1, 1, 2])
        expect(UsageLedger.combineAll(byLabel.values())).toEqual(total)
        expect(UsageLedger.combineAll(UsageLedger.totalsBy(groups, "keyId").values())).toEqual(total)
      })
    )
  )

  it.effect("keeps usage with an unknown price apart from the cost, and counts cache hits without attempts", () =>
    withLedger(
      Effect.gen(function* () {
        const llm = yield* Effect.flatMap(
          llmOver({ chat: () => Effect.succeed({ ...answer("hello"), model: "another" }) }, { model: "another" }),
          (base) =>
            UsageLedger.middleware()({
              ...base,
              embed: () =>
                Effect.zipRight(
                  UsageLedger.cacheHit({ operation: "embeddings", provider: "test", model: "another" }),
                  Effect.succeed({ ...answer(""), embeddings: [] })
                )
            })
        )
        yield* llm.chat("?")
        yield* llm.embed("?")
        const { total } = yield* UsageLedger.snapshot
        expect(total).toMatchObject({ attempts: 1, cacheHits: 1, cost: Cost.free, unpriced: usage })
      })
    )
  )

  it.effect("returns the totals on reset and starts again from zero", () =>
    withLedger(
      Effect.gen(function* () {
        const llm = yield* Effect.flatMap(
          llmOver({ chat: () => Effect.succeed(answer("hello")) }),
          UsageLedger.middleware()
        )
        yield* llm.chat("?")
        yield* TestClock.adjust("1 hour")
        expect((yield* UsageLedger.reset).total.attempts).toBe(1)
        expect(yield* UsageLedger.snapshot).toEqual({ since: 3_600_000, groups: [], total: UsageLedger.empty })
      })
    )
  )

  it.effect("adds groups above `maxGroups` to `(other)`, and drops the oldest entries of a slow reader", () =>
    Effect.gen(function* () {
      const ledger = yield* UsageLedger.UsageLedger
      const entry: UsageLedger.Attempt = {
        operation: "chat",
        provider: "test",
        model: "model",
        answeredBy: "model",
        keyId: "one",
        label: "",
        outcome: "ok",
        usage,
        startedAt: 0,
        endedAt: 0
      }
      const first = yield* Effect.makeLatch(false)
      const reader = yield* Effect.fork(
        Stream.runCollect(
          Stream.take(
            Stream.tap(ledger.entries, () => first.await),
            3
          )
        )
      )
      yield* Effect.yieldNow()
      for (let index = 0; index < 100; index++) {
        yield* ledger.record({ ...entry, label: `label-${index}` })
        yield* Effect.yieldNow()
      }
      yield* first.open
      const numbers = Chunk.map(yield* Fiber.join(reader), ({ number }) => number)
      expect(Chunk.toReadonlyArray(numbers).every((number) => number <= 100)).toBe(true)
      expect(Chunk.unsafeLast(numbers)).toBeGreaterThan(90)
      const { groups, total } = yield* ledger.snapshot
      expect(groups).toHaveLength(11)
      expect(total.attempts).toBe(100)
      expect(UsageLedger.totalsBy(groups, "label").get("(other)")?.attempts).toBe(90)
    }).pipe(Effect.provide(Layer.provide(UsageLedger.layer({ capacity: 4, maxGroups: 10 }), prices)))
  )
})
