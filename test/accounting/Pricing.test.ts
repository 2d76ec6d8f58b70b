import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as Budget from "../../src/accounting/Budget.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Cost from "../../src/vocabulary/cost.js"
import type * as LLM from "../../src/LLM.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import { Prices } from "../../src/accounting/prices/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { llmOver } from "../support/metered.js"
import { answer, scripted } from "../support/scripted.js"

const dollars = FastCheck.nat(2_000_000_000).map((amount) => amount / 1e12)

const cost = FastCheck.record({
  input: dollars,
  cachedInput: dollars,
  cacheWrite: dollars,
  output: dollars,
  reasoning: dollars,
  request: dollars
}).map(Cost.make)

describe("Cost", () => {
  it.prop(
    "combines costs associatively and commutatively, with `free` as identity and parts that sum to the total",
    { one: cost, two: cost, three: cost },
    ({ one, three, two }) => {
      expect(Cost.combine(one, Cost.combine(two, three))).toEqual(Cost.combine(Cost.combine(one, two), three))
      expect(Cost.combine(one, two)).toEqual(Cost.combine(two, one))
      expect(Cost.combine(one, Cost.free)).toEqual(one)
      const { total, ...parts } = Cost.combineAll([one, two, three])
      expect(Object.values(parts).reduce(Cost.addDollars, 0)).toBe(total)
    }
  )

  it("adds ten and twenty cents to exactly thirty", () => {
    expect(Cost.make({ input: 0.1, output: 0.2 }).total).toBe(0.3)
  })
})

const price: Pricing.Price = { input: 3, cachedInput: 0.3, cacheWrite: 3.75, cacheWrite1h: 6, output: 15 }

const million = 1_000_000

describe("Pricing.cost", () => {
  it("prices each kind of token at its own rate", () => {
    const usage = Usage.make({
      inputTokens: 4 * million,
      cachedInputTokens: million,
      cacheWriteTokens: 2 * million,
      cacheWrite1hTokens: million,
      outputTokens: 2 * million,
      reasoningTokens: million
    })
    expect(Pricing.cost(price, usage)).toEqual(
      Option.some(Cost.make({ input: 3, cachedInput: 0.3, cacheWrite: 9.75, output: 15, reasoning: 15 }))
    )
  })

  it("prices audio at its own rates, within what is neither cached nor reasoning", () => {
    const usage = Usage.make({
      inputTokens: 3 * million,
      cachedInputTokens: million,
      inputAudioTokens: million,
      outputTokens: 3 * million,
      outputAudioTokens: 2 * million
    })
    const withAudio = { ...price, inputAudio: 40, outputAudio: 80 }
    expect(Pricing.cost(withAudio, usage)).toEqual(Option.some(Cost.make({ input: 43, cachedInput: 0.3, output: 175 })))
    expect(Pricing.cost(price, usage)).toEqual(Option.some(Cost.make({ input: 6, cachedInput: 0.3, output: 45 })))
  })

  it("falls back to the input and output rates for rates that the price leaves out", () => {
    const usage = Usage.make({
      inputTokens: 30,
      cachedInputTokens: 10,
      cacheWriteTokens: 10,
      outputTokens: 20,
      reasoningTokens: 10
    })
    const { total } = Option.getOrThrow(Pricing.cost({ input: 1, output: 2 }, usage))
    expect(total).toBe((30 * 1 + 20 * 2) / million)
  })

  it("prices reasoning tokens at their own rate", () => {
    const usage = Usage.make({ outputTokens: 2 * million, reasoningTokens: million })
    expect(Option.getOrThrow(Pricing.cost({ input: 1, output: 2, reasoning: 3 }, usage))).toMatchObject({
      output: 2,
      reasoning: 3,
      total: 5
    })
  })

  it("applies a tier's rates to all tokens when the input is above its bound, and not at the bound", () => {
    const tiered: Pricing.Price = {
      input: 1,
      output: 2,
      tiers: [
        { above: 200_000, input: 2, output: 4 },
        { above: 500_000, input: 3, output: 6 }
      ]
    }
    const of = (inputTokens: number) =>
      Option.getOrThrow(Pricing.cost(tiered, Usage.make({ inputTokens, outputTokens: million })))
    expect(of(200_000)).toMatchObject({ input: 0.2, output: 2 })
    expect(of(200_001)).toMatchObject({ input: 0.400002, output: 4 })
    expect(of(600_000)).toMatchObject({ input: 1.8, output: 6 })
  })

  it("returns no cost for output tokens when the price has no output rate", () => {
    expect(Pricing.cost({ input: 1 }, Usage.make({ inputTokens: 1 }))).toEqual(Option.some(Cost.make({ input: 1e-6 })))
    expect(Pricing.cost({ input: 1 }, Usage.make({ inputTokens: 1, outputTokens: 1 }))).toEqual(Option.none())
  })

  it.prop(
    "never returns a negative part, nor a total above the highest input and output rates",
    {
      counts: FastCheck.record({
        inputTokens: FastCheck.nat(10_000),
        cachedInputTokens: FastCheck.nat(20_000),
        cacheWriteTokens: FastCheck.nat(20_000),
        cacheWrite1hTokens: FastCheck.nat(20_000),
        outputTokens: FastCheck.nat(10_000),
        reasoningTokens: FastCheck.nat(20_000)
      })
    },
    ({ counts }) => {
      const { total, ...parts } = Option.getOrThrow(Pricing.cost(price, Usage.make(counts)))
      for (const part of Object.values(parts)) expect(part).toBeGreaterThanOrEqual(0)
      expect(total).toBeLessThanOrEqual((6 * counts.inputTokens + 15 * counts.outputTokens) / million + 1e-9)
    }
  )
})

