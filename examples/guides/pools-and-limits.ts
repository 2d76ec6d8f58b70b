/** Many keys and limits (docs/pools-and-limits.md): twelve calls over two keys by weight, under limits, and one that cannot be in time. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { LLM } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const OpenAI = Layer.unwrapEffect(
  Effect.gen(function* () {
    return LLM.layerKeys({
      provider: "openai",
      model: yield* Config.string("LLM_DEFAULT_MODEL").pipe(Config.withDefault("gpt-4o-mini")),
      baseUrl: yield* Config.string("OPENAI_BASE_URL"),
      keys: [
        { key: yield* Config.redacted("OPENAI_API_KEY"), id: "first" },
        { key: "sk-second", id: "second", weight: 2, maxConcurrency: 8 }
      ],
      limits: { requestsPerMinute: 12, maxConcurrency: 4 },
      timeouts: { total: "10 seconds" }
    })
  })
).pipe(Layer.provide(NodeTransport.layerUndici))

const program = Effect.gen(function* () {
  const llm = yield* LLM.LLM
  yield* Effect.forEach(Array.from({ length: 12 }), () => LLM.chat("Hello"), { concurrency: "unbounded" })
  const { keys, limiter } = yield* llm.status
  const served = keys.keys.map((key) => `${key.id}: ${key.served}`)
  yield* Console.log(served, `${limiter.minute?.available} requests left`)
  if (limiter.minute?.available !== 0) return yield* Effect.dieMessage("The limit per minute was not counted.")
  const error = yield* Effect.flip(LLM.chat("One too many"))
  if (error._tag !== "RateLimitError" || error.source !== "limiter") return yield* error
  yield* Console.log(`Refused at once: ${error.message}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide(OpenAI)))
