/** The simple API over sockets, route by route and field by field. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { ToolCall } from "../../src/vocabulary/Chat.js"
import { eventually, until } from "../support/eventually.js"
import { makeGate } from "./support/gateway.js"
import { post, reading, send } from "./support/http.js"
import { serve } from "./support/serving.js"

const secrets = ["canary-one-91c2", "canary-two-44e0", "canary-three-07ab"] as const

/** Two models with the two kinds of limits of LLM-API-BalancedCall. */
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

/** The text until the connection closes, and whether the response was complete. */
const readStream = (url: string, headers: Readonly<Record<string, string>> = {}) =>
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
  it.scopedLive("answers POST /llm/chat with the result field only", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file })
      const answer = yield* post(`${url}/llm/chat`, { messages, tools: [] })
      expect([answer.status, answer.text]).toEqual([200, '{"result":"You said: Hello"}'])
      expect(answer.headers.get("content-type")).toBe("application/json")
      expect(answer.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/)
    })
  )

  it.scopedLive("answers POST /llm/chat with a null result and tool_calls when the model calls tools", () =>
    Effect.gen(function* () {
      const call: ToolCall = { type: "tool-call", id: "call-a", name: "clock", arguments: '{"zone":"UTC"}' }
      const { url } = yield* serve({ file, provider: { answer: () => ({ toolCalls: [call] }) } })
      const tools = [{ type: "function", function: { name: "clock", parameters: { type: "object", properties: {} } } }]
      expect((yield* post(`${url}/llm/chat`, { messages, tools })).json).toEqual({
        result: null,
        tool_calls: [{ id: "call-a", type: "function", function: { name: "clock", arguments: '{"zone":"UTC"}' } }]
      })
    })
  )

  it.scopedLive("uses the model of the request, or else the model of the simple API's options", () =>
    Effect.gen(function* () {
      const provider = { answer: ({ model }: { readonly model?: string }) => ({ text: `I am ${model ?? "nobody"}.` }) }
      const { url } = yield* serve({ file, provider, gateway: { simple: { model: "lite" } } })
      const resultOf = (body: object) => Effect.map(post(`${url}/llm/chat`, { messages, ...body }), ({ json }) => json)
      expect(yield* resultOf({ model: "chinese" })).toEqual({ result: "I am glm." })
      expect(yield* resultOf({})).toEqual({ result: "I am lite." })
    })
  )

  it.scopedLive("balances requests without a model by weight when the file has no default", () =>
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

  it.scopedLive("answers invalid requests with an error message in the simple format", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file })
      const statusAndBody = (body: unknown, path = "/llm/chat") =>
        Effect.map(post(`${url}${path}`, body), ({ json, status }) => [status, json])
      const missing = [400, { error: "Missing required field 'messages'" }]
      expect(yield* statusAndBody({})).toEqual(missing)
      expect(yield* statusAndBody({ messages: null }, "/llm/chat/stream")).toEqual(missing)
      expect(yield* statusAndBody([])).toEqual([400, { error: "The body is not a JSON object." }])
      expect(yield* statusAndBody({ messages, model: "none" })).toEqual([
        404,
        { error: "The model 'none' does not exist or you do not have access to it." }
      ])
      const notJson = yield* send(`${url}/llm/chat`, { method: "POST", body: "{" })
      expect([notJson.status, notJson.json]).toEqual([400, { error: "The body is not JSON in UTF-8." }])
      const elsewhere = yield* send(`${url}/llm/elsewhere`)
      expect([elsewhere.status, elsewhere.json]).toEqual([404, { error: "There is no route for GET /llm/elsewhere." }])
    })
  )

  it.scoped("answers provider errors with their mapped status and retry-after", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* serve({ file })
      yield* provider.next(SimulatedProvider.status(429, { retryAfter: "7 seconds" }))
      yield* provider.next(SimulatedProvider.status(429, { retryAfter: "7 seconds" }))
      const limited = yield* post(`${url}/llm/chat`, { messages })
      expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "7"])
      expect(limited.json).toEqual({ error: expect.stringContaining("The provider limits the rate of requests") })
      yield* provider.next(SimulatedProvider.status(500))
      const failed = yield* post(`${url}/llm/chat/stream`, { messages, model: "lite" })
      expect([failed.status, failed.json]).toEqual([503, { error: "The provider is not available." }])
    })
  )

  it.scopedLive("requires a key, and allows only the models of that key", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, access: { keys: [{ key: "sk-team", models: ["spark/*"] }] } })
      const statusAndBody = (headers: Readonly<Record<string, string>>, model?: string) =>
        Effect.map(post(`${url}/llm/chat`, { messages, model }, headers), ({ json, status }) => [status, json])
      expect(yield* statusAndBody({})).toEqual([401, { error: expect.stringContaining("No API key was sent.") }])
      expect(yield* statusAndBody({ authorization: "Bearer sk-other" })).toEqual([
        401,
        { error: "The API key is not valid." }
      ])
      expect(yield* statusAndBody({ "x-api-key": "sk-team" }, "glm")).toEqual([
        404,
        { error: "The model 'glm' does not exist or you do not have access to it." }
      ])
      expect(yield* statusAndBody({ "x-api-key": "sk-team" }, "lite")).toEqual([200, { result: "You said: Hello" }])
    })
  )
})