describe("price lookup", () => {
  const table = Pricing.fromTable({
    openai: { "gpt-4o": { input: 1, output: 1 }, "gpt-4o*": { input: 2, output: 2 }, "gpt-*": { input: 3, output: 3 } },
    "*": { mine: Pricing.nothing }
  })
  const inputOf = (provider: string, model: string) =>
    Option.map(table.priceOf({ provider, model, at: 0 }), ({ input }) => input)

  it("finds a price by exact name, then by the longest prefix, then under the provider `*`", () => {
    expect(inputOf("openai", "gpt-4o")).toEqual(Option.some(1))
    expect(inputOf("openai", "gpt-4o-mini")).toEqual(Option.some(2))
    expect(inputOf("openai", "gpt-5")).toEqual(Option.some(3))
    expect(inputOf("openai", "mine")).toEqual(Option.some(0))
    expect(inputOf("vllm", "mine")).toEqual(Option.some(0))
  })

  it("finds no price for unknown names, even those that every object inherits", () => {
    for (const name of ["toString", "constructor", "__proto__", "davinci"]) {
      expect(inputOf("openai", name)).toEqual(Option.none())
      expect(inputOf(name, "gpt-4o")).toEqual(Option.none())
    }
  })

  it.effect("prefers the prices of an inner layer to those of an outer one", () =>
    Effect.gen(function* () {
      const usage = Usage.make({ inputTokens: million })
      const of = (model: string) =>
        Effect.map(
          Pricing.costOf(usage, { provider: "test", model }),
          Option.map(({ total }) => total)
        )
      expect(yield* of("one")).toEqual(Option.some(9))
      expect(yield* of("two")).toEqual(Option.some(2))
      expect(yield* of("three")).toEqual(Option.none())
    }).pipe(
      Effect.provide(
        Pricing.layer({ test: { one: { input: 9 } } }).pipe(
          Layer.provide(Pricing.layer({ test: { one: { input: 1 }, two: { input: 2 } } }))
        )
      )
    )
  )
})

