/** The cost of time limits in fiber steps, which is the same on every machine. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import { answer, scripted } from "../support/scripted.js"
import { settledStepsOf } from "../support/steps.js"

const client = Layer.succeed(ProviderClient.ProviderClient, {
  provider: "test",
  wire: "test",
  chat: () => Effect.succeed(answer("yes")),
  chatStream: () => Stream.fromIterable(ChatEvent.fromResponse(answer("yes")))
})

const llmWith = (timeouts: LLM.Options["timeouts"]) =>
  Effect.provide(
    LLM.make({ model: "model", retry: false, telemetry: false, ...(timeouts === undefined ? {} : { timeouts }) }),
    Layer.mergeAll(client, RateLimiter.layerUnlimited, KeyPool.layer({ provider: "test", keys: ["one"] }))
  )

const steps = (llm: LLM.Service) =>
  Effect.all({ chat: settledStepsOf(llm.chat("?")), stream: settledStepsOf(Stream.runDrain(llm.chatStream("?"))) })

describe("cost of Timeouts", () => {
  it.live("adds no fiber step to a chat or a stream, with or without `timeouts`", () =>
    Effect.gen(function* () {
      const without = yield* llmWith(false)
      const bare = yield* steps(without)
      // A second middleware without limits must not add steps either.
      const layered = yield* Timeouts.middleware({})(without)
      expect(yield* steps(layered)).toEqual(bare)
      // The time limits of an `LLM` are timers, which are no steps; those of a middleware are effects.
      expect(yield* steps(yield* llmWith({}))).toEqual(bare)
      const limited = yield* steps(yield* Timeouts.middleware({ total: "1 minute" })(without))
      expect(limited.chat).toBeGreaterThan(bare.chat)
      expect(limited.stream).toBeGreaterThan(bare.stream)
    })
  )

  it.effect("returns the LLM itself when there is no limit", () =>
    Effect.gen(function* () {
      const llm = yield* scripted("yes")
      expect(yield* Timeouts.middleware({})(llm)).toBe(llm)
      expect(yield* Timeouts.middleware({ idle: "1 second" })(llm)).not.toBe(llm)
    })
  )
})