describe("POST /llm/chat/stream", () => {
  const words = "Quick\nsort\nalgorithm ✓"

  it.scopedLive("streams plain text by default", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, provider: { answer: () => ({ text: words }) } })
      expect(yield* readStream(`${url}/llm/chat/stream`)).toEqual({
        status: 200,
        type: "text/plain; charset=utf-8",
        text: words,
        isWhole: true
      })
    })
  )

  it.scopedLive("streams server-sent events when the client accepts text/event-stream", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, provider: { answer: () => ({ text: words }) } })
      const { text, type } = yield* readStream(`${url}/llm/chat/stream`, { accept: "text/event-stream" })
      expect(type).toBe("text/event-stream; charset=utf-8")
      const data = text.split("\n\n").flatMap((event) => (event === "" ? [] : [event.replace(/^data: /, "")]))
      expect(data.at(-1)).toBe("[DONE]")
      const pieces = data.slice(0, -1).map((each): unknown => JSON.parse(each))
      expect(pieces.length).toBeGreaterThan(1)
      expect(pieces.map((piece) => Object.keys(piece ?? {}))).toEqual(pieces.map(() => ["result"]))
      expect(pieces.map((piece) => Object.values(piece ?? {})[0]).join("")).toBe(words)
    })
  )

  it.scopedLive("sends keep-alive comments before the first event, and tool_calls before [DONE]", () =>
    Effect.gen(function* () {
      const toolCalls: ReadonlyArray<ToolCall> = [{ type: "tool-call", id: "call-a", name: "clock", arguments: "{}" }]
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

  it.scopedLive("resets a plain text stream that fails midway, and ends an event stream with an error event", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* serve({ file, provider: { answer: () => ({ text: "one two three four" }) } })
      yield* provider.next(SimulatedProvider.reset(3))
      const broken = yield* readStream(`${url}/llm/chat/stream`)
      expect([broken.status, broken.isWhole]).toEqual([200, false])
      yield* provider.next(SimulatedProvider.reset(3))
      const failed = yield* readStream(`${url}/llm/chat/stream`, { accept: "text/event-stream" })
      expect(failed.isWhole).toBe(true)
      expect(failed.text).toMatch(
        /event: error\ndata: {"error":"The provider's answer ended before it was complete\."}\n\n$/
      )
      expect(failed.text).not.toContain("[DONE]")
    })
  )

  it.scopedLive("releases the key when the client disconnects, the stream fails or it never begins", () =>
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
      yield* readStream(`${url}/llm/chat/stream`)
      yield* readStream(`${url}/llm/chat/stream`)
      const llm = yield* models.get("glm")
      yield* until(llm.status, ({ keys }) => keys.keys.every(({ inFlight }) => inFlight === 0))
    })
  )
})

