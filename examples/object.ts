/** Requests typed objects. Runs against a simulated provider: `npx tsx examples/object.ts`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { ChatCompletionsClient, KeyPool, LLM, LLMFunction, RateLimiter } from "effect-llm"
import { SimulatedProvider } from "effect-llm/testing"
import { NodeTransport } from "effect-llm/node"

const Invoice = Schema.Struct({
  number: Schema.Int,
  due: Schema.Date,
  items: Schema.Array(Schema.Struct({ name: Schema.String, price: Schema.Number }))
}).annotations({ identifier: "Invoice" })

const total = LLMFunction.make({
  name: "total",
  input: Invoice,
  output: Schema.Number,
  prompt: "Add up the prices of the invoice."
})

const invoice = (price: unknown) => JSON.stringify({ number: 7, due: "2026-05-01", items: [{ name: "pen", price }] })

const program = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make({
    answer: ({ messages, responseFormat }) => {
      if (typeof responseFormat === "object" && responseFormat.name === "total") return '{"value":1.5}'
      // The first answer is invalid; the model corrects it after it receives the error.
      return invoice(messages.length === 1 ? "one fifty" : 1.5)
    }
  })
  const live = LLM.layer({ model: "simulated" }).pipe(
    Layer.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "simulated", keys: ["key"] })),
    Layer.provide(RateLimiter.layerUnlimited),
    Layer.provide(NodeTransport.layerUndici)
  )
  yield* Effect.gen(function* () {
    const { value } = yield* LLM.generateObject("Invoice 7, due on 1 May 2026: a pen at 1.50.", { schema: Invoice })
    yield* Console.log(`Invoice ${value.number} is due on ${value.due.toUTCString()}.`)
    yield* Console.log(`It comes to ${yield* total(value)}, after ${(yield* provider.log).length} requests.`)
  }).pipe(Effect.provide(live))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
