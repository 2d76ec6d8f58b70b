/** Requests that the gateway refuses, and calls that end without an answer, in the access log, the metrics and the dashboard. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import { callerLabel } from "../../src/telemetry/boundedLabel.js"
import { read } from "../support/exposition.js"
import { eventually } from "../support/eventually.js"
import * as DashboardGateway from "./support/dashboard.js"
import type { Settings } from "./support/gateway.js"
import { start, waitUntilIdle } from "./support/gateway.js"
import { paths, post, question, reading, send } from "./support/http.js"
import { serve } from "./support/serving.js"

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

/** An access log that collects its entries. */
const collecting = () => {
  const entries: Array<AccessLog.Entry> = []
  const observe = AccessLog.middleware({
    filter: (entry) => {
      entries.push(entry)
      return false
    }
  })
  return { entries, observe }
}

const logged = (settings: Settings) => {
  const { entries, observe } = collecting()
  return Effect.map(start({ ...settings, gateway: { ...settings.gateway, observe } }), (gateway) => ({
    ...gateway,
    entries
  }))
}

const summaryOf = ({ label, model, operation, outcome, status, streamed }: AccessLog.Entry) => [
  status,
  outcome,
  label,
  model,
  operation,
  streamed
]

const team = { key: "sk-team", label: "team" }

describe("a refused request", () => {
  it.scopedLive("is in the access log once, with the status of its response, its label and the model it names", () =>
    Effect.gen(function* () {
      const { entries, provider, url } = yield* logged({
        access: { keys: [team, { key: "sk-limited", label: "limited", models: ["openai/large"] }] },
        gateway: { maxBodySize: 2000 }
      })
      const chat = `${url}/v1/chat/completions`
      const ask = question("chat completions", "openai/large")
      const statuses = [
        yield* post(chat, ask, bearer("sk-wrong")),
        yield* send(chat, { method: "POST", headers: bearer("sk-team"), body: "not JSON" }),
        yield* post(chat, { ...ask, messages: 7, stream: true }, bearer("sk-team")),
        yield* post(chat, { ...ask, n: 0 }, bearer("sk-team")),
        yield* post(chat, { ...ask, model: "nowhere" }, bearer("sk-team")),
        yield* post(`${url}/v1/messages`, question("messages", "gemini/large"), bearer("sk-limited")),
        yield* post(chat, { ...ask, user: "x".repeat(3000) }, bearer("sk-team")),
        yield* post(`${url}/v1/embeddings`, { model: "nowhere", input: "a" }, bearer("sk-team")),
        yield* post(`${url}/llm/chat/stream`, { model: "nowhere", messages: ask }, bearer("sk-team")),
        yield* post(`${url}/v1/messages/count_tokens`, question("messages", "gemini/large"), bearer("sk-limited")),
        yield* post(`${url}/v1/messages/count_tokens`, question("messages", "openai/large"), bearer("sk-wrong")),
        yield* post(`${url}/v1/messages/count_tokens`, question("messages", "openai/large"), bearer("sk-team")),
        yield* post(chat, ask, bearer("sk-team"))
      ].map(({ status }) => status)
      expect(statuses).toEqual([401, 400, 400, 400, 404, 404, 413, 404, 400, 404, 401, 200, 200])
      expect(entries.map(summaryOf)).toEqual([
        [401, "AuthenticationError", "", "", "chat", false],
        [400, "InvalidRequestError", "team", "", "chat", false],
        [400, "InvalidRequestError", "team", "openai/large", "chat", true],
        [400, "InvalidRequestError", "team", "openai/large", "chat", false],
        [404, "ModelNotFoundError", "team", "nowhere", "chat", false],
        [404, "ModelNotFoundError", "limited", "gemini/large", "chat", false],
        [413, "InvalidRequestError", "team", "", "chat", false],
        [404, "ModelNotFoundError", "team", "nowhere", "embeddings", false],
        [400, "InvalidRequestError", "team", "nowhere", "chat", true],
        [404, "ModelNotFoundError", "limited", "gemini/large", "chat", false],
        [401, "AuthenticationError", "", "", "chat", false],
        [200, "ok", "team", "large", "chat", false]
      ])
      expect(entries.every(({ requestId }) => requestId.startsWith("req_"))).toBe(true)
      expect(yield* provider.log).toHaveLength(1)
    })
  )

  it.scopedLive("logs the status of the client's response for calls that fail, not that of the provider", () =>
    Effect.gen(function* () {
      const { entries, provider, url } = yield* logged({
        access: {
          keys: [
            { ...team, rateLimit: { requestsPerMinute: 2 } },
            { key: "sk-poor", label: "poor", budget: { tokens: 1 } }
          ]
        }
      })
      const ask = question("messages", "anthropic/large")
      yield* provider.next(SimulatedProvider.status(401), SimulatedProvider.status(529))
      const statuses = [
        yield* post(`${url}/v1/messages`, ask, bearer("sk-team")),
        yield* post(`${url}/v1/messages`, ask, bearer("sk-team")),
        yield* post(`${url}/v1/messages`, ask, bearer("sk-team")),
        yield* post(`${url}/v1/messages`, ask, bearer("sk-poor"))
      ].map(({ status }) => status)
      expect(entries.map(({ status }) => status)).toEqual(statuses)
      expect(statuses.slice(2)).toEqual([429, 402])
      expect(entries.slice(2).map(({ label, outcome }) => [label, outcome])).toEqual([
        ["team", "RateLimitError"],
        ["poor", "BudgetExceededError"]
      ])
    })
  )

  it.scopedLive("does not show a call to the observers twice", () =>
    Effect.gen(function* () {
      const { entries, provider, url } = yield* logged({})
      yield* provider.next(SimulatedProvider.status(400))
      expect((yield* post(`${url}/v1/messages`, question("messages", "openai/large"))).status).toBe(400)
      expect(entries).toHaveLength(1)
    })
  )

  it.scopedLive("is answered all the same when an observer dies", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ gateway: { observe: () => Effect.die("no observer") } })
      const refused = yield* post(`${url}/v1/messages`, question("messages", "nowhere"))
      expect(refused.status).toBe(404)
      expect(refused.json).toMatchObject({ error: { type: "not_found_error" } })
    })
  )
})

