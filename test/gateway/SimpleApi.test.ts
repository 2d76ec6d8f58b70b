/** The simple API over sockets, route by route and field by field. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually, until } from "../support/eventually.js"
import { makeGate } from "./support/gateway.js"
import { post, reading, send } from "./support/http.js"
import { serve } from "./support/serving.js"

const secrets = ["canary-one-91c2", "canary-two-44e0", "canary-three-07ab"] as const

/** Two models with the two kinds of limits, as the service that this API is from has them. */
const file = (baseUrl: string) => ({
  zhipu: [
    {
      model_name: "glm",
      base_url: baseUrl,
      model_weight: 1.2,
      max_retries: 1,
      api_keys: [
        { key: secrets[0], id: "key1", weight: 2, max_concurrency: 2 },
        { key: secrets[1], id: "key2", weight: 1, max_concurrency: 2 }
      ],
      rate_limit_capacity: 100,
      rate_limit_refill_rate: 100,
      aliases: ["chinese"]
    }
  ],
  spark: [
    {
      model_name: "lite",
      base_url: baseUrl,
      max_retries: 1,
      api_keys: [{ key: secrets[2], id: "keyA", max_qps: 4 }],
      rate_limit_capacity: 100,
      rate_limit_refill_rate: 100
    }
  ],
  $default: "zhipu/glm"
})

const messages = [{ role: "user", content: "Hello" }]

const admin = { authorization: "Bearer the-admins-token" }

/** The text up to where the connection was closed, and whether that was in good order. */
const readOut = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ messages })
    })
    let text = ""
    let isWhole = true
    try {
      for await (const piece of response.body ?? []) text += new TextDecoder().decode(piece)
    } catch {
      isWhole = false
    }
    return { status: response.status, type: response.headers.get("content-type"), text, isWhole }
  })

