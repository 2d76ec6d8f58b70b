/** Uses three keys, one of them revoked, and a second provider as the fallback. Runs against simulated providers. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { ChatCompletionsClient, Fallback, KeyPool, LLM, RateLimiter, ResponsesClient } from "effect-llm"
import { SimulatedProvider } from "effect-llm/testing"
import { NodeTransport } from "effect-llm/node"

const program = Effect.gen(function* () {
  const primary = yield* SimulatedProvider.make({
    keys: [
      { key: "good" },
      { key: "revoked", revoked: true },
      { key: "limited", limit: { requests: 1, per: "1 minute" } }
    ]
  })
  const secondary = yield* SimulatedProvider.make({ keys: [{ key: "other" }] })

  const first = LLM.layer({ model: "large" }).pipe(
    Layer.provide(ChatCompletionsClient.layer({ provider: "first", baseUrl: primary.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "first", keys: ["good", "revoked", "limited"] })),
    Layer.provide(RateLimiter.layer({ capacity: 20, refillRate: 3 }))
  )
  const second = LLM.layer({ model: "small" }).pipe(
    Layer.provide(ResponsesClient.layer({ provider: "second", baseUrl: secondary.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "second", keys: ["other"] })),
    Layer.provide(RateLimiter.layerUnlimited)
  )

  yield* Effect.gen(function* () {
    for (let question = 1; question <= 4; question++) {
      const answer = yield* LLM.chat(`Question ${question}?`)
      const path = answer.attempts.map((attempt) => attempt.error ?? "ok").join(" → ")
      yield* Console.log(`${answer.provider}: ${answer.text} (${path})`)
    }
    yield* primary.next(...Array.from({ length: 5 }, () => SimulatedProvider.status(503)))
    const rescued = yield* LLM.chat("And when the first is down?")
    yield* Console.log(`${rescued.provider}: ${rescued.text}`)
  }).pipe(Effect.provide(Fallback.layer([first, second])), Effect.provide(NodeTransport.layerUndici))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
