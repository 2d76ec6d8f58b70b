import { HttpClient, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Option, Stream } from "effect"
import * as Budget from "../../src/accounting/Budget.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as DashScope from "../support/dashscope.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"
import type { EmbeddingsWire, Frame, Wire, WireEvent } from "../../src/wire/Wire.js"
import { answer, scripted } from "../support/scripted.js"

/** Token counts that no call can have. */
const impossibleCounts: ReadonlyArray<unknown> = [1e308, 1e15, 60_000_000, -1, 1.5, "12", {}, true]

const text = "four words of text"

const estimatedOutput = Usage.estimateTokens(text)

const source = { provider: "acme", model: "m", estimatedInputTokens: 7 }

const isPossible = (usage: Usage.Usage): boolean =>
  [usage.inputTokens, usage.outputTokens, usage.totalTokens, usage.reasoningTokens].every(Usage.isTokens) &&
  Usage.isTokens(usage.cachedInputTokens + usage.cacheWriteTokens) &&
  usage.cachedInputTokens + usage.cacheWriteTokens <= usage.inputTokens &&
  usage.reasoningTokens <= usage.outputTokens

// -------------------------------------------------------------------------------------
// wires
// -------------------------------------------------------------------------------------

/** The token counts of an answer. */
interface Counts {
  readonly input?: unknown
  readonly output?: unknown
  readonly cached?: unknown
  readonly reasoning?: unknown
}

interface Protocol {
  readonly wire: Wire
  readonly whole: (counts: Counts) => unknown
  readonly frames: (counts: Counts) => ReadonlyArray<Frame>
}

const frame = (body: Record<string, unknown>): Frame => ({
  data: JSON.stringify(body),
  ...(typeof body["type"] === "string" ? { event: body["type"] } : {})
})

const openai = ({ cached, input, output, reasoning }: Counts) => ({
  prompt_tokens: input,
  completion_tokens: output,
  prompt_tokens_details: { cached_tokens: cached },
  completion_tokens_details: { reasoning_tokens: reasoning }
})

const gemini = ({ cached, input, output, reasoning }: Counts) => ({
  candidates: [{ content: { role: "model", parts: [{ text }] }, finishReason: "STOP", index: 0 }],
  usageMetadata: {
    promptTokenCount: input,
    candidatesTokenCount: output,
    cachedContentTokenCount: cached,
    thoughtsTokenCount: reasoning
  }
})

const responses = ({ cached, input, output, reasoning }: Counts) => ({
  id: "r",
  object: "response",
  model: "m",
  status: "completed",
  output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text, annotations: [] }] }],
  usage: {
    input_tokens: input,
    output_tokens: output,
    input_tokens_details: { cached_tokens: cached },
    output_tokens_details: { reasoning_tokens: reasoning }
  }
})

const anthropic = ({ cached, input, output, reasoning }: Counts) => ({
  input_tokens: input,
  output_tokens: output,
  cache_read_input_tokens: cached,
  output_tokens_details: { thinking_tokens: reasoning }
})

const dashscope = ({ cached, input, output, reasoning }: Counts) => ({
  request_id: "r",
  output: { choices: [{ message: { role: "assistant", content: text }, finish_reason: "stop" }] },
  usage: {
    input_tokens: input,
    output_tokens: output,
    prompt_tokens_details: { cached_tokens: cached },
    output_tokens_details: { reasoning_tokens: reasoning }
  }
})

const ollama = ({ input, output }: Counts) => ({
  model: "m",
  message: { role: "assistant", content: text },
  done: true,
  done_reason: "stop",
  prompt_eval_count: input,
  eval_count: output
})

