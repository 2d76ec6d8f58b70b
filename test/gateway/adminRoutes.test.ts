/** The routes of the administration over sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import type { Running } from "./support/gateway.js"
import { canary, start } from "./support/gateway.js"
import { post, question, send } from "./support/http.js"

const admin = { authorization: "Bearer admin-token" }

const access = { adminToken: "admin-token", keys: [{ key: "sk-a", label: "team-a" }] }

const get = ({ url }: Running, path: string, headers: Readonly<Record<string, string>> = admin) =>
  send(url + path, { headers })

const act = ({ url }: Running, path: string, body: unknown) => post(url + path, body, admin)

const reply = (method: "POST" | "PUT", url: string, body: unknown = {}) =>
  send(url, { method, headers: { ...admin, "content-type": "application/json" }, body: JSON.stringify(body) })

const chat = ({ url }: Running, key: string) =>
  post(`${url}/v1/chat/completions`, question("chat completions", "fast"), { authorization: `Bearer ${key}` })

/** Answers of which a budget of 1,500 tokens covers one. */
const longAnswers = { answer: () => "word ".repeat(600) }

const keyIn = (json: unknown): Record<string, unknown> => {
  const { keys } = json as { readonly keys: ReadonlyArray<Record<string, unknown>> }
  return keys[0] ?? {}
}

