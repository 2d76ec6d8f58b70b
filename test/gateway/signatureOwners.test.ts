/** The account that gets the reasoning of an earlier turn: in groups of keys and of models, from caches, in other processes, while it is out. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { ResponseStore } from "../../src/gateway/index.js"
import { start } from "./support/gateway.js"
import { post } from "./support/http.js"
import type { Client, Json, Provider } from "./support/signedTurns.js"
import { behind, clients, log, providers, reasoningItem, upstreamOf } from "./support/signedTurns.js"

const droppedReasoning = "messages.reasoning.signature"

const accountsOf = (requests: ReadonlyArray<{ readonly authorization: string }>): ReadonlyArray<string> =>
  requests.map(({ authorization }) => authorization.replace("Bearer sk-", ""))

const provider: Provider = (() => {
  const found = providers.find(({ type }) => type === "responses")
  if (found === undefined) throw new Error("no provider of Responses")
  return found
})()

const clientOf = (name: string): Client => {
  const client = clients[name]
  if (client === undefined) throw new Error(`no client of ${name}`)
  return client
}

/** A client of another protocol, whose signatures are sealed, and one of the provider's own, which gets its answers unchanged. */
const [chat, responses] = [clientOf("Chat Completions"), clientOf("Responses")]

/** Passes answers of the Responses protocol through unchanged. */
const faithful = { preset: "openai", rate_limit_capacity: 1000, rate_limit_refill_rate: 1000 }

type Answered = { readonly url: string; readonly model: string }

const turn = ({ model, url }: Answered, client: Client, body: Json) => post(url + client.path, { ...body, model })

const firstTurn = (gateway: Answered, client: Client) =>
  Effect.map(turn(gateway, client, client.first), ({ json, status }) => {
    expect(status).toBe(200)
    return client.next(json)
  })

