/** What it costs to know what things cost: a call of an `LLM` over a client that answers at once. */
import { Effect, Layer, Stream } from "effect"
import * as Budget from "../src/Budget.js"
import type { ChatResponse } from "../src/Chat.js"
import * as Chat from "../src/Chat.js"
import * as KeyPool from "../src/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as Pricing from "../src/Pricing.js"
import * as ProviderClient from "../src/ProviderClient.js"
import * as RateLimiter from "../src/RateLimiter.js"
import * as Usage from "../src/Usage.js"
import * as UsageLedger from "../src/UsageLedger.js"
import type { Contestant } from "./measure.js"

const response: ChatResponse = {
  id: "answer",
  provider: "bench",
  model: "model",
  text: "Hello.",
  reasoning: "",
  reasoningParts: [],
  refusal: "",
  toolCalls: [],
  finishReason: "stop",
  rawFinishReason: "stop",
  usage: Usage.make({ inputTokens: 10, outputTokens: 5 }),
  latency: 1,
  keyId: "0",
  attempts: [{ provider: "bench", model: "model", keyId: "0", duration: 1 }],
  providerMetadata: {}
}

const base = LLM.make({ model: "model", telemetry: false, timeouts: false, retry: false }).pipe(
  Effect.provide(
    Layer.mergeAll(
      Layer.succeed(ProviderClient.ProviderClient, {
        provider: "bench",
        wire: "bench",
        chat: () => Effect.succeed(response),
        chatStream: () => Stream.empty
      }),
      KeyPool.layer({ providerId: "bench", keys: ["key"] }),
      RateLimiter.unlimited
    )
  )
)

const budgets: ReadonlyArray<Budget.Options> = [
  { name: "all", limit: { dollars: 1e6 }, period: "day" },
  { name: "team", limit: { tokens: 1e12 }, period: { rolling: "1 hour" }, scope: "each-label" }
]

const contestant = (name: string, made: Effect.Effect<LLM.Service, unknown>): Contestant => {
  const llm = Effect.runSync(
    Effect.provide(made, Pricing.layer({ bench: { model: { input: 1, cachedInput: 0.1, output: 4 } } }))
  )
  const request = { messages: [Chat.user("Say hello.")], maxTokens: 10 }
  return {
    name,
    run: async (times) => {
      await Effect.runPromise(Effect.repeatN(llm.chat(request), times - 1))
      return times
    }
  }
}

export const moneyCosts: ReadonlyArray<Contestant> = [
  contestant("a call", base),
  contestant("with its price", Effect.flatMap(base, Pricing.make())),
  contestant("with a ledger", Effect.provide(Effect.flatMap(base, UsageLedger.middleware), UsageLedger.layer())),
  contestant(
    "with a budget",
    Effect.flatMap(Effect.zip(base, Budget.make(budgets[0] ?? [])), ([llm, budget]) => budget.middleware(llm))
  ),
  contestant(
    "with two budgets",
    Effect.flatMap(Effect.zip(base, Budget.make(budgets)), ([llm, budget]) => budget.middleware(llm))
  )
]