describe("admin routes", () => {
  it.scopedLive("accepts only the admin token on admin routes", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      for (const path of ["/admin/status", "/admin/keys", "/admin/pools"]) {
        expect((yield* get(gateway, path)).status).toBe(200)
        expect((yield* get(gateway, path, {})).status).toBe(401)
        expect((yield* get(gateway, path, { authorization: "Bearer sk-a" })).status).toBe(403)
        expect((yield* get(gateway, path, { authorization: "Bearer admin-toke" })).status).toBe(403)
      }
    })
  )

  it.scopedLive("creates keys, lists them without their secrets, and revokes them", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const created = yield* act(gateway, "/admin/keys", {
        label: "team-b",
        models: ["fast"],
        rateLimit: { requestsPerMinute: 100, maxConcurrent: 8 },
        budget: { tokens: 1_000_000, period: "day" },
        expiresAt: "2999-01-01T00:00:00.000Z"
      })
      expect(created.status).toBe(201)
      const { id, key } = created.json as { readonly id: string; readonly key: string }
      expect((yield* chat(gateway, key)).status).toBe(200)
      const { json, text } = yield* get(gateway, "/admin/keys")
      expect(json).toMatchObject({ keys: [{ label: "team-a" }, { id, label: "team-b", models: ["fast"] }] })
      expect(json).toMatchObject({
        keys: [{}, { rateLimit: { requestsPerMinute: 100, maxConcurrent: 8 }, expiresAt: "2999-01-01T00:00:00.000Z" }]
      })
      expect(text).not.toContain(key)
      expect(text).not.toContain("hash")
      const revoked = () => send(`${gateway.url}/admin/keys/${id}`, { method: "DELETE", headers: admin })
      expect((yield* revoked()).status).toBe(204)
      expect((yield* revoked()).status).toBe(404)
      expect((yield* chat(gateway, key)).status).toBe(401)
    })
  )

  it.scopedLive("changes the limits of a key at once, and keeps its secret and what its budget has spent", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access, provider: longAnswers })
      const put = (id: string, body: unknown) => reply("PUT", `${gateway.url}/admin/keys/${id}`, body)
      const { json } = yield* act(gateway, "/admin/keys", { label: "team-b", budget: { tokens: 1500 } })
      const { id, key } = json as { readonly id: string; readonly key: string }
      expect((yield* chat(gateway, key)).status).toBe(200)

      const changed = yield* put(id, { label: "team-c", budget: { tokens: 1501 } })
      expect(changed).toMatchObject({ status: 200, json: { id, label: "team-c", budget: { tokens: 1501 } } })
      expect(JSON.stringify(changed.json)).not.toContain(key)
      // The answer before the change has used the budget up.
      expect((yield* chat(gateway, key)).status).toBe(402)
      expect((yield* put(id, { rateLimit: { requestsPerMinute: 1 } })).status).toBe(200)
      expect((yield* chat(gateway, key)).status).toBe(200)
      expect((yield* chat(gateway, key)).status).toBe(429)
      expect((yield* put(id, {})).json).toEqual({ id, createdAt: expect.any(String) })
      expect((yield* chat(gateway, key)).status).toBe(200)

      expect((yield* put("key-unknown", {})).status).toBe(404)
      expect((yield* put(id, { lable: "x" })).status).toBe(422)
      const configured = keyIn((yield* get(gateway, "/admin/keys")).json)["id"]
      const refused = yield* put(String(configured), {})
      expect(refused.status).toBe(422)
      expect(JSON.stringify(refused.json)).toContain("is a configured key")
    })
  )

  it.scopedLive("counts what a budget has spent for its unit and its period alone", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access, provider: longAnswers })
      const { json } = yield* act(gateway, "/admin/keys", { label: "team-b", budget: { tokens: 1500 } })
      const { id, key } = json as { readonly id: string; readonly key: string }
      const statusWith = (budget: object | undefined) =>
        Effect.gen(function* () {
          const changed = yield* reply("PUT", `${gateway.url}/admin/keys/${id}`, budget === undefined ? {} : { budget })
          expect(changed.json).not.toHaveProperty("budgetAccount")
          return (yield* chat(gateway, key)).status
        })
      expect((yield* chat(gateway, key)).status).toBe(200)
      expect(yield* statusWith({ tokens: 1501 })).toBe(402)
      // Spending that never ends must not use up the budget of a day.
      expect(yield* statusWith({ tokens: 1500, period: "day" })).toBe(200)
      expect(yield* statusWith({ tokens: 1501, period: "day" })).toBe(402)
      expect(yield* statusWith(undefined)).toBe(200)
      expect(yield* statusWith({ tokens: 1500, period: "month" })).toBe(200)
      // A budget that is removed and set again has spent what it had.
      expect(yield* statusWith({ tokens: 1500, period: "day" })).toBe(402)
    })
  )

  it.scopedLive("replaces the secret of a key, and refuses the old one from then on", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const rotate = (id: string) => reply("POST", `${gateway.url}/admin/keys/${id}/rotate`)
      const { json } = yield* act(gateway, "/admin/keys", { label: "team-b", models: ["fast"] })
      const { id, key } = json as { readonly id: string; readonly key: string }
      const rotated = yield* rotate(id)
      expect(rotated).toMatchObject({ status: 200, json: { id, label: "team-b", models: ["fast"] } })
      const { key: secret } = rotated.json as { readonly key: string }
      expect(secret).not.toBe(key)
      expect((yield* chat(gateway, key)).status).toBe(401)
      expect((yield* chat(gateway, secret)).status).toBe(200)
      const { json: listed, text } = yield* get(gateway, "/admin/keys")
      expect(listed).toMatchObject({ keys: [{ label: "team-a" }, { id, label: "team-b" }] })
      expect(text).not.toContain(secret)
      expect((yield* rotate("key-unknown")).status).toBe(404)
      expect((yield* rotate(String(keyIn(listed)["id"]))).status).toBe(422)
      expect((yield* send(`${gateway.url}/admin/keys/${id}/rotate`, { method: "POST" })).status).toBe(401)
    })
  )

  it.scopedLive("answers 422 with the name of an invalid field, and 400 for a body that is not JSON", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      for (const [body, field] of [
        [{ budget: { dollars: -1 } }, "budget"],
        [{ lable: "x" }, "lable"],
        [{ expiresAt: "tomorrow" }, "expiresAt"],
        [{ models: "openai" }, "models"]
      ] as const) {
        const { json, status } = yield* act(gateway, "/admin/keys", body)
        expect(status).toBe(422)
        expect(JSON.stringify(json)).toContain(field)
      }
      const broken = yield* send(`${gateway.url}/admin/keys`, { method: "POST", headers: admin, body: "{" })
      expect(broken.status).toBe(400)
      expect((yield* act(gateway, "/admin/pools/cool", { model: "fast", key: "x", seconds: 0 })).status).toBe(422)
    })
  )

  it.scopedLive("reports in-flight requests and the state of every model in /admin/status, without secrets", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      yield* chat(gateway, "sk-a")
      const { json, text } = yield* get(gateway, "/admin/status")
      expect(json).toMatchObject({
        inFlight: 0,
        shuttingDown: false,
        models: expect.arrayContaining([
          expect.objectContaining({
            id: "openai/large",
            aliases: ["fast"],
            keys: [expect.objectContaining({ state: "ready", served: 1, succeeded: 1 })]
          })
        ])
      })
      expect(text).not.toContain(canary)
    })
  )

  it.scopedLive("disables, enables, cools and reweights a provider key", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const { json } = yield* get(gateway, "/admin/pools")
      const { models } = json as { readonly models: ReadonlyArray<{ readonly id: string; readonly keys: unknown }> }
      const key = keyIn(models.find(({ id }) => id === "openai/large"))["id"]
      const which = { model: "fast", key }
      expect(keyIn((yield* act(gateway, "/admin/pools/disable", which)).json)).toMatchObject({
        state: "disabled",
        reason: "by-hand"
      })
      expect((yield* chat(gateway, "sk-a")).status).toBe(503)
      expect(keyIn((yield* act(gateway, "/admin/pools/enable", which)).json)).toMatchObject({ state: "ready" })
      expect((yield* chat(gateway, "sk-a")).status).toBe(200)
      const before = Date.now()
      const cooled = keyIn((yield* act(gateway, "/admin/pools/cool", { ...which, seconds: 60 })).json)
      expect(cooled["state"]).toBe("cooling")
      expect(Number(cooled["until"]) - before).toBeGreaterThanOrEqual(60_000)
      const reweighted = keyIn((yield* act(gateway, "/admin/pools/reweight", { ...which, weight: 3 })).json)
      expect(reweighted["weight"]).toBe(3)
      expect((yield* act(gateway, "/admin/pools/disable", { model: "fast", key: "key-none" })).status).toBe(404)
      expect((yield* act(gateway, "/admin/pools/disable", { model: "none", key })).status).toBe(404)
    })
  )

  it.scopedLive("disables, reweights and enables a deployment of a group", () =>
    Effect.gen(function* () {
      const members = ["openai/large", "gemini/large"]
      const gateway = yield* start({
        access,
        sections: { $groups: { both: { strategy: "failover", members } }, $aliases: { any: "both" } }
      })
      const which = { model: "any", deployment: "openai/large" }
      const disabled = yield* act(gateway, "/admin/deployments/disable", which)
      expect(disabled.json).toMatchObject({
        deployments: [
          { id: "openai/large", state: "disabled" },
          { id: "gemini/large", state: "ready" }
        ]
      })
      yield* post(`${gateway.url}/v1/chat/completions`, question("chat completions", "both"), admin)
      expect((yield* gateway.provider.log).map(({ path }) => path)).toEqual([
        expect.stringContaining("generateContent")
      ])
      const weighed = yield* act(gateway, "/admin/deployments/reweight", { ...which, weight: 3 })
      expect(weighed.json).toMatchObject({ deployments: [{ weight: 3, state: "disabled" }, { weight: 1 }] })
      const enabled = yield* act(gateway, "/admin/deployments/enable", { ...which, model: "both" })
      expect(enabled.json).toMatchObject({ deployments: [{ state: "ready" }, { state: "ready" }] })
      expect(disabled.text + weighed.text + enabled.text).not.toContain(canary)

      const refused = (body: object, action = "disable") =>
        Effect.map(act(gateway, `/admin/deployments/${action}`, body), ({ json, status }) => [status, json])
      expect(yield* refused({ ...which, model: "openai/large" })).toEqual([
        404,
        { error: expect.objectContaining({ message: "There is no group 'openai/large'." }) }
      ])
      expect(yield* refused({ ...which, deployment: "none" })).toEqual([
        404,
        { error: expect.objectContaining({ message: "'any' has no deployment 'none'." }) }
      ])
      expect((yield* refused({ ...which, weight: -1 }, "reweight"))[0]).toBe(422)
    })
  )

  it.scopedLive("clears the configured caches, and answers 404 without a cache", () =>
    Effect.gen(function* () {
      const none = yield* start({ access })
      expect((yield* act(none, "/admin/caches/clear", {})).status).toBe(404)
      const context = yield* Layer.build(ResponseCache.layer().pipe(Layer.provide(CacheStore.layerMemory())))
      const cache = Context.get(context, ResponseCache.ResponseCache)
      const gateway = yield* start({ access, gateway: { around: cache.middleware } }).pipe(Effect.provide(context))
      yield* chat(gateway, "sk-a")
      yield* chat(gateway, "sk-a")
      expect(yield* gateway.provider.log).toHaveLength(1)
      expect((yield* act(gateway, "/admin/caches/clear", {})).json).toEqual({ cleared: ["responses"] })
      yield* chat(gateway, "sk-a")
      expect(yield* gateway.provider.log).toHaveLength(2)
    })
  )

  it.scopedLive("answers 503 with the code cache_unavailable when the store of a cache fails", () =>
    Effect.gen(function* () {
      const failure = new CacheStore.CacheStoreError({ operation: "clear", detail: "disk full" })
      const store = yield* CacheStore.makeMemory()
      const broken = Layer.succeed(CacheStore.CacheStore, { ...store, clear: Effect.fail(failure) })
      const context = yield* Layer.build(ResponseCache.layer().pipe(Layer.provide(broken)))
      const gateway = yield* start({ access }).pipe(Effect.provide(context))
      const { json, status } = yield* act(gateway, "/admin/caches/clear", {})
      expect(status).toBe(503)
      expect(json).toMatchObject({ error: { code: "cache_unavailable" } })
    })
  )
})
