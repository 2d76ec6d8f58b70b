/** `on_disconnect` of a model: what happens to a stream whose client disconnects. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, identity, Scope } from "effect"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import type * as AccessLog from "../../src/telemetry/AccessLog.js"
import { eventually } from "../support/eventually.js"
import type { Settings } from "./support/gateway.js"
import { start, waitUntilIdle } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question, reading } from "./support/http.js"

const protocols = Object.keys(paths) as ReadonlyArray<Protocol>

const words = Array.from({ length: 40 }, (_, index) => `word${index}`).join(" ")

const authorization = { authorization: "Bearer sk-a" }

/** A gateway whose client key has a place for one call, and the entries of its access log. */
const gatewayWith = (
  onDisconnect: unknown,
  settings: Settings = {},
  within: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = identity
) =>
  Effect.gen(function* () {
    const entries: Array<AccessLog.Entry> = []
    const scope = yield* Effect.scope
    const record = Telemetry.onCall({ onEnd: (entry) => Effect.sync(() => void entries.push(entry)) })
    const running = yield* within(
      start({
        access: { keys: [{ key: "sk-a", label: "team-a", rateLimit: { maxConcurrency: 1 } }] },
        entry: onDisconnect === undefined ? {} : { on_disconnect: onDisconnect },
        provider: { answer: () => words, tokenPace: "15 millis" },
        ...settings,
        gateway: {
          observe: (llm) => Effect.provideService(record(llm), Scope.Scope, scope),
          ...settings.gateway
        }
      })
    )
    return { ...running, entries }
  })

/** Disconnects in the middle of a stream. */
const disconnect = (running: Effect.Effect.Success<ReturnType<typeof gatewayWith>>, protocol: Protocol, extra = {}) =>
  Effect.gen(function* () {
    const body = { ...question(protocol, "openai/large", { stream: true }), ...extra }
    const client = yield* reading(running.url + paths[protocol], body, authorization)
    yield* eventually(Effect.map(client.text, (text) => text.includes("word1")))
    yield* client.disconnect
    yield* client.ended
  })

describe.concurrent.each(protocols)("a stream whose %s client disconnects", (protocol) => {
  it.scopedLive("is aborted by default, and logged as interrupted with estimated usage", () =>
    Effect.gen(function* () {
      const running = yield* gatewayWith(undefined)
      yield* disconnect(running, protocol)
      yield* waitUntilIdle(running)
      yield* eventually(Effect.sync(() => running.entries.length > 0))
      expect(running.entries).toMatchObject([{ outcome: "interrupted", usage: { estimated: true } }])
      expect(yield* running.provider.log).toMatchObject([{ outcome: "aborted" }])
    })
  )

  it.scopedLive("is read to its end with detach, and logged once as interrupted with the usage of the provider", () =>
    Effect.gen(function* () {
      const running = yield* gatewayWith("detach")
      yield* disconnect(running, protocol)
      const again = post(running.url + paths[protocol], question(protocol, "openai/large"), authorization)
      // The place of the client's key is taken while its stream is in flight at the provider.
      expect((yield* again).status).toBe(429)
      yield* waitUntilIdle(running)
      yield* eventually(Effect.sync(() => running.entries.some(({ outcome }) => outcome === "interrupted")))
      expect((yield* again).status).toBe(200)
      yield* eventually(Effect.sync(() => running.entries.length >= 3))
      const [interrupted, ...others] = running.entries.filter(({ outcome }) => outcome === "interrupted")
      expect(others).toEqual([])
      expect(interrupted).toMatchObject({ usage: { estimated: false }, finishReason: "stop", label: "team-a" })
      expect((yield* running.provider.log)[0]).toMatchObject({ outcome: "complete", stream: true })
    })
  )
})

describe.concurrent("the bounds of a stream whose client disconnects", () => {
  const bounds = [
    ["max_tokens", { max_tokens: 5, max_seconds: 600 }],
    ["max_seconds", { max_tokens: 10_000, max_seconds: 0.05 }]
  ] as const
  it.scopedLive.each(bounds)("abort it at %s, with estimated usage", ([, drain]) =>
    Effect.gen(function* () {
      const running = yield* gatewayWith({ drain })
      yield* disconnect(running, "chat completions")
      yield* waitUntilIdle(running)
      yield* eventually(Effect.sync(() => running.entries.length > 0))
      expect(running.entries).toMatchObject([{ outcome: "interrupted", usage: { estimated: true } }])
      expect(yield* running.provider.log).toMatchObject([{ outcome: "aborted" }])
    })
  )

  it.scopedLive("abort it at the shutdown deadline", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const running = yield* gatewayWith(
        "detach",
        { provider: { answer: () => words, tokenPace: "100 millis" }, gateway: { grace: "100 millis" } },
        Effect.provideService(Scope.Scope, scope)
      )
      yield* disconnect(running, "chat completions")
      yield* Scope.close(scope, Exit.void)
      yield* eventually(Effect.sync(() => running.entries.length > 0))
      expect(running.entries).toMatchObject([{ outcome: "interrupted", usage: { estimated: true } }])
      yield* eventually(Effect.map(running.provider.log, (log) => log.length > 0))
      expect(yield* running.provider.log).toMatchObject([{ outcome: "aborted" }])
    })
  )
})

it.scopedLive("reads all choices of a request to their ends when its client disconnects", () =>
  Effect.gen(function* () {
    const running = yield* gatewayWith("detach", { access: { keys: [{ key: "sk-a", label: "team-a" }] } })
    yield* disconnect(running, "chat completions", { n: 2 })
    yield* waitUntilIdle(running)
    expect((yield* running.provider.log).map(({ outcome }) => outcome)).toEqual(["complete", "complete"])
  })
)
