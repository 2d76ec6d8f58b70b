/** Fallback and balance (docs/balance.md): both answer although the first provider refuses connections. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Balance, Fallback, LLM, Timeouts } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const up = LLM.layerConfig({ provider: "openai", retry: false, timeouts: { total: "10 seconds" } }).pipe(Layer.orDie)
// No server listens on this port.
const down = LLM.layerKeys({
  provider: "my-cloud",
  model: "gpt-4o",
  baseUrl: "http://127.0.0.1:9/v1",
  keys: ["sk-one"],
  retry: false
}).pipe(Layer.orDie)

const viaFallback = Effect.gen(function* () {
  const { provider, attempts } = yield* LLM.chat("What is the capital of France?")
  yield* Console.log(attempts.map((attempt) => `${attempt.provider}: ${attempt.error ?? "ok"}`))
  if (provider !== "openai" || attempts.length !== 2) return yield* Effect.dieMessage("The fallback did not answer.")
}).pipe(
  Effect.provide(Fallback.layer([down, up]).pipe(LLM.withMiddleware(Timeouts.middleware({ total: "20 seconds" }))))
)

const viaBalance = Effect.gen(function* () {
  yield* Effect.replicateEffect(LLM.chat("Hello"), 20, { discard: true })
  const deployments = yield* Effect.flatMap(Balance.Balance, (balance) => balance.deployments)
  yield* Console.log(deployments.map(({ id, answered, failed, state }) => `${id}: ${state._tag} ${answered}/${failed}`))
  if (deployments[0]?.state._tag !== "Open") return yield* Effect.dieMessage("The circuit did not open.")
}).pipe(
  Effect.provide(
    Balance.layer(
      [
        { llm: down, id: "down", weight: 4 },
        { llm: up, id: "up" }
      ],
      { breaker: { failures: 3 } }
    )
  )
)

NodeRuntime.runMain(viaFallback.pipe(Effect.zipRight(viaBalance), Effect.provide(NodeTransport.layerUndici)))
