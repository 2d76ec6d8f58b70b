/** Embeddings of a faithful provider of OpenAI's protocol: bodies and answers pass unchanged, apart from the model. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FastCheck from "fast-check"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as EmbeddingCache from "../../src/caching/EmbeddingCache.js"
import type { MemberText } from "../wire/jsonTexts.js"
import { objectTexts, renderObject } from "../wire/jsonTexts.js"
import type { Settings } from "./support/gateway.js"
import { start } from "./support/gateway.js"
import { postText } from "./support/http.js"
import { answering } from "./support/upstream.js"

/** With a notation of numbers, fields and white space that an encoder would change. */
const sent =
  '{ "object":"list", "x": 1e2, "data" : [{"object":"embedding","index":0,"embedding":[0.10, 1.0e-3]}], "model":"m-2",' +
  ' "usage":{"prompt_tokens":3.0,"total_tokens":3} }'

const served = (settings: Settings = {}) =>
  Effect.gen(function* () {
    const upstream = yield* answering(() => ({ contentType: "application/json", text: sent }))
    const { url } = yield* start({ ...settings, entry: { base_url: `${upstream.origin}/v1`, ...settings.entry } })
    const ask = (text: string) =>
      Effect.map(postText(`${url}/v1/embeddings`, text), ({ status, text: answer }) => {
        expect(status, answer).toBe(200)
        return { body: upstream.texts.at(-1), answer }
      })
    return { ask, upstream }
  })

const member = (name: string, value: string): MemberText => ({ name, quoted: JSON.stringify(name), value })

const inputs = FastCheck.constantFrom('"H\\u0065y"', '[ "\\ud83d\\ude00" ]', "[1, 2]", "[[1,2 ]]").map((text) =>
  member("input", text)
)

/** Bodies with unknown fields, fields of null, and the model at any place. */
const bodies = FastCheck.tuple(objectTexts, inputs).chain(([object, input]) =>
  FastCheck.shuffledSubarray(
    [
      ...object.members,
      input,
      member("user", "null"),
      member("encoding_format", '"float"'),
      member("model", '"openai/large"')
    ],
    { minLength: object.members.length + 4 }
  ).map((members) => ({ ...object, members }))
)

const request = (model: string, input = '"x"') => `{"input":${input}, "dimensions":2.0,"model":"${model}"}`

describe("embeddings of a faithful provider", () => {
  it.scopedLive("reach it with the bytes of the client but for the model, and come back with its bytes", () =>
    Effect.gen(function* () {
      const { ask } = yield* served()
      for (const object of FastCheck.sample(bodies, { numRuns: 40, seed: 1 })) {
        const expected = renderObject(object, (index, value) =>
          object.members[index]?.name === "model" ? '"large"' : value
        )
        expect(yield* ask(renderObject(object))).toEqual({ body: expected, answer: sent })
      }
    })
  )

  it.scopedLive("reach it with one model", () =>
    Effect.gen(function* () {
      const { ask } = yield* served()
      const { body } = yield* ask('{"model":"forbidden","input":"x","model":"openai/large"}')
      expect(body).toBe('{"input":"x","model":"large"}')
    })
  )

  it.scopedLive("are encoded from a cache, and where a cache knows some of the vectors", () =>
    Effect.gen(function* () {
      const store = yield* CacheStore.makeMemory()
      const cache = yield* Effect.provideService(EmbeddingCache.make(), CacheStore.CacheStore, store)
      const { ask, upstream } = yield* served({ gateway: { around: cache.middleware } })
      yield* ask(request("openai/large"))
      const cached = yield* ask(request("openai/large"))
      expect(JSON.parse(cached.answer)).toMatchObject({ data: [{ embedding: [0.1, 0.001] }] })
      const { answer } = yield* ask(request("openai/large", '["x", "y"]'))
      expect(JSON.parse(answer)).toMatchObject({ data: [{ index: 0 }, { index: 1 }] })
      expect(upstream.bodies).toMatchObject([{ input: ["x"] }, { input: ["y"] }])
    })
  )

  it.scopedLive("are encoded for a provider that is not faithful", () =>
    Effect.gen(function* () {
      const { ask } = yield* served({ entry: { preset: "vllm" } })
      const { answer, body } = yield* ask(request("openai/large"))
      expect([body, answer]).not.toContain(sent)
      expect(body).not.toBe(request("large"))
      expect(JSON.parse(answer)).toMatchObject({ data: [{ embedding: [0.1, 0.001] }], usage: { prompt_tokens: 3 } })
    })
  )
})
