/** Groups of models behind the gateway. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Balance from "../../src/routing/Balance.js"
import type { Running, Settings } from "./support/gateway.js"
import { start } from "./support/gateway.js"
import { post, question, send } from "./support/http.js"

const access = {
  adminToken: "admin-token",
  keys: [
    { key: "sk-all" },
    { key: "sk-openai", models: ["openai/*", "large"] },
    { key: "sk-group", models: ["everywhere"] }
  ]
}

const sections = {
  $groups: { everywhere: { strategy: "round-robin", members: ["openai/large", "anthropic/large", "gemini/large"] } },
  $aliases: { any: "everywhere" }
}

const ask = ({ url }: Running, model: string, key: string) =>
  post(`${url}/v1/chat/completions`, question("chat completions", model), { authorization: `Bearer ${key}` })

const listed = ({ url }: Running, key: string) =>
  Effect.map(send(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } }), ({ json }) =>
    (json as { readonly data: ReadonlyArray<{ readonly id: string }> }).data.map(({ id }) => id)
  )

describe("model groups", () => {
  it.scopedLive("serves a group by its name and its alias from each of its members", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access, sections })
      for (const model of ["everywhere", "any", "everywhere"]) {
        expect((yield* ask(gateway, model, "sk-all")).status).toBe(200)
      }
      const paths = (yield* gateway.provider.log).map(({ path }) => path)
      expect(paths).toEqual(["/v1/chat/completions", "/v1/messages", "/v1beta/models/large:generateContent"])
    })
  )

  it.scopedLive("authorizes a group and its members separately", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access, sections })
      for (const model of ["everywhere", "any"]) {
        expect((yield* ask(gateway, model, "sk-openai")).status).toBe(404)
        expect((yield* ask(gateway, model, "sk-group")).status).toBe(200)
      }
      expect((yield* ask(gateway, "openai/large", "sk-openai")).status).toBe(200)
      expect((yield* ask(gateway, "openai/large", "sk-group")).status).toBe(404)
      expect(yield* listed(gateway, "sk-openai")).not.toContain("everywhere")
      expect(yield* listed(gateway, "sk-group")).toEqual(["everywhere", "any"])
    })
  )

  it.scopedLive("reports the members of a group in /admin/status", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access, sections })
      yield* ask(gateway, "everywhere", "sk-all")
      const { json } = yield* send(`${gateway.url}/admin/status`, { headers: { authorization: "Bearer admin-token" } })
      expect(json).toMatchObject({
        groups: [
          {
            id: "everywhere",
            aliases: ["any"],
            deployments: [
              { id: "openai/large", state: "ready", answered: 1 },
              { id: "anthropic/large", state: "ready", answered: 0 },
              { id: "gemini/large", state: "ready", answered: 0 }
            ]
          }
        ]
      })
    })
  )

  it.scopedLive("skips a member that another gateway reported unhealthy through the shared store", () =>
    Effect.gen(function* () {
      const health = yield* Balance.makeMemoryHealth
      const gateway = (members: ReadonlyArray<string>, settings: Settings = {}) =>
        Effect.provideService(
          start({ access, sections: { $groups: { everywhere: { strategy: "failover", members } } }, ...settings }),
          Balance.DeploymentHealth,
          health
        )
      const one = yield* gateway(["openai/large"], { provider: { keys: [{ key: "another" }] } })
      const other = yield* gateway(["openai/large", "anthropic/large"])
      expect((yield* ask(one, "everywhere", "sk-all")).status).toBe(503)
      expect((yield* ask(other, "everywhere", "sk-all")).status).toBe(200)
      expect((yield* other.provider.log).map(({ path }) => path)).toEqual(["/v1/messages"])
    })
  )
})