describe.each([
  ["sealed", chat],
  ["unchanged", responses]
] as const)("%s reasoning", (_, client) => {
  it.scopedLive("reaches every key of its account, and no key of another one", () =>
    Effect.gen(function* () {
      const keys = [
        { key: "sk-one", id: "one", quota_group: "acme" },
        { key: "sk-two", id: "two", quota_group: "acme" },
        { key: "sk-three", id: "three" }
      ]
      const gateway = yield* behind(provider, { keys, fields: faithful })
      const histories = yield* Effect.replicateEffect(firstTurn(gateway, client), 3)
      const makers = accountsOf(log(gateway.upstream))
      expect(new Set(makers).size).toBe(3)
      for (const [index, history] of histories.entries()) {
        const before = log(gateway.upstream).length
        for (let time = 0; time < 6; time++) {
          const { headers, status } = yield* turn(gateway, client, history)
          expect([status, headers.get("x-effect-llm-dropped")]).toEqual([200, null])
        }
        const requests = log(gateway.upstream).slice(before)
        const own = makers[index] === "three" ? ["three"] : ["one", "two"]
        expect(new Set(accountsOf(requests))).toEqual(new Set(own))
        for (const { body } of requests) expect(JSON.stringify(body)).toContain(`"${makers[index]}+/="`)
      }
      // A key that is refused alone does not take the account with it.
      gateway.refused.set("Bearer sk-one", { status: 401 })
      const ofOne = histories[makers.indexOf("one")]
      for (let time = 0; time < 3; time++) {
        const { headers, status } = yield* turn(gateway, client, ofOne ?? {})
        expect([status, headers.get("x-effect-llm-dropped")]).toEqual([200, null])
        expect(accountsOf(log(gateway.upstream)).at(-1)).toBe("two")
      }
    })
  )

  it.scopedLive("waits for its account where the model is configured so", () =>
    Effect.gen(function* () {
      const gateway = yield* behind(provider, {
        keys: ["sk-one", "sk-two"],
        fields: { ...faithful, on_owner_unavailable: "wait", max_retries: 3, retry_delay: 0.01 }
      })
      const history = yield* firstTurn(gateway, client)
      const [owner = ""] = accountsOf(log(gateway.upstream))
      gateway.refused.set(`Bearer sk-${owner}`, { status: 429, headers: { "retry-after": "1" } })
      const waiting = yield* Effect.fork(turn(gateway, client, history))
      yield* Effect.sleep("500 millis")
      gateway.refused.clear()
      const { headers, status } = yield* Fiber.join(waiting)
      expect([status, headers.get("x-effect-llm-dropped")]).toEqual([200, null])
      expect(accountsOf(log(gateway.upstream))).toEqual([owner, owner, owner])
      expect(JSON.stringify(log(gateway.upstream).at(-1)?.body)).toContain(`"${owner}+/="`)
    })
  )

  it.scopedLive("fails with the limit of its account where that lasts too long to wait for", () =>
    Effect.gen(function* () {
      const gateway = yield* behind(provider, {
        keys: ["sk-one", "sk-two"],
        fields: { ...faithful, on_owner_unavailable: "wait", max_retries: 1, retry_delay: 0.01 }
      })
      const history = yield* firstTurn(gateway, client)
      const [owner = ""] = accountsOf(log(gateway.upstream))
      gateway.refused.set(`Bearer sk-${owner}`, { status: 429, headers: { "retry-after": "600" } })
      for (const _ of [1, 2]) {
        const { headers, status } = yield* turn(gateway, client, history)
        expect(status).toBe(429)
        expect(Number(headers.get("retry-after"))).toBeGreaterThan(500)
      }
      expect(accountsOf(log(gateway.upstream))).toEqual([owner, owner])
    })
  )

  it.scopedLive("is left out and named at once where its account is refused, since no wait brings it back", () =>
    Effect.gen(function* () {
      const gateway = yield* behind(provider, {
        keys: ["sk-one", "sk-two"],
        fields: { ...faithful, on_owner_unavailable: "wait", max_retries: 1 }
      })
      const history = yield* firstTurn(gateway, client)
      const [owner = ""] = accountsOf(log(gateway.upstream))
      gateway.refused.set(`Bearer sk-${owner}`, { status: 401 })
      for (const _ of [1, 2]) {
        const { headers, status } = yield* turn(gateway, client, history)
        expect(status).toBe(200)
        expect(headers.get("x-effect-llm-dropped")).toContain(droppedReasoning)
        expect(JSON.stringify(log(gateway.upstream).at(-1)?.body)).not.toContain(`"${owner}+/="`)
      }
    })
  )

  for (const policy of ["drop", "wait"]) {
    it.scopedLive(`is left out and named where the keys of its account were removed, by the policy ${policy}`, () =>
      Effect.gen(function* () {
        const gateway = yield* behind(provider, {
          keys: ["one", "two"].map((id) => ({ key: `sk-${id}`, id })),
          fields: { ...faithful, on_owner_unavailable: policy, max_retries: 1 }
        })
        const histories = [yield* firstTurn(gateway, client), yield* firstTurn(gateway, client)]
        const [owner = "", other = ""] = accountsOf(log(gateway.upstream))
        expect(new Set([owner, other]).size).toBe(2)
        const { keys } = yield* gateway.models.get(gateway.model)
        expect(yield* keys?.remove(owner) ?? Effect.succeed(false)).toBe(true)
        for (const [index, isDropped] of [
          [0, true],
          [1, false],
          [0, true]
        ] as const) {
          const { headers, status } = yield* turn(gateway, client, histories[index] ?? {})
          expect(status).toBe(200)
          expect(headers.get("x-effect-llm-dropped")?.includes(droppedReasoning) ?? false).toBe(isDropped)
          const { authorization, body } = log(gateway.upstream).at(-1) ?? {}
          expect(authorization).toBe(`Bearer sk-${other}`)
          expect(JSON.stringify(body).includes(`"${other}+/="`)).toBe(!isDropped)
          expect(JSON.stringify(body)).not.toContain(`"${owner}+/="`)
        }
      })
    )
  }

  it.scopedLive("of an answer from a cache reaches the account that made the answer", () =>
    Effect.gen(function* () {
      const cache = yield* Effect.provideServiceEffect(
        ResponseCache.make(),
        CacheStore.CacheStore,
        CacheStore.makeMemory()
      )
      const gateway = yield* behind(provider, {
        keys: ["sk-one", "sk-two"],
        fields: faithful,
        gateway: { around: cache.middleware }
      })
      yield* firstTurn(gateway, client)
      const [owner = ""] = accountsOf(log(gateway.upstream))
      for (let time = 0; time < 4; time++) {
        const history = yield* firstTurn(gateway, client)
        expect(log(gateway.upstream)).toHaveLength(1 + time)
        // Another question each time, which no cache knows.
        const { headers, status } = yield* turn(gateway, client, { ...history, temperature: time / 10 })
        expect([status, headers.get("x-effect-llm-dropped")]).toEqual([200, null])
        expect(accountsOf(log(gateway.upstream)).at(-1)).toBe(owner)
        expect(JSON.stringify(log(gateway.upstream).at(-1)?.body)).toContain(`"${owner}+/="`)
      }
    })
  )

  it.scopedLive(
    "of a member of a group goes back to that member, and without it to another one while that is out or fails",
    () =>
      Effect.gen(function* () {
        const { refused, upstream } = yield* upstreamOf(provider)
        const member = {
          model_name: "large",
          type: "responses",
          base_url: `${upstream.origin}/v1`,
          max_retries: 1,
          ...faithful
        }
        const { url } = yield* start({
          sections: {
            a: [{ ...member, api_keys: ["sk-one"] }],
            b: [{ ...member, api_keys: ["sk-two"] }],
            $groups: { grouped: { members: ["a/large", "b/large"] } }
          }
        })
        const gateway = { url, model: "grouped" }
        const histories = [yield* firstTurn(gateway, client), yield* firstTurn(gateway, client)].reverse()
        const owners = [...accountsOf(log(upstream))].reverse()
        expect(new Set(owners).size).toBe(2)
        for (const index of [0, 1, 0, 0, 1]) {
          const { headers, status } = yield* turn(gateway, client, histories[index] ?? {})
          expect([status, headers.get("x-effect-llm-dropped")]).toEqual([200, null])
          expect(accountsOf(log(upstream)).at(-1)).toBe(owners[index])
          expect(JSON.stringify(log(upstream).at(-1)?.body)).toContain(`"${owners[index]}+/="`)
        }
        for (const status of [500, 429]) {
          refused.set(`Bearer sk-${owners[0]}`, { status })
          const answer = yield* turn(gateway, client, histories[0] ?? {})
          expect(answer.status).toBe(200)
          expect(answer.headers.get("x-effect-llm-dropped")).toContain(droppedReasoning)
          expect(accountsOf(log(upstream)).at(-1)).toBe(owners[1])
          expect(JSON.stringify(log(upstream).at(-1)?.body)).not.toContain(`"${owners[0]}+/="`)
        }
      })
  )
})