describe("the metrics of a gateway", () => {
  it.scopedLive("count requests, tokens, costs and refusals by the label of the client's key", () =>
    Effect.gen(function* () {
      const label = "metered-team"
      const { url } = yield* serve({
        models: {},
        access: { keys: [{ key: "sk-metered", label }] },
        file: (baseUrl) => ({
          metered: [
            { model_name: "m", base_url: baseUrl, api_keys: ["k"], price: { input: 0, output: 0, request: 0.25 } }
          ]
        })
      })
      const chat = `${url}/v1/chat/completions`
      const ask = question("chat completions", "metered/m")
      yield* post(chat, ask, bearer("sk-metered"))
      const streamed = yield* post(chat, { ...ask, stream: true }, bearer("sk-metered"))
      expect(streamed.text).toContain("[DONE]")
      yield* post(chat, { ...ask, model: "canary-model" }, bearer("sk-metered"))
      const { text } = yield* send(`${url}/metrics`)
      const samplesOf = (name: string) =>
        (read(text).find((family) => family.name === name)?.samples ?? []).filter(
          ({ labels }) => labels["label"] === label
        )
      expect(samplesOf("llm_requests_total")).toMatchObject([
        { labels: { provider: "metered", model: "m", outcome: "ok" }, value: 2 }
      ])
      expect(samplesOf("llm_tokens_total").map(({ labels }) => labels["kind"])).toEqual(["input", "output"])
      expect(samplesOf("llm_cost_dollars_total")).toMatchObject([
        { labels: { provider: "metered", model: "m" }, value: 0.5 }
      ])
      expect(samplesOf("llm_gateway_errors_total")).toMatchObject([
        { labels: { status: "404", code: "model_not_found" }, value: 1 }
      ])
      // A client can send any name, so it is not a label.
      expect(text).not.toContain("canary-model")
    })
  )
})

describe("the dashboard", () => {
  it.scopedLive("counts refused requests as a series of their own, and measures no latency of them", () =>
    Effect.gen(function* () {
      const page = new URL("./nowhere/", import.meta.url)
      const { dashboard, url } = yield* DashboardGateway.start({ page, access: { keys: [team] } })
      yield* post(`${url}/v1/chat/completions`, question("chat completions", "openai/large"), bearer("sk-wrong"))
      yield* post(`${url}/v1/chat/completions`, question("chat completions", "nowhere"), bearer("sk-team"))
      const { buckets } = yield* dashboard.snapshot
      expect(Object.assign({}, ...buckets.map(({ outcomes }) => outcomes))).toEqual({ refused: 2 })
      expect(buckets.every(({ latency }) => latency === undefined)).toBe(true)
    })
  )
})

describe("an interrupted call", () => {
  for (const stream of [false, true]) {
    it.scopedLive(
      `is logged with its key and its attempts when the client disconnects before ${stream ? "the first event of its stream" : "its answer"}`,
      () =>
        Effect.gen(function* () {
          const running = yield* logged({ entry: { max_retries: 2, retry_delay: 0.001 } })
          yield* running.provider.next(SimulatedProvider.status(500), SimulatedProvider.hang())
          const body = question("chat completions", "openai/large", { stream })
          const client = yield* reading(running.url + paths["chat completions"], body)
          yield* eventually(Effect.map(running.provider.log, (log) => log.length > 0))
          yield* eventually(Effect.map(running.provider.inFlight, (requests) => requests === 1))
          yield* client.disconnect
          yield* waitUntilIdle(running)
          yield* eventually(Effect.sync(() => running.entries.length === 1))
          const [entry] = running.entries
          expect(entry).toMatchObject({ outcome: "interrupted", streamed: stream })
          expect(entry?.status).toBeUndefined()
          expect(entry?.keyId).toMatch(/^key-/)
          expect(entry?.attempts.map(({ error }) => error)).toEqual(["ProviderUnavailableError", "interrupted"])
          expect(entry?.attempts.at(-1)?.keyId).toBe(entry?.keyId)
        })
    )
  }

  it.scopedLive(
    "is logged with its key, its attempts and its status when the client disconnects within its stream",
    () =>
      Effect.gen(function* () {
        const running = yield* logged({ provider: { answer: () => "one two three four five six seven" } })
        yield* running.provider.next(SimulatedProvider.hang(5))
        const client = yield* reading(
          running.url + paths.messages,
          question("messages", "openai/large", { stream: true })
        )
        yield* eventually(Effect.map(client.text, (text) => text.includes("two")))
        yield* client.disconnect
        yield* waitUntilIdle(running)
        yield* eventually(Effect.sync(() => running.entries.length === 1))
        const [entry] = running.entries
        expect(entry).toMatchObject({ outcome: "interrupted", status: 200, usage: { estimated: true } })
        expect(entry?.keyId).toMatch(/^key-/)
        expect(entry?.attempts).toHaveLength(1)
      })
  )
})

describe("labels of metrics", () => {
  it("count callers beyond a thousand together", () => {
    const values = new Set(Array.from({ length: 1500 }, (_, index) => callerLabel(`caller-${index}`)))
    expect(values.size).toBeLessThanOrEqual(1001)
    expect(values).toContain("other")
    expect(callerLabel("caller-0")).toBe("caller-0")
    expect(callerLabel("")).toBe("")
  })
})
