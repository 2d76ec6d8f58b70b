/** Capacity planning (docs/capacity-planning.md): names the limit that binds, and what one more key would gain. Sends no request. */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { ChatCompletionsClient, KeyPool, LLM, Models, RateLimiter } from "effect-llm"
import { Simulation } from "effect-llm/simulation"

const OpenAI = LLM.layer({ model: "gpt-4o" }).pipe(
  Layer.provide(ChatCompletionsClient.layer()),
  Layer.provide(KeyPool.layer({ provider: "openai", keys: ["sk-one", "sk-two"] })),
  Layer.provide(RateLimiter.layer({ capacity: 60, refillRate: 6, tokensPerMinute: 30_000 }))
)

const json = JSON.stringify({
  openai: [{ model_name: "gpt-4o", rate_limit_capacity: null, api_keys: [{ key: "sk-one", max_concurrency: 2 }] }]
})

const workload = { rate: 4, duration: "2 minutes" } as const
const options = { model: "gpt-4o", workload, seed: 1 }

const program = Effect.gen(function* () {
  const report = yield* Simulation.run(OpenAI, { workload, seed: 1 })
  yield* Console.log(`${report.answered} of ${report.offered} calls, binding limit: ${report.bindingLimit?.limit}`)
  if (report.bindingLimit?.limit !== "tokensPerMinute") return yield* Effect.dieMessage("Another limit was expected.")

  const file = yield* Models.parseFile(json)
  const ofFile = yield* Simulation.runFile(file, options)
  const { gain } = yield* Simulation.oneMoreKey(file, ofFile, options)
  yield* Console.log(`${ofFile.bindingLimit?.limit} binds ${ofFile.answered} answers; one more key gains ${gain}.`)
  if (gain <= 0) return yield* Effect.dieMessage("One more key was expected to gain answers.")
})

NodeRuntime.runMain(program.pipe(Effect.provide(NodeContext.layer)))
