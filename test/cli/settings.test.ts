import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, LogLevel } from "effect"
import * as Settings from "../../src/cli/gateway/settings.js"

const logLevelOf = (variables: Record<string, string>) =>
  Effect.map(
    Effect.withConfigProvider(Settings.read({}, false), ConfigProvider.fromMap(new Map(Object.entries(variables)))),
    ({ logLevel }) => logLevel
  )

describe("the log level of the gateway", () => {
  it.effect("is read by its name or its label in any case, and under the name of llm-api-router", () =>
    Effect.gen(function* () {
      expect(yield* logLevelOf({})).toBe(LogLevel.Info)
      for (const text of ["Warning", "WARN", "warning"]) {
        expect(yield* logLevelOf({ EFFECT_LLM_LOG_LEVEL: text })).toBe(LogLevel.Warning)
      }
      expect(yield* logLevelOf({ LLM_ROUTER_LOG_LEVEL: "CRITICAL" })).toBe(LogLevel.Fatal)
      const both = { EFFECT_LLM_LOG_LEVEL: "debug", LLM_ROUTER_LOG_LEVEL: "ERROR" }
      expect(yield* logLevelOf(both)).toBe(LogLevel.Debug)
    })
  )

  it.effect("is refused by the name of its variable when there is no such level", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(logLevelOf({ EFFECT_LLM_LOG_LEVEL: "loud", LLM_ROUTER_LOG_LEVEL: "INFO" }))
      expect(String(failure)).toContain("EFFECT_LLM_LOG_LEVEL")
      expect(String(failure)).toContain("Warning")
    })
  )
})
