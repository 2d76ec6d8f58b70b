/** The guide "Migrating from @effect/ai": the program with the layer replaced, and its calls moved. */
import assert from "node:assert"
import { Chat, LanguageModel, Tool as AiTool, Toolkit } from "@effect/ai"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Option, Schema } from "effect"
import { LLM, Tool } from "effect-llm"
import { LLMLanguageModel, LLMToolkit } from "effect-llm/ai"
import { NodeTransport } from "effect-llm/node"

const schema = Schema.Struct({ name: Schema.String, age: Schema.Int })
const toolkit = Toolkit.make(AiTool.make("weather", { parameters: { city: Schema.String }, success: Schema.String }))
const Handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed(`Rain in ${city}.`) })

const kept = Effect.gen(function* () {
  const { finishReason, text } = yield* LanguageModel.generateText({ prompt: "The capital of France?" })
  assert(text.includes("France") && finishReason === "stop")
  const answer = yield* LanguageModel.generateText({ prompt: "What should I wear in Oslo?", toolkit })
  assert.equal(answer.toolResults.length, 1)
  assert.equal((yield* LanguageModel.generateObject({ prompt: "Ada is 36.", schema })).value.age, 36)
  const chat = yield* Chat.empty
  yield* chat.generateText({ prompt: "Hello" })
  assert((yield* chat.generateText({ prompt: "Once more" })).text.includes("Once more"))
  const error = yield* Effect.flip(
    LanguageModel.generateText({ prompt: [{ role: "user", content: "" }] }).pipe(
      Effect.provide(LLMLanguageModel.layer({ extra: { n: 2 } }))
    )
  )
  assert.equal(Option.getOrThrow(LLMLanguageModel.llmError(error))._tag, "UnsupportedError")
})

const moved = Effect.gen(function* () {
  const weather = Tool.make("forecast", {
    parameters: { city: Schema.String },
    handler: ({ city }) => Effect.succeed(`Sun in ${city}.`)
  })
  const tools = [weather, ...LLMToolkit.tools(yield* toolkit)]
  const { response, rounds } = yield* LLM.runTools("What is the weather in Oslo?", { tools })
  assert.equal(rounds.length, 2)
  assert(response.text.includes("Rain in"))
  assert.equal((yield* LLM.generateObject("Ada is 36.", { schema })).value.age, 36)
})

const Model = LLM.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(NodeTransport.layerUndici))

NodeRuntime.runMain(
  Effect.all([kept, moved, Console.log("migrated")]).pipe(
    Effect.provide(
      Layer.mergeAll(Handlers, Model, LLMLanguageModel.layer({ temperature: 0 }).pipe(Layer.provide(Model)))
    )
  )
)