const protocols: Readonly<Record<string, Protocol>> = {
  "Chat Completions": {
    wire: ChatCompletions.make(),
    whole: (counts) => ({
      id: "c",
      choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
      usage: openai(counts)
    }),
    frames: (counts) => [
      frame({ id: "c", choices: [{ index: 0, delta: { content: text }, finish_reason: "stop" }] }),
      frame({ id: "c", choices: [], usage: openai(counts) }),
      { data: "[DONE]" }
    ]
  },
  Responses: {
    wire: Responses.make(),
    whole: responses,
    frames: (counts) => [frame({ type: "response.completed", response: responses(counts) })]
  },
  Anthropic: {
    wire: Anthropic.make(),
    whole: (counts) => ({
      id: "a",
      type: "message",
      role: "assistant",
      content: [{ type: "text", text }],
      stop_reason: "end_turn",
      usage: anthropic(counts)
    }),
    frames: (counts) => [
      frame({ type: "message_start", message: { id: "a", role: "assistant", content: [], usage: anthropic(counts) } }),
      frame({ type: "content_block_start", index: 0, content_block: { type: "text", text } }),
      frame({ type: "content_block_stop", index: 0 }),
      frame({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: anthropic(counts) }),
      frame({ type: "message_stop" })
    ]
  },
  Gemini: { wire: Gemini.make(), whole: gemini, frames: (counts) => [frame(gemini(counts))] },
  DashScope: { wire: DashScope.make(), whole: dashscope, frames: (counts) => [frame(dashscope(counts))] },
  Ollama: { wire: Ollama.make(), whole: ollama, frames: (counts) => [frame(ollama(counts))] }
}

/** The usage of a whole answer, of its stream decoder and of its `Finish`. */
const usages = ({ frames, whole, wire }: Protocol, counts: Counts): ReadonlyArray<Usage.Usage> => {
  const decoder = wire.decodeStream(source)
  const events: Array<WireEvent> = []
  for (const each of frames(counts)) expect(decoder.push(each, events)).toBeUndefined()
  if (decoder.state !== "done") expect(decoder.end(events)).toBeUndefined()
  const finish = events.find((event) => event._tag === "Finish")
  const response = Either.getOrThrow(wire.decodeResponse(JSON.parse(JSON.stringify(whole(counts))), source))
  return [response.usage, decoder.usage, finish?._tag === "Finish" ? finish.usage : Usage.empty]
}

describe.each(Object.entries(protocols))("usage of %s", (_, protocol) => {
  it("estimates the input or output count of an answer when it is not a possible token count", () => {
    for (const count of impossibleCounts) {
      for (const usage of usages(protocol, { input: 5, output: count })) {
        expect(usage).toEqual(Usage.make({ inputTokens: 5, outputTokens: estimatedOutput, estimated: true }))
      }
      for (const usage of usages(protocol, { input: count, output: 9 })) {
        expect(usage).toEqual(Usage.make({ inputTokens: 7, outputTokens: 9, estimated: true }))
      }
      for (const usage of usages(protocol, { input: count, output: count })) {
        expect(usage).toEqual(Usage.make({ inputTokens: 7, outputTokens: estimatedOutput, estimated: true }))
      }
    }
  })

  it("keeps a count of 49 million input tokens without marking the usage as estimated", () => {
    for (const usage of usages(protocol, { input: 49_000_000, output: 9 })) {
      expect(usage).toEqual(Usage.make({ inputTokens: 49_000_000, outputTokens: 9 }))
    }
  })

  it("keeps cached and reasoning counts within the total they are part of", () => {
    for (const part of [...impossibleCounts, 100, 1_000_000]) {
      for (const usage of usages(protocol, { input: 5, output: 9, cached: part, reasoning: part })) {
        expect(usage).toSatisfy(isPossible)
      }
    }
  })
})

describe("usage of embeddings", () => {
  const openaiBody = (count: unknown) => ({
    data: [{ index: 0, embedding: [1] }],
    usage: { prompt_tokens: count, total_tokens: count }
  })
  const wires: ReadonlyArray<readonly [EmbeddingsWire | undefined, (count: unknown) => unknown]> = [
    [ChatCompletions.make().embeddings, openaiBody],
    [
      Gemini.make().embeddings,
      (count) => ({ embeddings: [{ values: [1] }], usageMetadata: { promptTokenCount: count } })
    ],
    [Ollama.make().embeddings, (count) => ({ model: "m", embeddings: [[1]], prompt_eval_count: count })],
    [
      DashScope.make().embeddings,
      (count) => ({ output: { embeddings: [{ text_index: 0, embedding: [1] }] }, usage: { total_tokens: count } })
    ]
  ]

  it("estimates the input tokens of embeddings when the count is not a possible token count", () => {
    for (const [wire, body] of wires) {
      for (const count of impossibleCounts) {
        const answer = Option.fromNullable(wire?.decodeResponse(body(count), { ...source, count: 1 }))
        const { usage } = Either.getOrThrow(Option.getOrThrow(answer))
        expect(usage).toEqual(Usage.make({ inputTokens: 7, estimated: true }))
      }
    }
  })
})

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