describe("load routes", () => {
  /**
   * A gateway with two calls in flight on one model, and three calls that just started on the other. The clock of these tests
   * stands still, so that all three stay within the last second.
   */
  const loadedGateway = Effect.gen(function* () {
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

  it.scoped("reports load, capacity, models and keys field by field without secrets", () =>
    Effect.gen(function* () {
      const { url } = yield* loadedGateway
      const get = (path: string, headers: Readonly<Record<string, string>> = admin) =>
        send(`${url}${path}`, { headers })
      const responses = {
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
      expect(responses.load.text).toBe('{"load_percent":62.5}')
      expect(responses.capacity.text).toBe(
        JSON.stringify({
          total_max: { concurrency: 4, qps: 4 },
          details: { "zhipu/glm": zhipu, "spark/lite": spark }
        })
      )
      expect(responses.model.text).toBe(JSON.stringify(zhipu))
      expect([responses.encoded.text, responses.alias.text]).toEqual([responses.model.text, responses.model.text])
      expect(responses.key.text).toBe('{"key":"key1","weight":2,"current":1,"max":2}')
      expect(responses.paced.text).toBe('{"key":"keyA","weight":1,"current":3,"max":4}')
      expect(responses.models.text).toBe('{"models":["zhipu/glm","spark/lite"]}')
      expect(responses.keys.text).toBe('{"keys":[{"key":"key1","weight":2},{"key":"key2","weight":1}]}')
      expect(responses.narrow.json).toEqual({ total_max: { concurrency: 0, qps: 4 }, details: { "spark/lite": spark } })
      for (const { status, text } of Object.values(responses)) {
        expect(status).toBe(200)
        for (const secret of secrets) expect(text).not.toContain(secret)
      }
    })
  )

  it.scoped("answers 404 for an unknown model or key without repeating the key", () =>
    Effect.gen(function* () {
      const { url } = yield* loadedGateway
      const statusAndBody = (path: string) =>
        Effect.map(send(`${url}${path}`, { headers: admin }), ({ json, status }) => [status, json])
      expect(yield* statusAndBody("/llm/model-load/none")).toEqual([404, { error: "Model none not found" }])
      expect(yield* statusAndBody("/llm/keys/none")).toEqual([404, { error: "Model none not found" }])
      expect(yield* statusAndBody("/llm/key-load/none/key1")).toEqual([404, { error: "Model none not found" }])
      expect(yield* statusAndBody(`/llm/key-load/glm/${secrets[0]}`)).toEqual([
        404,
        { error: "API key not found in glm" }
      ])
    })
  )

  it.scoped("serves the routes of models and keys only to the admin token, and only when details is set", () =>
    Effect.gen(function* () {
      const details = ["/llm/models", "/llm/model-load/glm", "/llm/keys/glm"]
      const statuses = (url: string, headers: Readonly<Record<string, string>>) =>
        Effect.forEach(details, (path) => Effect.map(send(`${url}${path}`, { headers }), ({ status }) => status))
      const { url } = yield* loadedGateway
      expect(yield* statuses(url, {})).toEqual([401, 401, 401])
      expect(yield* statuses(url, { "x-api-key": "sk-team" })).toEqual([403, 403, 403])
      const plain = yield* serve({ file, access: { adminToken: "the-admins-token" } })
      expect(yield* statuses(plain.url, admin)).toEqual([404, 404, 404])
    })
  )

  it.scoped("measures the load of a key without limits by the rate limit bucket of its model", () =>
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

describe("health routes", () => {
  it.scopedLive("answers health routes without a key, with a timestamp in seconds", () =>
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
