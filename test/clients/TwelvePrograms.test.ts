import { LanguageModel } from "@effect/ai"
import { OpenAiClient, OpenAiEmbeddingModel, OpenAiLanguageModel, OpenAiTokenizer } from "@effect/ai-openai"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { LLMEmbeddingModel, LLMLanguageModel, LLMTokenizer } from "../../src/ai/index.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { GptTokenizer } from "../../src/tokens/tokenizer/index.js"
import type { ChatRequest, ChatResponse, Message } from "../../src/vocabulary/Chat.js"
import { textOf, toolCall } from "../../src/vocabulary/Chat.js"
import { Handlers, programs } from "./matrix/effectAi.js"

/** A single text has two forms on the wire, which mean the same. */
const contentOf = ({ content }: Message): unknown =>
  typeof content !== "string" && content.every((part) => part.type === "text") ? textOf(content) : content

/** What the model says depends on everything that a program sends: its last message, the roles, the tools and the images. */
const answer = ({ messages, responseFormat, tools = [] }: ChatRequest): Partial<ChatResponse> => {
  const last = messages.at(-1)
  if (typeof responseFormat === "object")
    return { text: `{"name":"Ada","age":${Object.keys(responseFormat.schema).length}}` }
  const cities = ["Rome", "Oslo"].filter((city) => JSON.stringify(last).includes(city))
  if (tools.length > 0 && cities.length > 0 && last?.role === "user") {
    return { toolCalls: cities.map((city) => toolCall(`call_${city}`, "weather", JSON.stringify({ city }))) }
  }
  return { text: JSON.stringify(messages.map((message) => [message.role, contentOf(message)])) }
}

const server = (keys: ReadonlyArray<SimulatedProvider.SimulatedKey>, options: SimulatedProvider.Options = {}) =>
  SimulatedProvider.make({
    keys,
    answer,
    faults: (_, request) =>
      JSON.stringify(request.messages.at(-1)).includes("Fail.") ? SimulatedProvider.status(400) : undefined,
    ...options
  })

/** A key that is limited after its first call, one that is revoked and one that works. */
const mixedKeys = [
  { key: "limited", limit: { requests: 1, per: "1 hour" } },
  { key: "revoked", revoked: true },
  { key: "good" }
] as const

const model = "gpt-4o"

const theirs = (apiUrl: string) =>
  Layer.mergeAll(
    OpenAiLanguageModel.layer({ model }),
    OpenAiEmbeddingModel.layerBatched({ model }),
    OpenAiTokenizer.layer({ model })
  ).pipe(
    Layer.provide(OpenAiClient.layer({ apiKey: Redacted.make("good"), apiUrl })),
    Layer.provide(NodeHttpClient.layerUndici)
  )

const ours = (baseUrl: string, keys: ReadonlyArray<string>, options: Partial<LLM.Options> = {}) =>
  Layer.mergeAll(LLMLanguageModel.layer(), LLMEmbeddingModel.layer(), LLMTokenizer.layer).pipe(
    Layer.provide(GptTokenizer.layer()),
    Layer.provide(
      LLM.layer({ model, ...options }).pipe(
        Layer.provide([
          ResponsesClient.layer({ provider: "openai", baseUrl }),
          KeyPool.layer({ provider: "openai", keys: keys.map((key) => ({ id: key, key: Redacted.make(key) })) }),
          RateLimiter.layerUnlimited
        ])
      )
    ),
    Layer.provide(NodeHttpClient.layerUndici)
  )

describe("twelve programs against @effect/ai", () => {
  it("are twelve", () => expect(Object.keys(programs)).toHaveLength(12))

  for (const [name, program] of Object.entries(programs)) {
    it.scopedLive(`${name} is equal with @effect/ai-openai and with effect-llm on the same server`, () =>
      Effect.gen(function* () {
        const { baseUrl } = yield* server([{ key: "good" }])
        const runnable = Effect.provide(program, Handlers)
        const expected = yield* Effect.provide(runnable, theirs(baseUrl))
        const result = yield* Effect.provide(runnable, ours(baseUrl, ["good"]))
        expect(result).toEqual(expected)
      })
    )

    it.scopedLive(`${name} is the same while one key is limited and another revoked`, () =>
      Effect.gen(function* () {
        const { baseUrl } = yield* server(mixedKeys)
        const runnable = Effect.provide(program, Handlers)
        const expected = yield* Effect.provide(runnable, ours(baseUrl, ["good"]))
        const result = yield* Effect.provide(
          runnable,
          ours(
            baseUrl,
            mixedKeys.map(({ key }) => key)
          )
        )
        expect(result).toEqual(expected)
      })
    )
  }

  it.scopedLive("ours go on when a key is limited, revoked or slow, and the server saw each of them", () =>
    Effect.gen(function* () {
      const provider = yield* server(mixedKeys)
      yield* provider.next(undefined, undefined, SimulatedProvider.hang())
      const layer = ours(
        provider.baseUrl,
        mixedKeys.map(({ key }) => key),
        { timeouts: { response: "300 millis" } }
      )
      const answers = yield* Effect.provide(
        Effect.replicateEffect(LanguageModel.generateText({ prompt: "Say hello." }), 6),
        layer
      )
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      const log = yield* provider.log
      expect(new Set(log.map(({ status }) => status))).toContain(200)
      expect(new Set(log.map(({ status }) => status))).toContain(401)
      expect(new Set(log.map(({ status }) => status))).toContain(429)
      expect(log.some(({ outcome }) => outcome === "aborted")).toBe(true)
    })
  )
})