describe("POST /llm/chat", () => {
  it.scopedLive("answers with the result and nothing else", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file })
      const answer = yield* post(`${url}/llm/chat`, { messages, tools: [] })
      expect([answer.status, answer.text]).toEqual([200, '{"result":"You said: Hello"}'])
      expect(answer.headers.get("content-type")).toBe("application/json")
      expect(answer.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/)
    })
  )

  it.scopedLive("answers with null and the calls where the model calls tools", () =>
    Effect.gen(function* () {
      const toolCalls = [{ id: "call-a", name: "clock", arguments: '{"zone":"UTC"}' }]
      const { url } = yield* serve({ file, provider: { answer: () => ({ text: "", toolCalls }) } })
      const tools = [{ type: "function", function: { name: "clock", parameters: { type: "object", properties: {} } } }]
      expect((yield* post(`${url}/llm/chat`, { messages, tools })).json).toEqual({
        result: null,
        tool_calls: [{ id: "call-a", type: "function", function: { name: "clock", arguments: '{"zone":"UTC"}' } }]
      })
    })
  )

  it.scopedLive("asks the model that is named, or else that of the options", () =>
    Effect.gen(function* () {
      const provider = { answer: ({ model }: { readonly model?: string }) => ({ text: `I am ${model ?? "nobody"}.` }) }
      const { url } = yield* serve({ file, provider, gateway: { simple: { model: "lite" } } })
      const saidBy = (body: object) => Effect.map(post(`${url}/llm/chat`, { messages, ...body }), ({ json }) => json)
      expect(yield* saidBy({ model: "chinese" })).toEqual({ result: "I am glm." })
      expect(yield* saidBy({})).toEqual({ result: "I am lite." })
    })
  )

  it.scopedLive("shares the questions that name no model out by weight, where the file has no default", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({
        provider: { answer: ({ model }) => ({ text: model ?? "" }) },
        file: (baseUrl) => {
          const { $default: _, ...models } = file(baseUrl)
          return {
            ...models,
            zhipu: models.zhipu.map((entry) => ({ ...entry, model_weight: 3 })),
            spark: models.spark.map((entry) => ({ ...entry, api_keys: [secrets[2]], model_weight: 2 }))
          }
        }
      })
      const answers = yield* Effect.replicateEffect(post(`${url}/llm/chat`, { messages }), 50)
      const share = answers.filter(({ text }) => text === '{"result":"glm"}').length
      expect([share, answers.filter(({ text }) => text === '{"result":"lite"}').length]).toEqual([30, 20])
    })
  )

  it.scopedLive("refuses what it cannot read, in its own words", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file })
      const told = (body: unknown, path = "/llm/chat") =>
        Effect.map(post(`${url}${path}`, body), ({ json, status }) => [status, json])
      const missing = [400, { error: "Missing required field 'messages'" }]
      expect(yield* told({})).toEqual(missing)
      expect(yield* told({ messages: null }, "/llm/chat/stream")).toEqual(missing)
      expect(yield* told([])).toEqual([400, { error: "The body is not a JSON object." }])
      expect(yield* told({ messages, model: "none" })).toEqual([
        404,
        { error: "The model 'none' does not exist or you do not have access to it." }
      ])
      const notJson = yield* send(`${url}/llm/chat`, { method: "POST", body: "{" })
      expect([notJson.status, notJson.json]).toEqual([400, { error: "The body is not JSON in UTF-8." }])
      const elsewhere = yield* send(`${url}/llm/elsewhere`)
      expect([elsewhere.status, elsewhere.json]).toEqual([404, { error: "There is nothing at GET /llm/elsewhere." }])
    })
  )

  it.scoped("tells of the provider's failures by their status, with the time to wait", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* serve({ file })
      yield* provider.next(SimulatedProvider.status(429, { retryAfter: "7 seconds" }))
      yield* provider.next(SimulatedProvider.status(429, { retryAfter: "7 seconds" }))
      const limited = yield* post(`${url}/llm/chat`, { messages })
      expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "7"])
      expect(limited.json).toEqual({ error: expect.stringContaining("Too many requests") })
      yield* provider.next(SimulatedProvider.status(500))
      const failed = yield* post(`${url}/llm/chat/stream`, { messages, model: "lite" })
      expect([failed.status, failed.json]).toEqual([503, { error: "The provider is not available." }])
    })
  )

  it.scopedLive("needs a key where there are keys, and only models that the key may ask", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, access: { keys: [{ key: "sk-team", models: ["spark/*"] }] } })
      const asked = (headers: Readonly<Record<string, string>>, model?: string) =>
        Effect.map(post(`${url}/llm/chat`, { messages, model }, headers), ({ json, status }) => [status, json])
      expect(yield* asked({})).toEqual([401, { error: expect.stringContaining("No API key was sent.") }])
      expect(yield* asked({ authorization: "Bearer sk-other" })).toEqual([401, { error: "The API key is not valid." }])
      expect(yield* asked({ "x-api-key": "sk-team" }, "glm")).toEqual([
        404,
        { error: "The model 'glm' does not exist or you do not have access to it." }
      ])
      expect(yield* asked({ "x-api-key": "sk-team" }, "lite")).toEqual([200, { result: "You said: Hello" }])
    })
  )
})

