/** Gateways that share their keys in one Redis. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, LogLevel } from "effect"
import { AccessStore } from "../../src/gateway/index.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisAccessStore from "../../src/redis/RedisAccessStore.js"
import { eventually } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"
import type { Running } from "../gateway/support/gateway.js"
import { start } from "../gateway/support/gateway.js"
import { post, question, send } from "../gateway/support/http.js"

const admin = { authorization: "Bearer admin-token" }

const chat = ({ url }: Running, key: unknown) =>
  post(`${url}/v1/chat/completions`, question("chat completions", "fast"), { authorization: `Bearer ${String(key)}` })

const gateway = (url: string) =>
  Effect.flatMap(Redis.make({ url, timeout: "1 minute", probeInterval: "50 millis" }), (redis) =>
    start({ access: { adminToken: "admin-token" } }).pipe(
      Effect.provideServiceEffect(
        AccessStore.AccessStore,
        Effect.provideService(RedisAccessStore.make({ name: "gateways", cacheTime: "50 millis" }), Redis.Redis, redis)
      )
    )
  )

describe.concurrent("gateway keys in Redis", () => {
  it.scopedLive("accepts a key created at another gateway, and rejects it at both gateways once it is revoked", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const one = yield* gateway(server.url)
      const other = yield* gateway(server.url)
      const { json, status } = yield* post(`${one.url}/admin/keys`, { label: "team-a" }, admin)
      expect(status).toBe(201)
      const { id, key } = json as { readonly id: string; readonly key: string }
      expect((yield* chat(other, key)).status).toBe(200)
      expect((yield* chat(one, key)).status).toBe(200)

      const revoked = yield* send(`${other.url}/admin/keys/${id}`, { method: "DELETE", headers: admin })
      expect(revoked.status).toBe(204)
      expect((yield* chat(other, key)).status).toBe(401)
      yield* eventually(Effect.map(chat(one, key), ({ status }) => status === 401))
    })
  )

  it.scopedLive("applies the changed settings and the new secret of a key at every gateway", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const one = yield* gateway(server.url)
      const other = yield* gateway(server.url)
      const { json } = yield* post(`${one.url}/admin/keys`, { label: "team-a" }, admin)
      const { id, key } = json as { readonly id: string; readonly key: string }
      expect((yield* chat(other, key)).status).toBe(200)

      const body = JSON.stringify({ models: ["nothing"] })
      const changed = yield* send(`${one.url}/admin/keys/${id}`, { method: "PUT", headers: admin, body })
      expect(changed.status).toBe(200)
      expect((yield* chat(one, key)).status).toBe(404)
      yield* eventually(Effect.map(chat(other, key), ({ status }) => status === 404))

      yield* send(`${one.url}/admin/keys/${id}`, { method: "PUT", headers: admin, body: "{}" })
      const { json: rotated } = yield* post(`${other.url}/admin/keys/${id}/rotate`, {}, admin)
      const { key: secret } = rotated as { readonly key: string }
      expect((yield* chat(other, key)).status).toBe(401)
      expect((yield* chat(one, secret)).status).toBe(200)
      yield* eventually(Effect.map(chat(one, key), ({ status }) => status === 401))
    })
  )

  it.scopedLive("accepts known keys while Redis is down, and answers 503 to unknown keys and to key creation", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const one = yield* gateway(server.url)
      const { json } = yield* post(`${one.url}/admin/keys`, { label: "team-a" }, admin)
      const { key } = json as { readonly key: string }
      expect((yield* chat(one, key)).status).toBe(200)
      yield* server.kill
      // Longer than the cacheTime.
      yield* Effect.sleep("60 millis")
      expect((yield* chat(one, key)).status).toBe(200)
      const unknown = yield* chat(one, "sk-unknown")
      expect(unknown.status).toBe(503)
      expect(unknown.headers.get("retry-after")).toBe("1")
      expect(unknown.text).not.toContain("sk-unknown")
      expect((yield* post(`${one.url}/admin/keys`, {}, admin)).status).toBe(503)
      expect((yield* chat(one, "admin-token")).status).toBe(200)
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )
})
