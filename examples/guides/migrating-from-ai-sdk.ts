/** The guide "Migrating from the AI SDK": a route for `useChat` with a tool, and an object. */
import assert from "node:assert"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { ChatEvent, LLM, Tool, WebStream } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const runtime = ManagedRuntime.make(
  LLM.layerConfig({ model: "gpt-4o-mini", retry: { maxAttempts: 4 } }).pipe(Layer.provide(NodeTransport.layerUndici))
)

const { text, usage } = await runtime.runPromise(LLM.chat("The capital of France?", { system: "Answer in one word." }))
assert(text.includes("France") && usage.totalTokens > 0)

const collected = await runtime.runPromise(ChatEvent.collect(LLM.chatStream("Tell me a story.")))
assert(collected.text.includes("story"))

const weather = Tool.make("weather", {
  description: "The weather.",
  parameters: { city: Schema.String },
  handler: ({ city }) => Effect.tryPromise(() => Promise.resolve(`Rain in ${city}.`))
})

const answer = (request: Request) =>
  Effect.gen(function* () {
    const messages = yield* WebStream.messagesOf(yield* Effect.tryPromise(() => request.json()))
    const events = LLM.runToolsStream({ messages }, { tools: [weather], maxRounds: 5 })
    return yield* LLM.toResponse(events, { format: "ui-messages", signal: request.signal })
  }).pipe(Effect.catchAll((error) => Effect.succeed(new Response(error.message, { status: 400 }))))

const POST = (request: Request): Promise<Response> => runtime.runPromise(answer(request), { signal: request.signal })

const body = JSON.stringify({ messages: [{ role: "user", parts: [{ type: "text", text: "The weather in Oslo?" }] }] })
const response = await POST(new Request("http://localhost/api/chat", { method: "POST", body }))
assert.equal(response.status, 200)
const chunks = await response.text()
for (const type of ["tool-input-available", "tool-output-available", "text-delta", "finish"]) {
  assert(chunks.includes(`"type":"${type}"`), chunks)
}

const schema = Schema.Struct({ name: Schema.String, age: Schema.Int })
const { value } = await runtime.runPromise(LLM.generateObject("Ada is 36.", { schema }))
assert.equal(value.age, 36)

await runtime.dispose()
console.log("migrated", value)
