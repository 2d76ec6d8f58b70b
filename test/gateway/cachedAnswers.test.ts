/** Answers from a cache around the models of a gateway. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import type { Middleware } from "../../src/LLM.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { Settings } from "./support/gateway.js"
import { start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question } from "./support/http.js"
import { answering } from "./support/upstream.js"

const sent = {
  "chat completions": `{ "id": "chatcmpl-1", "x": 1.0, "choices": [
    {"index":0,"message":{"role":"assistant","content":"H\\u0069","reasoning_content":"r"},"finish_reason":"stop"},
    {"index":1,"message":{"role":"assistant","content":"Ho"},"finish_reason":"stop"}
  ], "usage": {"prompt_tokens":5, "completion_tokens":2.0, "total_tokens":7} }`,
  responses: `{ "id": "r", "object": "response", "status": "completed", "output": [{"type":"message","role":"assistant",
    "content":[{"type":"output_text","text":"H\\u0069"}]}], "usage": {"input_tokens":5, "output_tokens":2} }`,
  messages: `{ "id": "m", "type": "message", "role": "assistant", "content": [{"type":"text","text":"H\\u0069", "x":1.0}],
    "stop_reason": "end_turn", "usage": {"input_tokens":5, "output_tokens":2} }`
} as const satisfies Record<Protocol, string>

const models = { "chat completions": "openai/large", responses: "oai/large", messages: "anthropic/large" } as const

const protocols: ReadonlyArray<Protocol> = ["chat completions", "responses", "messages"]

/** A gateway with a cache over a store, in front of a provider that counts its calls. `outside` is put around the cache. */
const cached = (
  protocol: Protocol,
  { entry = {}, outside }: { readonly entry?: Settings["entry"]; readonly outside?: Middleware } = {},
  delay: Effect.Effect<void> = Effect.void
) =>
  Effect.gen(function* () {
    const memory = yield* CacheStore.makeMemory()
    const stored: Array<string> = []
    const store: CacheStore.Store = {
      ...memory,
      set: (key, value, ttl) => {
        stored.push(value)
        return memory.set(key, value, ttl)
      }
    }
    const upstream = yield* answering(() => ({ contentType: "application/json", text: sent[protocol] }))
    const base_url = `${upstream.origin}/v1`
    const newGateway = Effect.gen(function* () {
      const cache = yield* Effect.provideService(ResponseCache.make(), CacheStore.CacheStore, store)
      const around: Middleware = (next) =>
        cache
          .middleware({ ...next, chat: (request) => Effect.zipRight(delay, next.chat(request)) })
          .pipe(Effect.flatMap((llm) => (outside === undefined ? Effect.succeed(llm) : outside(llm))))
      const oai = { model_name: "large", type: "responses", preset: "openai", api_keys: ["k"], base_url }
      const { url } = yield* start({ entry: { base_url, ...entry }, sections: { oai: [oai] }, gateway: { around } })
      return (asked = protocol, fields: object = {}) =>
        Effect.map(post(url + paths[asked], question(asked, models[protocol], { ...fields })), ({ text }) => text)
    })
    return { ask: yield* newGateway, newGateway, stored, upstream }
  })

describe("an answer from a cache, of a faithful provider of the client's protocol", () => {
  it.scopedLive.each(protocols)("is sent with the bytes of the provider, for %s", (protocol) =>
    Effect.gen(function* () {
      const { ask, newGateway, upstream } = yield* cached(protocol)
      for (const _ of [1, 2, 3]) expect(yield* ask()).toBe(sent[protocol])
      expect(yield* (yield* newGateway)()).toBe(sent[protocol])
      expect(upstream.bodies).toHaveLength(1)
    })
  )

  it.scopedLive("is sent with the bytes of the provider when an equal request in flight makes it", () =>
    Effect.gen(function* () {
      const { ask, upstream } = yield* cached("messages", {}, Effect.sleep("300 millis"))
      const texts = yield* Effect.all([ask(), ask(), ask()], { concurrency: "unbounded" })
      expect(texts).toEqual([sent.messages, sent.messages, sent.messages])
      expect(upstream.bodies).toHaveLength(1)
    })
  )

  it.scopedLive("has all choices in one stored text", () =>
    Effect.gen(function* () {
      const { ask, upstream } = yield* cached("chat completions")
      for (const _ of [1, 2]) expect(yield* ask("chat completions", { n: 2 })).toBe(sent["chat completions"])
      expect(upstream.bodies).toHaveLength(1)
    })
  )

  it.scopedLive("is encoded for a client of another protocol, and for one that streams", () =>
    Effect.gen(function* () {
      const { ask, upstream } = yield* cached("chat completions")
      yield* ask("chat completions", { max_tokens: 100 })
      expect(JSON.parse(yield* ask("messages"))).toMatchObject({ type: "message", content: [{}, { text: "Hi" }] })
      expect(upstream.bodies).toHaveLength(1)
      expect(yield* ask("chat completions", { stream: true })).not.toBe(sent["chat completions"])
      expect(upstream.bodies).toHaveLength(2)
    })
  )

  it.scopedLive("is encoded when a middleware around the cache changes it", () =>
    Effect.gen(function* () {
      const outside: Middleware = (next) =>
        Effect.succeed({
          ...next,
          chat: (request) => Effect.map(next.chat(request), (answer) => Chat.withContent(answer, [Chat.text("***")]))
        })
      const { ask } = yield* cached("messages", { outside })
      for (const _ of [1, 2]) expect(JSON.parse(yield* ask())).toMatchObject({ content: [{ text: "***" }] })
    })
  )

  it.scopedLive("is stored without its text for a provider that is not faithful", () =>
    Effect.gen(function* () {
      const { ask, stored } = yield* cached("chat completions", { entry: { preset: "openrouter" } })
      yield* ask()
      expect(JSON.parse(yield* ask())).toHaveProperty("choices.0.message.content", "Hi")
      expect(stored).toHaveLength(1)
      expect(JSON.parse(stored[0] ?? "")).not.toHaveProperty("raw")
    })
  )
})
