/** Measures what each production feature adds to a call of an `LLM` whose provider answers at once from memory. */
import { Effect, Layer, Stream } from "effect"
import * as Balance from "../src/routing/Balance.js"
import * as Budget from "../src/accounting/Budget.js"
import * as CacheStore from "../src/caching/CacheStore.js"
import type { ChatResponse } from "../src/vocabulary/Chat.js"
import * as Chat from "../src/vocabulary/Chat.js"
import * as ChatEvent from "../src/vocabulary/ChatEvent.js"
import * as Hedge from "../src/routing/Hedge.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as Pricing from "../src/accounting/Pricing.js"
import * as ProviderClient from "../src/call/ProviderClient.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import * as ResponseCache from "../src/caching/ResponseCache.js"
import * as Usage from "../src/vocabulary/Usage.js"
import * as UsageLedger from "../src/accounting/UsageLedger.js"
import type { Contestant, Group } from "./measure.js"

const request = {
  messages: [Chat.system("A few hundred words of instructions. ".repeat(60)), Chat.user("The capital of France?")],
  maxTokens: 10
}

const response: ChatResponse = Chat.withContent(
  {
    id: "answer",
    provider: "bench",
    model: "model",
    finishReason: "stop",
    rawFinishReason: "stop",
    usage: Usage.make({ inputTokens: 10, outputTokens: 5 }),
    latency: 1,
    keyId: "0",
    attempts: [{ provider: "bench", model: "model", keyId: "0", duration: 1 }],
    providerMetadata: {}
  },
  [Chat.text("Paris.")]
)

const makeLLM = (client: Pick<ProviderClient.Service, "chat" | "chatStream">): Effect.Effect<LLM.Service> =>
  LLM.make({ model: "model", telemetry: false, timeouts: false, retry: false }).pipe(
    Effect.provide(Layer.succeed(ProviderClient.ProviderClient, { provider: "bench", wire: "bench", ...client })),
    Effect.provide(KeyPool.layer({ provider: "bench", keys: ["key"] })),
    Effect.provide(RateLimiter.layerUnlimited),
    Effect.orDie
  )

const plain = makeLLM({
  chat: () => Effect.succeed(response),
  chatStream: () => Stream.fromIterable(ChatEvent.fromResponse(response))
})

const silent = makeLLM({ chat: () => Effect.never, chatStream: () => Stream.never })

const balance = (count: number, options: Balance.Options = {}) =>
  Effect.flatMap(plain, (llm) =>
    Balance.make(
      Array.from({ length: count }, (_, index) => ({ llm, id: `${index}` })),
      options
    )
  )

const budgets: ReadonlyArray<Budget.Options> = [
  { name: "all", limit: { dollars: 1e6 }, period: "day" },
  { name: "team", limit: { tokens: 1e12 }, period: { rolling: "1 hour" }, scope: "each-label" }
]

const budgeted = (rules: ReadonlyArray<Budget.Options>) =>
  Effect.flatMap(Effect.zip(plain, Budget.make(rules)), ([llm, budget]) => budget.middleware(llm))

const cached = Effect.flatMap(Effect.zip(plain, ResponseCache.make()), ([llm, cache]) => cache.middleware(llm)).pipe(
  Effect.provide(CacheStore.layerMemory())
)

const hedged = Effect.flatMap(plain, (llm) => Hedge.make([llm])(llm))

/** The first LLM never answers, and the second is called at once. */
const hedgedTwice = Effect.flatMap(Effect.zip(plain, silent), ([llm, hanging]) =>
  Hedge.make([llm], { delay: 0, maxExtraLoad: 1 })(hanging)
)

const benchmark =
  (call: (llm: LLM.Service) => Effect.Effect<unknown, unknown>) =>
  (name: string, made: Effect.Effect<LLM.Service, unknown>): Contestant => {
    const llm = Effect.runSync(
      Effect.provide(made, Pricing.layer({ bench: { model: { input: 1, cachedInput: 0.1, output: 4 } } }))
    )
    return {
      name,
      run: async (times) => {
        await Effect.runPromise(Effect.repeatN(call(llm), times - 1))
        return times
      }
    }
  }

const chat = benchmark((llm) => llm.chat(request))

const stream = benchmark((llm) => Stream.runDrain(llm.chatStream(request)))

export const production: ReadonlyArray<Group> = [
  {
    plain: chat("call", plain),
    others: [
      chat("cache hit", cached),
      chat(
        "cache miss",
        Effect.map(cached, (llm) => ({ ...llm, chat: (input) => ResponseCache.bypass(llm.chat(input)) }))
      ),
      chat("balanced over 3", balance(3)),
      chat("balanced over 100", balance(100)),
      chat("balanced over 100, sticky", balance(100, { strategy: Balance.sticky(() => "a conversation") })),
      chat("hedged", hedged),
      chat("hedged, with both requests sent", hedgedTwice),
      chat("with a price", Effect.flatMap(plain, Pricing.middleware())),
      chat("with a ledger", Effect.provide(Effect.flatMap(plain, UsageLedger.middleware()), UsageLedger.layer())),
      chat("within a budget", budgeted(budgets.slice(0, 1))),
      chat("within two budgets", budgeted(budgets))
    ]
  },
  {
    plain: stream("stream", plain),
    others: [stream("balanced over 100", balance(100)), stream("hedged", hedged)]
  }
]
