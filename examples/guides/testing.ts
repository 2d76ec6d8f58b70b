/** The guide "Testing": a scripted model, and a simulated provider that fails. */
import assert from "node:assert"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Chat, LLM, LLMError } from "effect-llm"
import { NodeTransport } from "effect-llm/node"
import { SimulatedProvider, TestLLM } from "effect-llm/testing"

const greet = LLM.chat("Hello").pipe(
  Effect.map((answer) => answer.text),
  Effect.catchTag("RateLimitError", () => Effect.succeed("Please try again later."))
)

const busy = new LLMError.RateLimitError({
  provider: "test",
  model: "test",
  source: "provider",
  message: "slow down",
  attempts: []
})

const scripted = Effect.gen(function* () {
  assert.equal(yield* greet, "Please try again later.")
  assert.equal(yield* greet, "Here I am.")
  assert.equal((yield* TestLLM.calls).length, 2)
  assert.equal((yield* Effect.flip(LLM.chat("Once more")))._tag, "InvalidRequestError")
}).pipe(Effect.provide(TestLLM.layer([TestLLM.failure(busy), "Here I am."])))

const simulated = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make({
    keys: [{ key: "good" }, { key: "revoked", revoked: true }],
    script: [{ when: { message: "weather" }, answer: { toolCalls: [Chat.toolCall("1", "weather", "{}")] } }]
  })
  yield* provider.next(SimulatedProvider.status(503))
  const live = LLM.layerKeys({
    provider: "simulated",
    baseUrl: provider.baseUrl,
    model: "any",
    keys: ["revoked", "good"]
  }).pipe(Layer.provide(NodeTransport.layerUndici))
  const answers = yield* Effect.provide(Effect.forEach(["Hello", "The weather?"], LLM.chat), live)
  assert.equal(answers[0]?.text, "You said: Hello")
  assert.deepEqual(
    answers[0]?.attempts.map(({ error }) => error),
    ["AuthenticationError", "ProviderUnavailableError", undefined]
  )
  assert.equal(answers[1]?.toolCalls[0]?.name, "weather")
  assert.equal((yield* provider.log).length, 4)
}).pipe(Effect.scoped)

// The provider that `effect-llm simulate` runs.
const echoed = Effect.map(LLM.chat("Hello"), ({ text }) => assert.equal(text, "You said: Hello")).pipe(
  Effect.provide(LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici)))
)

NodeRuntime.runMain(Effect.all([scripted, simulated, echoed, Console.log("tested")]))
