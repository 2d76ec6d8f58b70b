/** Runs the tools of a model and prints each step. Runs against a simulated provider: `npx tsx examples/tools.ts`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema, Stream } from "effect"
import { Chat, KeyPool, LLM, RateLimiter, ResponsesClient, Tool } from "effect-llm"
import { SimulatedProvider } from "effect-llm/testing"
import { NodeTransport } from "effect-llm/node"

class NoSuchCity extends Schema.TaggedError<NoSuchCity>()("NoSuchCity", { city: Schema.String }) {}

const offsets: Readonly<Record<string, number>> = { Paris: 1, Tokyo: 9 }

const clock = Tool.make("clock", {
  description: "The time of day in a city.",
  parameters: { city: Schema.String },
  success: Schema.Struct({ hour: Schema.Int }),
  handler: ({ city }) => {
    const offset = offsets[city]
    return offset === undefined ? Effect.fail(new NoSuchCity({ city })) : Effect.succeed({ hour: (12 + offset) % 24 })
  }
})

const program = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make({
    answer: (request) =>
      request.messages.some((message) => message.role === "tool")
        ? "It is one in the afternoon in Paris, and nine in the evening in Tokyo."
        : {
            toolCalls: [
              Chat.toolCall("call-1", "clock", '{"city":"Paris"}'),
              Chat.toolCall("call-2", "clock", '{"city":"Tokyo"}')
            ]
          }
  })
  const live = LLM.layer({ model: "simulated" }).pipe(
    Layer.provide(ResponsesClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "simulated", keys: ["key"] })),
    Layer.provide(RateLimiter.layerUnlimited),
    Layer.provide(NodeTransport.layerUndici)
  )
  yield* LLM.runToolsStream("What time is it in Paris and in Tokyo?", { tools: [clock] }).pipe(
    Stream.runForEach((event) => {
      switch (event._tag) {
        case "ToolEnd":
          return Console.log(`${event.execution.call.arguments} is ${event.execution.result.content}`)
        case "Finish":
          return Console.log(`${event.result.response.text} (${event.result.rounds.length} rounds)`)
        default:
          return Effect.void
      }
    }),
    // The errors of a handler are typed.
    Effect.catchTag("NoSuchCity", ({ city }) => Console.log(`There is no city ${city}.`)),
    Effect.provide(live)
  )
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