describe("POST /llm/chat/stream", () => {
  const words = "Quick\nsort\nalgorithm ✓"

  it.scopedLive("writes the text itself, piece by piece", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, provider: { answer: () => ({ text: words }) } })
      expect(yield* readOut(`${url}/llm/chat/stream`)).toEqual({
        status: 200,
        type: "text/plain; charset=utf-8",
        text: words,
        isWhole: true
      })
    })
  )

  it.scopedLive("writes events for those who ask for them", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, provider: { answer: () => ({ text: words }) } })
      const { text, type } = yield* readOut(`${url}/llm/chat/stream`, { accept: "text/event-stream" })
      expect(type).toBe("text/event-stream; charset=utf-8")
      const data = text.split("\n\n").flatMap((event) => (event === "" ? [] : [event.replace(/^data: /, "")]))
      expect(data.at(-1)).toBe("[DONE]")
      const pieces = data.slice(0, -1).map((each): unknown => JSON.parse(each))
      expect(pieces.length).toBeGreaterThan(1)
      expect(pieces.map((piece) => Object.keys(piece ?? {}))).toEqual(pieces.map(() => ["result"]))
      expect(pieces.map((piece) => Object.values(piece ?? {})[0]).join("")).toBe(words)
    })
  )

  it.scopedLive("tells calls of tools before the end, and comments while the model thinks", () =>
    Effect.gen(function* () {
      const toolCalls = [{ id: "call-a", name: "clock", arguments: "{}" }]
      const gate = yield* makeGate
      const { url } = yield* serve({
        file,
        provider: { answer: () => ({ text: "Let me see.", toolCalls }) },
        gateway: { keepAlive: "40 millis", around: gate.around }
      })
      const client = yield* reading(`${url}/llm/chat/stream`, { messages }, { accept: "text/event-stream" })
      yield* eventually(Effect.map(client.text, (text) => text.includes(": keep-alive")))
      yield* gate.open
      const { text } = yield* client.ended
      expect(text.startsWith(": keep-alive\n\n")).toBe(true)
      const call = { id: "call-a", type: "function", function: { name: "clock", arguments: "{}" } }
      expect(text.endsWith(`data: ${JSON.stringify({ tool_calls: [call] })}\n\ndata: [DONE]\n\n`)).toBe(true)
    })
  )

  it.scopedLive("never ends a text in good order that is not whole", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* serve({ file, provider: { answer: () => ({ text: "one two three four" }) } })
      yield* provider.next(SimulatedProvider.reset(3))
      const broken = yield* readOut(`${url}/llm/chat/stream`)
      expect([broken.status, broken.isWhole]).toEqual([200, false])
      yield* provider.next(SimulatedProvider.reset(3))
      const told = yield* readOut(`${url}/llm/chat/stream`, { accept: "text/event-stream" })
      expect(told.isWhole).toBe(true)
      expect(told.text).toMatch(/event: error\ndata: {"error":"The answer broke off before its end\."}\n\n$/)
      expect(told.text).not.toContain("[DONE]")
    })
  )

  it.scopedLive("gives its key back when the client leaves, the stream fails, or it was never begun", () =>
    Effect.gen(function* () {
      const { models, provider, url } = yield* serve({ file })
      yield* provider.next(SimulatedProvider.hang(2), SimulatedProvider.status(500), SimulatedProvider.reset(2))
      const left = new AbortController()
      const leaving = yield* Effect.fork(
        Effect.tryPromise(async () => {
          const init = { method: "POST", body: JSON.stringify({ messages }), signal: left.signal }
          const response = await fetch(`${url}/llm/chat/stream`, init)
          for await (const _ of response.body ?? []) left.abort()
        })
      )
      yield* Fiber.await(leaving)
      yield* readOut(`${url}/llm/chat/stream`)
      yield* readOut(`${url}/llm/chat/stream`)
      const llm = yield* models.get("glm")
      yield* until(llm.status, ({ keys }) => keys.keys.every(({ inFlight }) => inFlight === 0))
    })
  )
})

