/** Uses Effect's `ExecutionPlan` with two LLMs, the first of which is down. Runs against simulated providers. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, ExecutionPlan, Layer, Schedule } from "effect"
import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
import { SimulatedProvider } from "effect-llm/testing"
import { NodeTransport } from "effect-llm/node"

const llmAt = (provider: string, baseUrl: string) =>
  // The plan retries.
  LLM.layer({ model: "simulated", retry: false }).pipe(
    Layer.provide(ChatCompletionsClient.layer({ provider, baseUrl })),
    Layer.provide(KeyPool.layer({ provider, keys: ["key"] })),
    Layer.provide(RateLimiter.layerUnlimited),
    Layer.provide(NodeTransport.layerUndici)
  )

const program = Effect.gen(function* () {
  const down = yield* SimulatedProvider.make({ faults: () => SimulatedProvider.status(503) })
  const up = yield* SimulatedProvider.make()
  const plan = ExecutionPlan.make(
    { provide: llmAt("first", down.baseUrl), attempts: 2, schedule: Schedule.spaced("100 millis") },
    { provide: llmAt("second", up.baseUrl) }
  )
  const answer = yield* Effect.withExecutionPlan(LLM.chat("Is anybody there?"), plan)
  yield* Console.log(`${answer.provider}: ${answer.text}`)
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
