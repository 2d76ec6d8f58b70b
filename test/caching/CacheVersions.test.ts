/** Entries of other versions of the library are misses of both caches. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as EmbeddingCache from "../../src/caching/EmbeddingCache.js"
import * as Key from "../../src/caching/key.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { textOf } from "../../src/call/passthrough.js"
import { scripted } from "../support/scripted.js"

const withVersion = (entry: string, version: number): string => `{"version":${version},${entry.slice(1)}`

/** The keys under which 0.1.0 stored the answer to "?" and the vector of "one". */
const oldKeys = {
  response: "6b5d574c12a81433dba3e03de0e9073436ab24bb02d09a391ea7e105d9c307b2",
  vector: "a8f27dae87061ed12a06b68ce4bc3aae59076d14dd35d276aec75a6d94360885"
}

const responseOf010 =
  '{"at":0,"until":3600000,"response":{"id":"answer","provider":"test","model":"model","text":"old","reasoning":"",' +
  '"reasoningParts":[],"refusal":"","toolCalls":[],"finishReason":"stop","rawFinishReason":"stop","usage":{"inputTokens":3,' +
  '"outputTokens":4,"totalTokens":7,"cachedInputTokens":0,"cacheWriteTokens":0,"reasoningTokens":0,"estimated":false},' +
  '"latency":0,"keyId":"","attempts":[],"providerMetadata":{}}}'

/** What a development version before 0.2.0 stored. */
const responseOf2 = withVersion(responseOf010, 2)

const responseOf3 =
  '{"version":3,"at":0,"until":3600000,"response":{"id":"answer","provider":"test","model":"model","finishReason":"stop",' +
  '"rawFinishReason":"stop","usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7,"cachedInputTokens":0,"cacheWriteTokens":0,' +
  '"reasoningTokens":0,"estimated":false},"latency":0,"keyId":"","attempts":[],"providerMetadata":{},' +
  '"content":[{"type":"text","text":"ol"},{"type":"tool-call","id":"c","name":"f","arguments":"{}"},' +
  '{"type":"reasoning","text":"hm","signature":"s","provider":"test"},{"type":"text","text":"d"}]}}'

const vectorOf010 = '{"at":0,"until":3600000,"provider":"test","model":"model","width":32,"vector":"AABAQA=="}'

/** Both caches over one store that records its keys. */
const caches = Effect.gen(function* () {
  const memory = yield* CacheStore.makeMemory()
  const keys: Array<string> = []
  const store: CacheStore.Store = {
    ...memory,
    set: (key, value, ttl) => {
      keys.push(key)
      return memory.set(key, value, ttl)
    }
  }
  const next = yield* scripted("new")
  const responses = yield* Effect.provideService(ResponseCache.make(), CacheStore.CacheStore, store)
  const embeddings = yield* Effect.provideService(EmbeddingCache.make(), CacheStore.CacheStore, store)
  return {
    memory,
    keys,
    next,
    responses,
    embeddings,
    chat: yield* responses.middleware(next),
    embed: yield* embeddings.middleware(next)
  }
})