describe("what tells of load", () => {
  /**
   * A gateway with calls under way: two on one model, three that were started a moment ago on the other. The clock of these tests
   * stands still, so that a moment does not pass.
   */
  const loaded = Effect.gen(function* () {
    const gateway = yield* serve({
      file,
      access: { adminToken: "the-admins-token", keys: [{ key: "sk-team", models: ["spark/*"] }] },
      gateway: { simple: { details: true }, grace: 0 }
    })
    const { provider, url } = gateway
    yield* provider.next(SimulatedProvider.hang(), SimulatedProvider.hang())
    yield* Effect.forkScoped(
      Effect.replicateEffect(post(`${url}/llm/chat`, { messages }, admin), 2, { concurrency: 2 })
    )
    const llm = yield* gateway.models.get("glm")
    yield* until(llm.status, ({ keys }) => keys.keys.reduce((sum, { inFlight }) => sum + inFlight, 0) === 2)
    yield* Effect.replicateEffect(post(`${url}/llm/chat`, { messages, model: "lite" }, admin), 3)
    return gateway
  })

  const zhipu = {
    type: "concurrency",
    current: 2,
    max: 4,
    weight: 1.2,
    keys: [
      { key: "key1", weight: 2, current: 1 },
      { key: "key2", weight: 1, current: 1 }
    ]
  }

  const spark = { type: "qps", current: 3, max: 4, weight: 1, keys: [{ key: "keyA", weight: 1, current: 3 }] }

  it.scoped("says what the documentation says, field by field, and never a secret", () =>
    Effect.gen(function* () {
      const { url } = yield* loaded
      const get = (path: string, headers: Readonly<Record<string, string>> = admin) =>
        send(`${url}${path}`, { headers })
      const seen = {
        load: yield* get("/llm/system-load"),
        capacity: yield* get("/llm/system-capacity"),
        model: yield* get("/llm/model-load/zhipu/glm"),
        encoded: yield* get("/llm/model-load/zhipu%2Fglm"),
        alias: yield* get("/llm/model-load/chinese"),
        key: yield* get("/llm/key-load/zhipu/glm/key1"),
        paced: yield* get("/llm/key-load/lite/keyA"),
        models: yield* get("/llm/models"),
        keys: yield* get("/llm/keys/zhipu/glm"),
        narrow: yield* get("/llm/system-capacity", { "x-api-key": "sk-team" })
      }
      expect(seen.load.text).toBe('{"load_percent":62.5}')
      expect(seen.capacity.text).toBe(
        JSON.stringify({
          total_max: { concurrency: 4, qps: 4 },
          details: { "zhipu/glm": zhipu, "spark/lite": spark }
        })
      )
      expect(seen.model.text).toBe(JSON.stringify(zhipu))
      expect([seen.encoded.text, seen.alias.text]).toEqual([seen.model.text, seen.model.text])
      expect(seen.key.text).toBe('{"key":"key1","weight":2,"current":1,"max":2}')
      expect(seen.paced.text).toBe('{"key":"keyA","weight":1,"current":3,"max":4}')
      expect(seen.models.text).toBe('{"models":["zhipu/glm","spark/lite"]}')
      expect(seen.keys.text).toBe('{"keys":[{"key":"key1","weight":2},{"key":"key2","weight":1}]}')
      expect(seen.narrow.json).toEqual({ total_max: { concurrency: 0, qps: 4 }, details: { "spark/lite": spark } })
      for (const { status, text } of Object.values(seen)) {
        expect(status).toBe(200)
        for (const secret of secrets) expect(text).not.toContain(secret)
      }
    })
  )

  it.scoped("answers for what is not there with 404, and never repeats what may be a secret", () =>
    Effect.gen(function* () {
      const { url } = yield* loaded
      const told = (path: string) =>
        Effect.map(send(`${url}${path}`, { headers: admin }), ({ json, status }) => [status, json])
      expect(yield* told("/llm/model-load/none")).toEqual([404, { error: "Model none not found" }])
      expect(yield* told("/llm/keys/none")).toEqual([404, { error: "Model none not found" }])
      expect(yield* told("/llm/key-load/none/key1")).toEqual([404, { error: "Model none not found" }])
      expect(yield* told(`/llm/key-load/glm/${secrets[0]}`)).toEqual([404, { error: "API key not found in glm" }])
    })
  )

  it.scoped("lists models and keys for the administration alone, and only where that is wanted", () =>
    Effect.gen(function* () {
      const details = ["/llm/models", "/llm/model-load/glm", "/llm/keys/glm"]
      const statuses = (url: string, headers: Readonly<Record<string, string>>) =>
        Effect.forEach(details, (path) => Effect.map(send(`${url}${path}`, { headers }), ({ status }) => status))
      const { url } = yield* loaded
      expect(yield* statuses(url, {})).toEqual([401, 401, 401])
      expect(yield* statuses(url, { "x-api-key": "sk-team" })).toEqual([403, 403, 403])
      const plain = yield* serve({ file, access: { adminToken: "the-admins-token" } })
      expect(yield* statuses(plain.url, admin)).toEqual([404, 404, 404])
    })
  )

  it.scoped("measures keys without limits by the bucket of their model, and says so of what has none", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({
        file: (baseUrl) => ({
          one: [
            {
              model_name: "m",
              base_url: baseUrl,
              api_keys: [{ key: secrets[0], id: "k" }],
              rate_limit_capacity: 5,
              rate_limit_refill_rate: 0.01
            }
          ]
        })
      })
      yield* Effect.replicateEffect(post(`${url}/llm/chat`, { messages }), 2)
      expect((yield* send(`${url}/llm/system-load`)).text).toBe('{"load_percent":40}')
      expect((yield* send(`${url}/llm/key-load/m/k`)).text).toBe('{"key":"k","weight":1,"current":0,"max":5}')
    })
  )
})

describe("health", () => {
  it.scopedLive("is told to everybody, at both paths, to the second", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, access: { keys: [{ key: "sk-team" }] } })
      for (const path of ["/llm/health", "/health", "/ready"]) {
        const { status, text } = yield* send(`${url}${path}`)
        expect(status).toBe(200)
        expect(text).toMatch(/^{"status":"ok","timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"}$/)
      }
    })
  )
})
