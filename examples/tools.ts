/** A tool call and its result, streamed. Runs against a simulated provider. */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Chat, ChatEvent, KeyPool, LLM, RateLimiter, ResponsesClient, ToolArguments } from "../src/index.js"
import { SimulatedProvider } from "../src/testing/index.js"

const clock: Chat.ToolDefinition = {
  name: "clock",
  description: "The time of day in a city.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}

const program = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make({
    answer: (request) =>
      request.messages.some((message) => message.role === "tool")
        ? "It is noon in Paris."
        : { toolCalls: [{ id: "call-1", name: "clock", arguments: '{"city":"Paris"}' }] }
  })
  const live = LLM.layer({ model: "simulated" }).pipe(
    Layer.provide(ResponsesClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
    Layer.provide(KeyPool.layer({ providerId: "simulated", keys: ["key"] })),
    Layer.provide(RateLimiter.unlimited),
    Layer.provide(NodeHttpClient.layerUndici)
  )
  yield* Effect.gen(function* () {
    const question = Chat.user("What time is it in Paris?")
    const asked = yield* ChatEvent.collect(LLM.chatStream({ messages: [question], tools: [clock] }))
    for (const call of asked.toolCalls) {
      const { city } = yield* ToolArguments.parse(call)
      yield* Console.log(`The model asks for ${call.name} of ${String(city)}.`)
    }
    const results = asked.toolCalls.map((call) => Chat.toolResult(call, "12:00"))
    const answer = yield* LLM.chat({ messages: [question, Chat.toMessage(asked), ...results], tools: [clock] })
    yield* Console.log(answer.text)
  }).pipe(Effect.provide(live))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
