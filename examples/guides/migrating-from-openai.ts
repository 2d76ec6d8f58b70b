/** The guide "Migrating from the openai package": a program of promises. */
import assert from "node:assert"
import { Effect, Layer, ManagedRuntime, Schema, Stream } from "effect"
import { Chat, LLM, LLMError, Tool } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const runtime = ManagedRuntime.make(
  LLM.layerConfig({ model: "gpt-4o-mini", retry: { maxAttempts: 4 }, timeouts: { response: "60 seconds" } }).pipe(
    Layer.provide(NodeTransport.layerUndici)
  )
)

const answer = await runtime.runPromise(LLM.chat("The capital of France?", { system: "Answer in one word." }))
assert(answer.text.includes("France"))
assert.equal(answer.finishReason, "stop")
assert(answer.usage.inputTokens > 0)

const messages = [Chat.user("Hello"), Chat.toMessage(answer), Chat.user("And of Norway?")]
assert((await runtime.runPromise(LLM.chat({ messages, extra: { service_tier: "flex" } }))).text.includes("Norway"))

let story = ""
const pieces = LLM.chatStream("Tell me a story.").pipe(LLM.text)
for await (const piece of await runtime.runPromise(Stream.toAsyncIterableEffect(pieces))) story += piece
assert(story.includes("story"))

const weather = Tool.make("weather", {
  parameters: { city: Schema.String },
  handler: ({ city }) => Effect.tryPromise(() => Promise.resolve(`Rain in ${city}.`))
})
const advice = await runtime.runPromise(LLM.runTools("How is Oslo?", { tools: [weather] }))
assert(advice.response.text.includes("Rain in"))

const person = await runtime.runPromise(
  LLM.generateObject("Ada is 36.", {
    schema: Schema.Struct({ name: Schema.String, age: Schema.Int }),
    name: "person"
  }).pipe(Effect.map(({ value }) => value))
)
assert.equal(person.age, 36)

// Errors are values; an aborted call rejects.
const refused = await runtime.runPromise(Effect.either(LLM.chat({ prompt: "Hello", extra: { n: 2 } })))
assert(refused._tag === "Left" && refused.left._tag === "UnsupportedError" && !LLMError.isRetryable(refused.left))
await assert.rejects(runtime.runPromise(LLM.chat("Hello"), { signal: AbortSignal.abort() }))

await runtime.dispose()
console.log("migrated", person)
