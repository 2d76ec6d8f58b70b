/** What the log tells of a call whose attempts fail, from real servers. */
import { NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel } from "effect"
import * as LLM from "../../src/LLM.js"
import { SimulatedProvider } from "../../src/testing/index.js"

type Line = readonly [level: string, text: string]

/** The lines of a program's log about its calls, from the level debug on. */
const logged = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const lines: Array<Line> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push([logLevel.label, String(message)]))
    yield* program.pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(LogLevel.Debug)
    )
    return lines.filter(([, text]) => text.startsWith("deepseek/chat:"))
  })

const modelOf = (baseUrl: string, keys: ReadonlyArray<string>, options: Partial<LLM.KeysOptions> = {}) =>
  LLM.layerKeys({ provider: "deepseek", model: "chat", keys, baseUrl, ...options }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

describe("the log of a call", () => {
  it.scopedLive("has a line for each attempt that fails and is followed by another one, and no secret", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [{ key: "sk-revoked", revoked: true }, { key: "sk-limited", outOfQuota: true }, { key: "sk-good" }]
      })
      const model = modelOf(provider.baseUrl, ["sk-revoked", "sk-limited", "sk-good"])
      const lines = yield* logged(
        Effect.forEach([1, 2, 3], () => LLM.chat("Hi"), { discard: true }).pipe(Effect.provide(model))
      )
      expect(lines.map(([level]) => level)).toEqual(["DEBUG", "DEBUG"])
      const text = lines.map(([, line]) => line).join("\n")
      expect(text).toContain(
        "deepseek/chat: attempt 1 failed with AuthenticationError, the next one begins now with key "
      )
      expect(text).toContain("attempt 2 failed with QuotaExceededError, the next one begins now with key ")
      expect(text).not.toContain("sk-")
    })
  )

  it.scopedLive("tells when a call is sent again, and nothing of a failure that is returned", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "sk-good" }] })
      yield* provider.next(SimulatedProvider.status(500))
      const model = modelOf(provider.baseUrl, ["sk-good"], { retry: { maxAttempts: 2, backoff: { base: "1 millis" } } })
      const lines = yield* logged(Effect.provide(LLM.chat("Hi"), model))
      expect(lines).toHaveLength(1)
      expect(lines[0]).toEqual([
        "DEBUG",
        expect.stringMatching(
          /^deepseek\/chat: attempt 1 failed with ProviderUnavailableError, the next one begins in \d/
        )
      ])
      yield* provider.next(SimulatedProvider.status(404))
      expect(yield* logged(Effect.flip(Effect.provide(LLM.chat("Hi"), model)))).toEqual([])
    })
  )
})
