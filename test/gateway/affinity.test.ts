/** The affinity of conversations, as providers get it from a gateway. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/gateway.js"
import { paths, post, postText } from "./support/http.js"
import { minimalAnswer } from "./support/minimalAnswers.js"
import { answering } from "./support/upstream.js"

const clients = ["sk-one-1234567890", "sk-other-1234567890"]

const authorization = (client: number) => ({ authorization: `Bearer ${clients[client] ?? ""}` })

/** A gateway in front of a provider that records requests. */
const recording = (affinity: boolean) =>
  Effect.gen(function* () {
    const upstream = yield* answering((body) => ({
      contentType: "application/json",
      text: JSON.stringify(minimalAnswer(body["input"] === undefined ? "chat completions" : "responses"))
    }))
    const entry = { base_url: `${upstream.origin}/v1`, affinity }
    const model = { model_name: "large", api_keys: ["k"], ...entry }
    const { url } = yield* start({
      entry,
      sections: {
        oai: [{ ...model, type: "responses", preset: "openai" }],
        grok: [{ ...model, preset: "xai" }],
        other: [{ ...model, type: "chat-completions" }]
      },
      access: { keys: clients.map((key) => ({ key })) }
    })
    const opening = [
      { role: "system", content: "You are helpful." },
      { role: "user", content: "Hello" }
    ]
    const chat = (model: string, messages: ReadonlyArray<unknown> = opening, client = 0) =>
      Effect.map(post(url + paths["chat completions"], { model, messages }, authorization(client)), ({ status }) => {
        expect(status).toBe(200)
        return { body: upstream.bodies.at(-1), headers: upstream.headers.at(-1) ?? {}, text: upstream.texts.at(-1) }
      })
    return { url, upstream, opening, chat }
  })

const cacheKey = { prompt_cache_key: expect.stringMatching(/^[0-9a-f]{16}$/) }

describe("the affinity of a conversation", () => {
  it.scopedLive("reaches OpenAI as prompt_cache_key, the same in each turn and another for each client", () =>
    Effect.gen(function* () {
      const { chat, opening } = yield* recording(true)
      const first = yield* chat("openai/large")
      expect(first.body).toMatchObject(cacheKey)
      const turns = [...opening, { role: "assistant", content: "Hi" }, { role: "user", content: "And now?" }]
      const key = Object(first.body)["prompt_cache_key"]
      expect((yield* chat("openai/large", turns)).body).toHaveProperty("prompt_cache_key", key)
      expect((yield* chat("openai/large", opening, 1)).body).not.toHaveProperty("prompt_cache_key", key)
      const others = [{ role: "user", content: "Another conversation" }]
      expect((yield* chat("openai/large", others)).body).not.toHaveProperty("prompt_cache_key", key)
    })
  )

  it.scopedLive("is the only change of a body that is passed on, and leaves one with a prompt_cache_key as it is", () =>
    Effect.gen(function* () {
      const { upstream, url } = yield* recording(true)
      const send = (text: string) =>
        Effect.map(postText(url + paths["chat completions"], text, authorization(0)), () => upstream.texts.at(-1))
      const text = `{ "model":"large",  "messages": [{"role":"user","content":"\\u0048i"}], "top_k" : 1.0`
      const named = text.replace(`"large"`, `"openai/large"`)
      expect(yield* send(`${named} }`)).toMatch(
        new RegExp(`^${text.replace(/[[\]{}\\.]/g, "\\$&")},\\s*"prompt_cache_key":"[0-9a-f]{16}"\\s*}$`)
      )
      expect(yield* send(`${named}, "prompt_cache_key":"mine"}`)).toBe(`${text}, "prompt_cache_key":"mine"}`)
    })
  )

  it.scopedLive("reaches the Responses of OpenAI as prompt_cache_key, and xAI as x-grok-conv-id", () =>
    Effect.gen(function* () {
      const { chat, upstream, url } = yield* recording(true)
      yield* post(url + paths.responses, { model: "oai/large", input: "Hello" }, authorization(0))
      expect(upstream.bodies.at(-1)).toMatchObject(cacheKey)
      const { body, headers } = yield* chat("grok/large")
      expect(headers["x-grok-conv-id"]).toMatch(/^[0-9a-f]{16}$/)
      expect(body).not.toHaveProperty("prompt_cache_key")
    })
  )

  it.scopedLive("reaches no other provider, and none without the option", () =>
    Effect.gen(function* () {
      const { chat } = yield* recording(true)
      const other = yield* chat("other/large")
      expect(other.text).not.toContain("prompt_cache_key")
      expect(other.headers).not.toHaveProperty("x-grok-conv-id")
      const without = yield* recording(false)
      expect((yield* without.chat("openai/large")).text).not.toContain("prompt_cache_key")
      expect((yield* without.chat("grok/large")).headers).not.toHaveProperty("x-grok-conv-id")
    })
  )
})