const pricedLLM = (model: string) =>
  Effect.flatMap(scripted("hello"), Pricing.middleware()).pipe(
    Effect.provide(Pricing.layer({ test: { [model]: { input: 1, output: 10 } } }))
  )

const expectedCost = Cost.make({ input: 0.000003, output: 0.00004 })

describe("Pricing.middleware", () => {
  it.effect("adds the same cost to whole, streamed and embedding responses", () =>
    Effect.gen(function* () {
      const llm = yield* pricedLLM("model")
      const whole = yield* llm.chat("?")
      expect(whole.cost).toEqual(expectedCost)
      expect(yield* ChatEvent.collect(llm.chatStream("?"))).toEqual(whole)
      expect(ChatEvent.fromResponse(whole)).toEqual(Array.from(yield* Stream.runCollect(llm.chatStream("?"))))
      expect((yield* llm.embed("?")).cost).toEqual(expectedCost)
      expect(Schema.decodeUnknownSync(Chat.ChatResponse)(JSON.parse(JSON.stringify(whole)))).toEqual(whole)
    })
  )

  it.effect("leaves the cost field out when no price is known", () =>
    Effect.gen(function* () {
      const llm = yield* pricedLLM("another")
      expect(yield* llm.chat("?")).toEqual(answer("hello"))
      expect(yield* ChatEvent.collect(llm.chatStream("?"))).toEqual(answer("hello"))
      expect("cost" in (yield* llm.embed("?"))).toBe(false)
    })
  )

  it.effect("uses the price of the requested model when the model that answered has none", () =>
    Effect.gen(function* () {
      const llm = yield* Effect.flatMap(
        scripted(Effect.succeed({ ...answer("hello"), model: "model-2024-01-01" })),
        Pricing.middleware()
      ).pipe(Effect.provide(Pricing.layer({ test: { model: { input: 1, output: 10 } } })))
      expect((yield* llm.chat("?")).cost).toEqual(expectedCost)
    })
  )
})

/** An answer of three input and four output tokens that names a dated version of the model. */
const answerOf = (model: string) => ({
  ...answer("hello"),
  model: `${model}-2024-01-01`,
  attempts: [{ provider: "test", model, keyId: "key", duration: 5 }]
})

/** An LLM with Pricing, a ledger and a budget, all made with the prices in context. */
const meteredLLM = (options: Partial<LLM.Options> = {}) =>
  Effect.gen(function* () {
    const response = answerOf(options.model ?? "model")
    const ledger = yield* UsageLedger.make()
    const budget = yield* Budget.make({ limit: { dollars: 1 } })
    const llm = yield* llmOver(
      { chat: () => Effect.succeed(response), stream: () => Stream.fromIterable(ChatEvent.fromResponse(response)) },
      options
    ).pipe(
      Effect.flatMap(Pricing.middleware()),
      Effect.flatMap((llm) => Effect.provideService(UsageLedger.middleware()(llm), UsageLedger.UsageLedger, ledger)),
      Effect.flatMap(budget.middleware)
    )
    /** Dollars of the ledger since the last time, and of the budget in total. */
    const charged = Effect.map(Effect.zip(ledger.reset, budget.status), ([{ total }, [status]]) => [
      total.cost.total,
      status?.spent
    ])
    return { llm, charged }
  })

/** Cost of the answer at a rate for input and ten times that rate for output. */
const costAtRate = (input: number) => Cost.make({ input: (3 * input) / million, output: (40 * input) / million })

const at = (input: number) => Pricing.layer({ test: { model: { input, output: 10 * input } } })

