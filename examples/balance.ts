/** Balances calls over three deployments, one of which fails and recovers. Runs against simulated providers. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Balance, ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
import { SimulatedProvider } from "effect-llm/testing"
import { NodeTransport } from "effect-llm/node"

const deployment = (id: string, baseUrl: string) =>
  LLM.layer({ model: "large", retry: false }).pipe(
    Layer.provide(ChatCompletionsClient.layer({ provider: id, baseUrl })),
    Layer.provide(KeyPool.layer({ provider: id, keys: ["key"] })),
    Layer.provide(RateLimiter.layerUnlimited)
  )

const report = Effect.flatMap(Balance.Balance, (balance) =>
  Effect.flatMap(
    balance.deployments,
    Effect.forEach(({ answered, failed, id, state }) =>
      Console.log(`  ${id}: ${state._tag}, ${answered} answered, ${failed} failed`)
    )
  )
)

const program = Effect.gen(function* () {
  const [east, west, reserve] = yield* Effect.all([
    SimulatedProvider.make({ keys: [{ key: "key" }] }),
    SimulatedProvider.make({ keys: [{ key: "key" }] }),
    SimulatedProvider.make({ keys: [{ key: "key" }] })
  ])
  const balanced = Balance.layer(
    [
      { llm: deployment("east", east.baseUrl), id: "east", weight: 2 },
      { llm: deployment("west", west.baseUrl), id: "west" },
      { llm: deployment("reserve", reserve.baseUrl), id: "reserve", order: 1 }
    ],
    { breaker: { failures: 3, ratio: 0.25, cooldown: { base: "500 millis" } } }
  )
  yield* Effect.gen(function* () {
    const questions = (count: number) => Effect.replicateEffect(LLM.chat("?"), count, { discard: true })
    yield* questions(6)
    yield* Console.log("A deployment with twice the weight gets twice the calls:")
    yield* report
    yield* east.next(...Array.from({ length: 3 }, () => SimulatedProvider.status(500)))
    yield* questions(12)
    yield* Console.log("After three failures it gets no calls:")
    yield* report
    yield* Effect.sleep("500 millis")
    yield* questions(6)
    yield* Console.log("After the cooldown, one probe succeeds and it gets calls again:")
    yield* report
  }).pipe(Effect.provide(balanced), Effect.provide(NodeTransport.layerUndici))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
