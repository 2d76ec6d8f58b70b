// The smallest program of a project that has installed only `effect` and `effect-llm`, of either version.
import { Effect, Stream } from "effect"
import { LLM } from "effect-llm"
import { TestLLM } from "effect-llm/testing"

const program = Effect.gen(function* () {
  const { text } = yield* LLM.chat("What is the capital of France?")
  const words = []
  yield* LLM.chatStream("And of Italy?").pipe(
    LLM.text,
    Stream.runForEach((word) => Effect.sync(() => words.push(word)))
  )
  return `${text} ${words.join("")}`
})

const said = await Effect.runPromise(Effect.provide(program, TestLLM.layer(["Paris.", "It is Rome."])))
if (said !== "Paris. It is Rome.") throw new Error(`The program says: ${said}`)