const poolAndLimiter = (limits: RateLimiter.Options) =>
  Layer.mergeAll(KeyPool.layer({ provider: "acme", keys: ["sk-1"] }), RateLimiter.layer(limits))

/** An `LLM` over HTTP whose provider answers with `body`. */
const llmAnswering = (body: string, contentType: string, limits: RateLimiter.Options = {}) =>
  LLM.make({ model: "m", contextWindow: 10_000, retry: false, timeouts: false }).pipe(
    Effect.provide(
      Layer.merge(
        Layer.provide(
          ChatCompletionsClient.layer({ provider: "acme", baseUrl: "http://acme.test/v1" }),
          Layer.succeed(
            HttpClient.HttpClient,
            HttpClient.make((request) =>
              Effect.succeed(
                HttpClientResponse.fromWeb(request, new Response(body, { headers: { "content-type": contentType } }))
              )
            )
          )
        ),
        poolAndLimiter(limits)
      )
    )
  )

const chatAndStream = (llm: LLM.Service, request: ChatRequest.Input) =>
  Effect.all([
    Effect.map(llm.chat(request), ({ usage }) => usage),
    Effect.map(ChatEvent.collect(llm.chatStream(request)), ({ usage }) => usage)
  ])

const limits: RateLimiter.Options = { capacity: 1000, refillRate: 1000, tokensPerMinute: 1_000_000 }

describe("answers with impossible token counts", () => {
  it.effect("an answer that reports 1e308 or infinite tokens does not block later calls of a token limiter", () =>
    Effect.gen(function* () {
      const { wire, whole } = protocols["Chat Completions"] ?? { wire: undefined, whole: () => ({}) }
      expect(wire).toBeDefined()
      // `JSON.parse` reads 1e999 as infinity.
      const infinite = JSON.stringify(whole({ input: 3, output: 0 })).replace(
        '"completion_tokens":0',
        '"completion_tokens":1e999'
      )
      for (const body of [JSON.stringify(whole({ input: 3, output: 1e308 })), infinite]) {
        const llm = yield* llmAnswering(body, "application/json", limits)
        for (let call = 0; call < 3; call++) {
          const { usage } = yield* llm.chat("hello")
          expect(usage).toEqual(Usage.make({ inputTokens: 3, outputTokens: estimatedOutput, estimated: true }))
        }
        const { limiter } = yield* llm.status
        expect(limiter.tokens).toMatchObject({ available: 1_000_000 - 3 * (3 + estimatedOutput), reserved: 0 })
      }
    })
  )
})

/** An `LLM` over a user's own client that reports `usage`. */
const llmReporting = (usage: Usage.Usage, limit: RateLimiter.Options = limits) => {
  const chatResponse = { ...answer(text), usage }
  return LLM.make({ model: "m", contextWindow: 10_000, retry: false, timeouts: false }).pipe(
    Effect.provide(
      Layer.merge(
        Layer.succeed(ProviderClient.ProviderClient, {
          provider: "acme",
          wire: "own",
          chat: () => Effect.succeed(chatResponse),
          chatStream: () => Stream.fromIterable(ChatEvent.fromResponse(chatResponse)),
          embeddings: {
            maxBatch: 10,
            embed: ({ input }) =>
              Effect.succeed({
                provider: "acme",
                model: "m",
                embeddings: input.map(() => [1]),
                usage,
                latency: 1,
                attempts: []
              })
          }
        }),
        poolAndLimiter(limit)
      )
    )
  )
}

const impossibleUsages: ReadonlyArray<Usage.Usage> = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  0.5,
  1e308
].map((count) => ({
  inputTokens: count,
  outputTokens: count,
  totalTokens: count,
  cachedInputTokens: count,
  cacheWriteTokens: count,
  cacheWrite1hTokens: count,
  reasoningTokens: count,
  inputAudioTokens: count,
  outputAudioTokens: count,
  estimated: false
}))