describe("prices in context of a call", () => {
  it.effect("prefers the prices around one call to those the LLM, ledger and budget were made with", () =>
    Effect.gen(function* () {
      const { charged, llm } = yield* Effect.provide(meteredLLM(), at(1))
      expect((yield* Effect.provide(llm.chat("?"), at(3))).cost).toEqual(costAtRate(3))
      expect(yield* charged).toEqual([0.000129, 0.000129])
      const { cost } = yield* ChatEvent.collect(Stream.provideLayer(llm.chatStream("?"), at(5)))
      expect(cost).toEqual(costAtRate(5))
      expect(yield* charged).toEqual([0.000215, 0.000344])
      expect((yield* llm.chat("?")).cost).toEqual(costAtRate(1))
      expect(yield* charged).toEqual([0.000043, 0.000387])
    })
  )

  it.effect("admits a call to a budget in dollars when its price is known only around the call", () =>
    Effect.gen(function* () {
      const { llm } = yield* meteredLLM()
      expect(yield* Effect.flip(llm.chat("?"))).toMatchObject({ reason: "unknown-price" })
      expect((yield* Effect.provide(llm.chat("?"), at(2))).cost).toEqual(costAtRate(2))
    })
  )

  it.effect("keeps the price of a model that the prices around the call do not list", () =>
    Effect.gen(function* () {
      const { llm } = yield* Effect.provide(meteredLLM(), at(1))
      const others = Pricing.layer({ test: { another: { input: 9, output: 9 } } })
      expect((yield* Effect.provide(llm.chat("?"), others)).cost).toEqual(costAtRate(1))
    })
  )

  it.effect("prefers a configured or layered price to a public price list around the call", () =>
    Effect.gen(function* () {
      const list = Prices.layer({ providers: { test: "openai" } })
      const model = "gpt-4o"
      const { llm: configured } = yield* meteredLLM({ model, price: { input: 4, output: 40 } })
      expect((yield* Effect.provide(configured.chat("?"), list)).cost).toEqual(costAtRate(4))
      const agreed = Pricing.layer({ test: { "*": { input: 5, output: 50 } } })
      const { llm: made } = yield* Effect.provide(meteredLLM({ model }), agreed)
      expect((yield* Effect.provide(made.chat("?"), list)).cost).toEqual(costAtRate(5))
      expect((yield* Effect.provide(made.chat("?"), Layer.provide(at(3), list))).cost).toEqual(costAtRate(5))
      const own = Pricing.layer({ test: { "gpt-4o": { input: 3, output: 30 } } })
      expect((yield* Effect.provide(made.chat("?"), Layer.provide(own, list))).cost).toEqual(costAtRate(3))
      const { llm: unpriced } = yield* meteredLLM({ model })
      expect((yield* Effect.provide(unpriced.chat("?"), list)).cost?.total).toBeGreaterThan(0)
    })
  )
})

describe("the price in a model's configuration", () => {
  const configured = { price: { input: 4, output: 40 } }

  it.effect("uses the configured price in answers, ledger and budget, whatever prices they were made with", () =>
    Effect.gen(function* () {
      for (const prices of [Layer.empty, at(1)]) {
        const { charged, llm } = yield* Effect.provide(meteredLLM(configured), prices)
        expect((yield* llm.chat("?")).cost).toEqual(costAtRate(4))
        expect(yield* charged).toEqual([0.000172, 0.000172])
        expect((yield* ChatEvent.collect(llm.chatStream("?"))).cost).toEqual(costAtRate(4))
        expect(yield* charged).toEqual([0.000172, 0.000344])
      }
    })
  )

  it.effect("prefers the prices around a call to the configured price", () =>
    Effect.gen(function* () {
      const { charged, llm } = yield* meteredLLM(configured)
      expect((yield* Effect.provide(llm.chat("?"), at(3))).cost).toEqual(costAtRate(3))
      expect(yield* charged).toEqual([0.000129, 0.000129])
    })
  )

  it.effect("adds the cost to answers without the Pricing middleware when a price is configured", () =>
    Effect.gen(function* () {
      const llm = yield* llmOver({ chat: () => Effect.succeed(answerOf("model")) }, configured)
      expect((yield* llm.chat("?")).cost).toEqual(costAtRate(4))
      expect(llm.info.price).toEqual(configured.price)
    })
  )

  it.effect("ignores the configured price when a request names another model", () =>
    Effect.gen(function* () {
      const { llm } = yield* meteredLLM(configured)
      const another = { model: "another", messages: [Chat.user("?")] }
      const error = yield* Effect.flip(llm.chat(another))
      expect(error).toMatchObject({ _tag: "BudgetExceededError", reason: "unknown-price", model: "another" })
      const ledger = yield* UsageLedger.make()
      const unlimited = yield* llmOver({ chat: () => Effect.succeed(answerOf("another")) }, configured).pipe(
        Effect.flatMap((llm) => Effect.provideService(UsageLedger.middleware()(llm), UsageLedger.UsageLedger, ledger))
      )
      expect("cost" in (yield* unlimited.chat(another))).toBe(false)
      expect((yield* ledger.snapshot).total.unpriced.totalTokens).toBe(7)
    })
  )
})

