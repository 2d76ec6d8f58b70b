/** A pool of two keys with a fallback, called whole and streamed, and the same function with a mock: the guide in one file. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Stream } from "effect"
import { ChatCompletionsClient, Fallback, KeyPool, LLM, RateLimiter } from "effect-llm"
import { NodeTransport } from "effect-llm/node"
import { TestLLM } from "effect-llm/testing"

const capitalOf = (country: string) =>
  LLM.chat(`What is the capital of ${country}? Answer in one word.`).pipe(Effect.map((answer) => answer.text))

const provider = (name: string, baseUrl: string) =>
  LLM.layer({ model: "gpt-4o-mini" }).pipe(
    Layer.provide(ChatCompletionsClient.layer({ provider: name, baseUrl })),
    Layer.provide(KeyPool.layer({ provider: name, keys: ["sk-one", { key: "sk-two", maxConcurrency: 8 }] })),
    Layer.provide(RateLimiter.layer({ capacity: 20, refillRate: 3 }))
  )

const program = Effect.gen(function* () {
  const baseUrl = yield* Config.nonEmptyString("OPENAI_BASE_URL")
  const Live = Fallback.layer([provider("first", "http://127.0.0.1:9/v1"), provider("second", baseUrl)]).pipe(
    Layer.provide(NodeTransport.layerUndici)
  )
  yield* Effect.gen(function* () {
    yield* Console.log(yield* capitalOf("France"))
    yield* LLM.chatStream("Tell me a story.").pipe(LLM.text, Stream.runForEach(Console.log))
  }).pipe(Effect.provide(Live))
  const mocked = yield* capitalOf("Italy").pipe(Effect.provide(TestLLM.layer(["Rome"])))
  if (mocked !== "Rome") yield* Effect.fail(new Error(`expected Rome, found ${mocked}`))
})

NodeRuntime.runMain(program)