describe("the version of cache entries", () => {
  it("the content of keys of version 3 is this text: a change of it needs another version", () => {
    const info = { provider: "test", model: "model", wire: "test", contextWindow: 1000 }
    expect(Key.ofChat("tenant", info, "?", new Set())).toBe(
      '{"request":{"messages":"[{\\"content\\":\\"?\\",\\"role\\":\\"user\\"}]"},' +
        '"target":{"baseUrl":"","kind":"chat","model":"model","provider":"test","scope":"tenant","wire":"test"},"version":3}'
    )
    expect(Key.ofEmbedding("", info, { input: ["one"] })("one")).toBe(
      '{"request":{},' +
        '"target":{"baseUrl":"","kind":"embedding","model":"model","provider":"test","scope":"","wire":"test"},"version":3}"one"'
    )
  })

  it.effect("an answer that 0.1.0 stored is a miss, not a failure of the store, and the new answer is stored", () =>
    Effect.gen(function* () {
      const { chat, keys, memory, next, responses } = yield* caches
      yield* memory.set(oldKeys.response, responseOf010, Option.none())
      expect(yield* chat.chat("?")).toMatchObject({ text: "new" })
      expect(keys).not.toContain(oldKeys.response)
      for (const key of keys.slice()) yield* memory.set(key, responseOf010, Option.none())
      expect((yield* chat.chat("?")).cached).toBeUndefined()
      expect((yield* chat.chat("?")).cached?.source).toBe("store")
      expect(yield* next.asked).toHaveLength(2)
      expect(yield* responses.stats).toMatchObject({ hits: 1, misses: 2, storeFailures: 0 })
    })
  )

  it.effect("a vector that 0.1.0 stored is a miss, not a failure of the store, and the new vector is stored", () =>
    Effect.gen(function* () {
      const { embed, embeddings, keys, memory, next } = yield* caches
      yield* memory.set(oldKeys.vector, vectorOf010, Option.none())
      yield* embed.embed(["one"])
      expect(keys).not.toContain(oldKeys.vector)
      for (const key of keys.slice()) yield* memory.set(key, vectorOf010, Option.none())
      expect((yield* embed.embed(["one"])).cachedTexts).toBeUndefined()
      expect((yield* embed.embed(["one"])).cachedTexts).toBe(1)
      expect(yield* next.asked).toHaveLength(2)
      expect(yield* embeddings.stats).toMatchObject({ hits: 1, misses: 2, storeFailures: 0 })
    })
  )

  it.effect("a response is stored with its content and without the views of it", () =>
    Effect.gen(function* () {
      const { chat, keys, memory } = yield* caches
      yield* chat.chat("?")
      const [answerKey = ""] = keys
      const stored: unknown = JSON.parse(Option.getOrThrow(yield* memory.get(answerKey)))
      expect(stored).toMatchObject({ version: 3, response: { content: [{ type: "text", text: "new" }] } })
      for (const view of ["text", "reasoning", "refusal", "toolCalls"])
        expect(stored).not.toHaveProperty(`response.${view}`)
    })
  )

  it.effect("an entry whose content is not a list of parts is a miss", () =>
    Effect.gen(function* () {
      const { chat, keys, memory } = yield* caches
      yield* chat.chat("?")
      const [answerKey = ""] = keys
      for (const broken of [
        responseOf3.replace('"type":"text"', '"type":"poem"'),
        responseOf3.replace('"content"', '"parts"'),
        responseOf3.replace('"model":"model",', "")
      ]) {
        yield* memory.set(answerKey, broken, Option.none())
        expect((yield* chat.chat("?")).cached).toBeUndefined()
      }
    })
  )

  it.effect("entries of version 2 and of a future version are misses, and those of version 3 are hits", () =>
    Effect.gen(function* () {
      const { chat, embed, keys, memory } = yield* caches
      yield* chat.chat("?")
      yield* embed.embed(["one"])
      const [answerKey = "", vectorKey = ""] = keys.slice()
      const put = (response: string, version: number) =>
        Effect.zipRight(
          memory.set(answerKey, response, Option.none()),
          memory.set(vectorKey, withVersion(vectorOf010, version), Option.none())
        )
      yield* put(responseOf3, 3)
      expect(yield* chat.chat("?")).toMatchObject({
        content: [{ text: "ol" }, { type: "tool-call", id: "c" }, { type: "reasoning", signature: "s" }, { text: "d" }],
        text: "old",
        reasoning: "hm",
        refusal: "",
        toolCalls: [{ id: "c" }],
        cached: { source: "store" }
      })
      const withText = responseOf3.replace(/\}$/, ',"raw":{"protocol":"test","text":"{}"}}')
      yield* put(withText, 3)
      const hit = yield* chat.chat("?")
      expect(hit).toMatchObject({ text: "old", cached: { source: "store" } })
      expect(textOf("test", hit)?.text).toBe("{}")
      expect((yield* embed.embed(["one"])).cachedTexts).toBe(1)
      const future = responseOf3.replace('"version":3', '"version":4')
      for (const [response, version] of [
        [responseOf2, 2],
        [future, 4]
      ] as const) {
        yield* put(response, version)
        expect(yield* chat.chat("?")).toMatchObject({ text: "new" })
        expect((yield* embed.embed(["one"])).cachedTexts).toBeUndefined()
      }
    })
  )
})