describe("usage reported by any client", () => {
  it.effect("estimates a client's counts when they exceed what the request and the model allow", () =>
    Effect.gen(function* () {
      const request = { messages: [Chat.user("hello")], maxTokens: 100 }
      const within = Usage.make({ inputTokens: 20_000, outputTokens: 100 })
      expect(yield* chatAndStream(yield* llmReporting(within), request)).toEqual([within, within])
      for (const [reportedCounts, expected] of [
        [
          { inputTokens: 20_000, outputTokens: 140_000 },
          { inputTokens: 20_000, outputTokens: estimatedOutput }
        ],
        [{ inputTokens: 170_000, outputTokens: 100 }, { outputTokens: 100 }]
      ] as const) {
        for (const usage of yield* chatAndStream(yield* llmReporting(Usage.make(reportedCounts)), request)) {
          expect(usage).toMatchObject({ ...expected, estimated: true })
          expect(usage.inputTokens).toBeLessThan(20_001)
          expect(usage.totalTokens).toBe(usage.inputTokens + usage.outputTokens)
        }
      }
    })
  )

  it.effect("passes only possible token counts of a client to the limiter, the budget and the ledger", () =>
    Effect.gen(function* () {
      for (const usage of impossibleUsages) {
        const ledger = yield* UsageLedger.make()
        const budget = yield* Budget.make({ limit: { tokens: 1_000_000 } })
        const base = yield* Effect.flatMap(llmReporting(usage), budget.middleware)
        const llm = yield* Effect.provideService(UsageLedger.middleware()(base), UsageLedger.UsageLedger, ledger)
        for (const reported of yield* chatAndStream(llm, "hello")) expect(reported).toSatisfy(isPossible)
        expect((yield* llm.embed(["hello", "world"])).usage).toSatisfy(isPossible)
        const { limiter } = yield* llm.status
        expect(limiter.tokens?.available).toBeGreaterThan(999_900)
        const [account] = yield* budget.status
        expect(account?.reserved).toBe(0)
        expect(account?.spent).toSatisfy((spent: number) => Number.isInteger(spent) && spent > 0 && spent < 100)
        const { total } = yield* ledger.snapshot
        expect(total.usage).toSatisfy(isPossible)
        expect(total.usage.inputTokens).toBeGreaterThan(0)
        yield* llm.chat("and once more")
      }
    })
  )

  it.effect("a budget keeps its own estimate when a custom LLM reports impossible token counts", () =>
    Effect.gen(function* () {
      for (const usage of impossibleUsages) {
        const budget = yield* Budget.make([{ limit: { tokens: 1000 } }, { name: "money", limit: { dollars: 1 } }])
        const base = yield* scripted(Effect.succeed({ ...answer(text), usage }))
        const llm = yield* Effect.flatMap(budget.middleware(base), Telemetry.middleware())
        yield* chatAndStream(llm, { messages: [Chat.user("hello")], maxTokens: 10 })
        for (const { reserved, spent, unit } of yield* budget.status) {
          expect(reserved).toBe(0)
          expect(spent).toSatisfy((amount: number) => amount > 0 && amount < 100)
          expect(unit === "tokens" ? Number.isInteger(spent) : spent < 0.01).toBe(true)
        }
      }
    }).pipe(Effect.provide(Pricing.layer({ test: { model: { input: 1, output: 10 } } })))
  )
})

describe("RateLimiter with token limits", () => {
  it.effect("keeps the estimate of a reservation when it is settled with an impossible token count", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make(limits)
      for (const used of [Number.NaN, Number.POSITIVE_INFINITY, -1, 1e308]) {
        const reservation = yield* limiter.reserve(100)
        yield* reservation.settle(used)
      }
      expect((yield* limiter.status).tokens).toMatchObject({ available: 1_000_000 - 400, reserved: 0 })
    })
  )

  it.effect("RateLimiter.take fails with a RateLimitError when the wait is about 1e305 seconds", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1e-305 })
      yield* limiter.take()
      const error = yield* Effect.flip(limiter.take())
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "limiter" })
    })
  )
})
