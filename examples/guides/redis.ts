/** Many processes and Redis (docs/redis.md): two processes together stay within the limit of one. Needs REDIS_URL. */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { FileSystem } from "@effect/platform"
import { Console, Effect, Layer } from "effect"
import { LLM, Models } from "effect-llm"
import { NodeTransport } from "effect-llm/node"
import { Redis, RedisSharing } from "effect-llm/redis"

const file = {
  openai: [
    {
      model_name: "gpt-4o-mini",
      api_keys: ["${OPENAI_API_KEY}"],
      base_url: process.env["OPENAI_BASE_URL"] ?? "https://api.openai.com/v1",
      requests_per_minute: 2,
      max_retries: 1 // else the third call would be sent after a minute
    }
  ]
}
const prefix = `guide-${Date.now()}:` // Each run starts with nothing used.

/** What one process does: it builds its own models, which share their state through Redis. */
const inAProcess = (path: string) => {
  const shared = Models.layerFile(path).pipe(
    Layer.provide(RedisSharing.layer()),
    Layer.provide(Redis.layerConfig({ prefix }))
  )
  return LLM.chat("Hello").pipe(Effect.provide(Models.layerLLM()), Effect.provide(Layer.fresh(shared)))
}

const program = Effect.gen(function* () {
  if (process.env["REDIS_URL"] === undefined) return yield* Effect.dieMessage("Set REDIS_URL.")
  const files = yield* FileSystem.FileSystem
  const path = yield* files.makeTempFileScoped({ suffix: ".json" })
  yield* files.writeFileString(path, JSON.stringify(file))
  yield* inAProcess(path)
  yield* inAProcess(path)
  const third = yield* Effect.flip(inAProcess(path))
  if (third._tag !== "RateLimitError") return yield* Effect.dieMessage(`The limit is not shared: ${third._tag}`)
  yield* Console.log(`The third request of the minute waits, in whichever process: ${third.message}`)
})

program.pipe(
  Effect.scoped,
  Effect.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici)),
  NodeRuntime.runMain
)
