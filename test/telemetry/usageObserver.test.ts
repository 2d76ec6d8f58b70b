import { expect, it } from "@effect/vitest"
import { Context, Effect, Exit } from "effect"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import { observerOf } from "../../src/telemetry/usageObserver.js"
import * as Usage from "../../src/vocabulary/Usage.js"

it.effect("notifies the other listeners of an attempt when one of them throws, and ends with its defect", () =>
  Effect.gen(function* () {
    const notified: Array<number> = []
    const observe = observerOf({ provider: "test", model: "m", wire: "test", contextWindow: 1000 })(Context.empty(), [
      {
        owner: {},
        onUsage: () => {
          throw new Error("No price.")
        }
      },
      {
        owner: {},
        onUsage: ({ usage }) => {
          notified.push(usage.totalTokens)
          return Effect.void
        }
      },
      { owner: {}, onUsage: ({ endedAt }) => Effect.sync(() => void notified.push(endedAt)) }
    ])
    const exit = yield* Effect.exit(
      observe?.({
        subject: { operation: "chat", model: "m", streamed: false, inputTokens: () => 0 },
        key: ApiKey.make("sk-1"),
        outcome: "ok",
        usage: Usage.make({ inputTokens: 1, outputTokens: 2 }),
        answeredBy: "m",
        startedAt: 0,
        endedAt: 1
      }) ?? Effect.void
    )
    expect(notified).toEqual([3, 1])
    expect(exit).toEqual(Exit.die(new Error("No price.")))
  })
)
