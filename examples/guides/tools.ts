/** The guide "Tools": a tool loop, its events, and a call that must be approved. */
import assert from "node:assert"
import { NodeRuntime } from "@effect/platform-node"
import { Chunk, Console, Effect, Layer, Schema, Stream } from "effect"
import { Chat, LLM, Tool } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

class NoSuchCity extends Schema.TaggedError<NoSuchCity>()("NoSuchCity", { city: Schema.String }) {}

const weather = Tool.make("weather", {
  description: "The weather in a city, now.",
  parameters: { city: Schema.String },
  success: Schema.Struct({ temperature: Schema.Number }),
  handler: ({ city }) => (city === "Oslo" ? Effect.succeed({ temperature: -3 }) : Effect.fail(new NoSuchCity({ city })))
})

const program = Effect.gen(function* () {
  const { messages, response, rounds, usage } = yield* LLM.runTools("How is the weather in Oslo?", { tools: [weather] })
  assert.equal(rounds.length, 2)
  assert(response.text.includes('{"temperature":-3}'), response.text)
  assert(usage.totalTokens > 0)

  const events = yield* Stream.runCollect(
    LLM.runToolsStream({ messages: [...messages, Chat.user("And Oslo now?")] }, { tools: [weather] })
  )
  assert(Chunk.some(events, ({ _tag }) => _tag === "ToolEnd"))
  assert.equal(Chunk.unsafeLast(events)._tag, "Finish")

  // The typed error of the handler, or a result for the model.
  const failed = yield* Effect.flip(LLM.runTools("How is the weather in Atlantis?", { tools: [weather] }))
  assert.equal(failed._tag, "NoSuchCity")
  const reported = yield* LLM.runTools("The weather in Atlantis?", { tools: [weather], onFailure: "report" })
  assert.equal(reported.rounds[0]?.executions[0]?.result.isError, true)

  // A tool without a handler is pending until it is answered.
  const tools = [{ name: "buy", description: "Buys a pen." }]
  const asked = yield* LLM.runTools({ messages: [Chat.user("Buy a pen.")], tools }, { tools: [] })
  const results = asked.pending.map((call) => Chat.toolResult(call, "done"))
  assert.equal(results.length, 1)
  const done = yield* LLM.runTools({ messages: [...asked.messages, ...results], tools }, { tools: [] })
  yield* Console.log(done.response.text)
})

const live = LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici))

NodeRuntime.runMain(Effect.provide(program, live))
