/** Sends one question and prints the answer. Needs `OPENAI_API_KEY`; run with `npx tsx examples/one-call.ts`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { LLM } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const program = Effect.gen(function* () {
  const answer = yield* LLM.chat("What is the capital of France?")
  yield* Console.log(answer.text)
  yield* Console.log(`${answer.usage.totalTokens} tokens, ${answer.attempts.length} attempt(s)`)
})

const live = LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici))

NodeRuntime.runMain(Effect.provide(program, live))