describe("a provider whose account made the reasoning", () => {
  it.scopedLive("gets the request alone while it answers with 5xx, as any other request of one key", () =>
    Effect.gen(function* () {
      const gateway = yield* behind(provider, { keys: ["sk-one", "sk-two"], fields: { ...faithful, max_retries: 1 } })
      const history = yield* firstTurn(gateway, chat)
      const [owner = ""] = accountsOf(log(gateway.upstream))
      gateway.refused.set(`Bearer sk-${owner}`, { status: 500 })
      expect((yield* turn(gateway, chat, history)).status).toBe(503)
      expect(accountsOf(log(gateway.upstream))).toEqual([owner, owner])
    })
  )
})

describe("reasoning that was passed through unchanged by another process", () => {
  it.scopedLive("reaches its account where the processes share a store, which is asked once for each signature", () =>
    Effect.gen(function* () {
      const memory = yield* ResponseStore.makeMemory()
      let reads = 0
      const store: ResponseStore.Service = {
        ...memory,
        isShared: true,
        get: (key) =>
          Effect.suspend(() => {
            reads += key.includes("signature") ? 1 : 0
            return memory.get(key)
          })
      }
      const { upstream } = yield* upstreamOf(provider)
      const gateway = Effect.gen(function* () {
        const own = {
          model_name: "large",
          type: "responses",
          api_keys: ["sk-one", "sk-two"],
          base_url: `${upstream.origin}/v1`,
          ...faithful
        }
        const { url } = yield* start({ sections: { own: [own] } })
        return { url, model: "own/large" }
      }).pipe(Effect.provideService(ResponseStore.ResponseStore, store))
      const [first, second] = [yield* gateway, yield* gateway]
      const histories = [yield* firstTurn(first, responses), yield* firstTurn(first, responses)].reverse()
      const owners = [...accountsOf(log(upstream))].reverse()
      expect(new Set(owners).size).toBe(2)
      expect(reads).toBe(0)
      for (const index of [0, 1, 0, 0, 1]) {
        const { status } = yield* turn(second, responses, histories[index] ?? {})
        expect(status).toBe(200)
        expect(accountsOf(log(upstream)).at(-1)).toBe(owners[index])
      }
      expect(reads).toBe(2)
      expect((yield* turn(second, chat, chat.first)).status).toBe(200)
      expect(reads).toBe(2)
    })
  )
})

describe("a request that its provider cannot accept", () => {
  it.scopedLive.each(Object.entries(clients))("names a signature of another protocol that %s sends", ([, client]) =>
    Effect.gen(function* () {
      for (const target of providers) {
        const gateway = yield* behind(target)
        const signed = {
          "/v1/chat/completions": {
            messages: [
              { role: "user", content: "Hi" },
              {
                role: "assistant",
                content: "Hello",
                reasoning_details: [{ type: "reasoning.text", text: "Hm", signature: "bm90IG91cnM=", index: 0 }]
              },
              { role: "user", content: "Hi" }
            ]
          },
          "/v1/responses": {
            input: [
              { role: "user", content: "Hi" },
              { ...reasoningItem, encrypted_content: "bm90IG91cnM=" },
              { role: "assistant", content: "Hello" },
              { role: "user", content: "Hi" }
            ]
          },
          "/v1/messages": {
            max_tokens: 4000,
            messages: [
              { role: "user", content: "Hi" },
              {
                role: "assistant",
                content: [
                  { type: "thinking", thinking: "Hm", signature: "bm90IG91cnM=" },
                  { type: "text", text: "Hello" }
                ]
              },
              { role: "user", content: "Hi" }
            ]
          }
        }[client.path]
        const { headers, status, text } = yield* turn(gateway, client, signed ?? {})
        expect([status, text]).toEqual([200, text])
        const isPassed = gateway.upstream.texts.at(-1)?.includes("bm90IG91cnM=") === true
        expect([target.section, isPassed]).toEqual([
          target.section,
          (target.section === "anthropic" && client.path === "/v1/messages") ||
            (target.section === "responses" && client.path === "/v1/responses")
        ])
        expect(headers.get("x-effect-llm-dropped")?.includes(droppedReasoning) ?? false).toBe(!isPassed)
      }
    })
  )
})
