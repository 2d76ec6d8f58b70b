/** The guide "Structured output": objects, partial objects, modes and prompt functions. */
import assert from "node:assert"
import { NodeRuntime } from "@effect/platform-node"
import { Chunk, Console, Effect, Layer, Schema, Stream } from "effect"
import { LLM, LLMFunction } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const Invoice = Schema.Struct({
  number: Schema.String,
  due: Schema.Date,
  items: Schema.Array(Schema.Struct({ name: Schema.String, price: Schema.Number }))
}).annotations({ identifier: "Invoice" })

const judge = LLMFunction.make({
  name: "judgement",
  input: Schema.Struct({ review: Schema.NonEmptyString }),
  output: Schema.Struct({ mood: Schema.Literal("good", "bad"), because: Schema.String }),
  prompt: "Judge the mood of the review."
})

const program = Effect.gen(function* () {
  const text = "Invoice 7, due on 1 May 2026: two pens at 1.50 each."
  for (const mode of ["auto", "native", "tool", "prompt"] as const) {
    const { usage, value } = yield* LLM.generateObject(text, { schema: Invoice, mode })
    assert(value.due instanceof Date)
    assert(usage.totalTokens > 0)
  }

  const list = yield* LLM.generateObject("The numbers 1 and 2.", { schema: Schema.Array(Schema.Int) })
  assert(Array.isArray(list.value))

  const events = yield* Stream.runCollect(LLM.streamObject(text, { schema: Invoice }))
  assert.equal(Chunk.unsafeHead(events)._tag, "Partial")
  assert.equal(Chunk.unsafeLast(events)._tag, "Finish")

  const { mood } = yield* judge({ review: "It broke on the first day." })
  assert(mood === "good" || mood === "bad")
  const refused = yield* Effect.flip(judge({ review: "" }))
  assert(refused._tag === "InvalidRequestError" && refused.field === "review")
  yield* Console.log("objects fit their schemas")
})

const live = LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici))

NodeRuntime.runMain(Effect.provide(program, live))