describe("Prices", () => {
  const at = Date.UTC(2026, 8, 1)
  const prices = Prices.make({ providers: { "my-proxy": "openai" } })
  const priceOf = (provider: string, model: string, when = at) => prices.priceOf({ provider, model, at: when })

  it("finds prices for the provider names of presets and for configured names", () => {
    for (const [provider, model] of [
      ["openai", "gpt-4o"],
      ["openai", "gpt-4o-2024-08-06"],
      ["azure", "gpt-4o"],
      ["anthropic", "claude-sonnet-4-5"],
      ["gemini", "gemini-2.5-pro"],
      ["vertex", "gemini-2.5-pro"],
      ["xai", "grok-4"],
      ["deepseek", "deepseek-chat"],
      ["moonshot", "kimi-k2"],
      ["mistral", "mistral-large-latest"],
      ["openrouter", "openai/gpt-4o"],
      ["my-proxy", "gpt-4o"]
    ] as const) {
      const price = priceOf(provider, model)
      expect([provider, model, Option.isSome(price)]).toEqual([provider, model, true])
      expect(priceOf(provider, model)).toEqual(price)
    }
  })

  it("finds no price for unknown providers and models, however similar their names", () => {
    for (const [provider, model] of [
      ["openai", "no-such-model"],
      ["my-openai", "gpt-4o"],
      ["vllm", "gpt-4o"],
      ["", "gpt-4o"],
      ["openai", ""]
    ] as const) {
      expect([provider, model, priceOf(provider, model)]).toEqual([provider, model, Option.none()])
    }
  })

  it("reads tiers, cache rates and request fees from the package", () => {
    expect(Option.getOrThrow(priceOf("anthropic", "claude-sonnet-4-5"))).toEqual({
      input: 3,
      cachedInput: 0.3,
      cacheWrite: 3.75,
      cacheWrite1h: 6,
      output: 15,
      tiers: [{ above: 200_000, input: 6, cachedInput: 0.6, cacheWrite: 7.5, cacheWrite1h: 12, output: 22.5 }]
    })
    expect(Option.getOrThrow(priceOf("perplexity", "sonar")).request).toBe(0.012)
    expect(Option.getOrThrow(priceOf("openai", "text-embedding-3-small"))).toEqual({ input: 0.02 })
  })

  it("follows price changes by date, also for a price that it has cached", () => {
    const of = (when: number) => Option.map(priceOf("anthropic", "claude-opus-4-6", when), ({ tiers }) => tiers?.length)
    expect(of(Date.UTC(2026, 2, 1))).toEqual(Option.some(1))
    expect(of(Date.UTC(2026, 2, 20))).toEqual(Option.some(undefined))
    expect(of(Date.UTC(2026, 2, 1))).toEqual(Option.some(1))
  })

  it("returns the context window of a known model", () => {
    expect(Prices.contextWindow("openai", "gpt-4o")).toEqual(Option.some(128_000))
    expect(Prices.contextWindow("vllm", "gpt-4o")).toEqual(Option.none())
  })
})
