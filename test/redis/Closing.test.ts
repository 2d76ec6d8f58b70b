/** Closed shared layers leave nothing behind that keeps a process alive. */
import { FileSystem, HttpClient, HttpClientResponse } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, LogLevel, Option, Redacted, Scope } from "effect"
import * as Access from "../../src/gateway/Access.js"
import * as Models from "../../src/models/Models.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisAccessStore from "../../src/redis/RedisAccessStore.js"
import * as RedisSharing from "../../src/redis/RedisSharing.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisServer } from "../support/redisServer.js"
import { timers } from "../support/timers.js"

const answeringClient = HttpClient.make((request) =>
  Effect.succeed(
    HttpClientResponse.fromWeb(
      request,
      Response.json({
        id: "1",
        model: "m",
        choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }]
      })
    )
  )
)

const model = (model_name: string, rate_limit_capacity: number) => ({
  model_name,
  rate_limit_capacity,
  base_url: "http://acme.test/v1",
  api_keys: ["sk-one"],
  max_concurrent: 4,
  rate_limit_refill_rate: 100
})

const timeout = "300 millis"

/** Builds everything that `effect-llm serve` shares through Redis, uses it, reloads it twice, and uses it again. */
const useSharedLayers = (url: string, scope: Scope.Scope, beforeClose: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/provider.json`
    const write = (...models: ReadonlyArray<object>) => files.writeFileString(path, JSON.stringify({ acme: models }))
    yield* write(model("one", 100), model("two", 100))
    const redis = Redis.layer({ url, timeout, probeInterval: "50 millis" })
    const shared = Layer.merge(RedisSharing.layer(), RedisAccessStore.layer({ name: "test" }))
    const context = yield* Layer.merge(Models.layerReloading(path), Access.layer({ adminToken: "admin" })).pipe(
      Layer.provide(shared),
      Layer.provide(redis),
      Layer.provide(Layer.succeed(HttpClient.HttpClient, answeringClient)),
      Layer.buildWithScope(scope)
    )
    const models = Context.get(context, Models.Models)
    const { reload } = Context.get(context, Models.Reloading)
    const chat = Effect.flatMap(models.get("acme/one"), (llm) => Effect.exit(llm.chat("?")))
    yield* chat
    yield* write(model("one", 50))
    yield* reload
    yield* write(model("one", 50), model("two", 100))
    yield* reload
    yield* chat
    yield* Effect.exit(Context.get(context, Access.Access).caller(Option.some(Redacted.make("sk-unknown"))))
    yield* beforeClose
    yield* chat
  }).pipe(Effect.provide(NodeFileSystem.layer))

/** Lets due timers fire, with which a scheduler continues after the current task. */
const dueTimers = Effect.sleep("5 millis")

/** The timers that remain after all layers are closed. */
const remainingTimers = (beforeClose: (server: RedisServer) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const server = yield* redisServer
    // The client has its own timers while it reconnects.
    yield* Effect.sync(() => server.client.disconnect())
    const alive = yield* timers
    const scope = yield* Scope.make()
    yield* useSharedLayers(server.url, scope, beforeClose(server))
    expect(alive().length).toBeGreaterThan(0)
    yield* Scope.close(scope, Exit.void)
    yield* dueTimers
    return alive()
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

describe("layers shared through Redis", () => {
  it.live("leaves no timer behind when shared layers close after reloads that replaced limiters and pools", () =>
    Effect.map(
      remainingTimers(() => Effect.void),
      (timers) => expect(timers).toEqual([])
    )
  )

  it.live("leaves no timer behind when shared layers close while Redis accepts connections but sends no reply", () =>
    Effect.map(
      remainingTimers((server) => server.freeze),
      (timers) => expect(timers).toEqual([])
    )
  )

  it.live("leaves no timer behind when shared layers close while Redis is down", () =>
    Effect.map(
      remainingTimers((server) => server.kill),
      (timers) => expect(timers).toEqual([])
    )
  )

  it.live("leaves no timer behind when shared layers close and Redis was down from the start", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      yield* Effect.sync(() => server.client.disconnect())
      yield* server.kill
      const alive = yield* timers
      const scope = yield* Scope.make()
      yield* useSharedLayers(server.url, scope, Effect.void)
      yield* Scope.close(scope, Exit.void)
      yield* dueTimers
      expect(alive()).toEqual([])
    }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))
  )
})
