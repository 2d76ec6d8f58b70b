/** `background: true` by the official clients over sockets: the id at once, the answer by polling, and its usage when it is done. */
import { createOpenAI } from "@ai-sdk/openai"
import { describe, expect, it } from "@effect/vitest"
import { generateText, streamText } from "ai"
import { Duration, Effect, Layer, Option } from "effect"
import OpenAI from "openai"
import { UsageLedger } from "../../src/index.js"
import { ResponseStore } from "../../src/gateway/index.js"
import { eventually } from "../support/eventually.js"
import type { Settings } from "../gateway/support/gateway.js"
import { makeGate, start } from "../gateway/support/gateway.js"
import { post, send } from "../gateway/support/http.js"

const upstreams = ["openai", "anthropic", "gemini", "responses"] as const

const clientOf = (url: string, apiKey = "anything") => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 })

const pollEnd = async (client: OpenAI, begun: OpenAI.Responses.Response): Promise<OpenAI.Responses.Response> => {
  let response = begun
  while (response.status === "queued" || response.status === "in_progress") {
    await new Promise((resolve) => setTimeout(resolve, 10))
    response = await client.responses.retrieve(begun.id)
  }
  return response
}

/** A gateway whose calls wait for a gate. */
const gated = (settings: Settings = {}) =>
  Effect.gen(function* () {
    const gate = yield* makeGate
    const gateway = yield* start({ ...settings, gateway: { around: gate.around, ...settings.gateway } })
    return { gate, gateway, client: clientOf(gateway.url) }
  })

describe("a background response", () => {
  it.scopedLive.each(upstreams)("of %s is in progress at once, and complete when it is polled later", (upstream) =>
    Effect.gen(function* () {
      const { client, gate } = yield* gated()
      const begun = yield* Effect.promise(() =>
        client.responses.create({ model: `${upstream}/large`, input: "Hello", background: true })
      )
      expect(begun).toMatchObject({ status: "in_progress", background: true, output: [] })
      const early = yield* Effect.promise(() => client.responses.retrieve(begun.id))
      expect(early).toMatchObject({ id: begun.id, status: "in_progress" })
      yield* gate.open
      const end = yield* Effect.promise(() => pollEnd(client, begun))
      expect(end).toMatchObject({ id: begun.id, status: "completed", background: true })
      expect(end.output_text).toBe("You said: Hello")
      const next = yield* Effect.promise(() =>
        client.responses.create({
          model: `${upstream}/large`,
          input: "And now?",
          previous_response_id: begun.id,
          background: true
        })
      )
      const last = yield* Effect.promise(() => pollEnd(client, next))
      expect(last.output_text).toBe("You said: And now?")
    })
  )

  it.scopedLive("is booked in the ledger with the usage of its answer", () =>
    Effect.gen(function* () {
      const ledger = yield* UsageLedger.make()
      const { client, gateway } = yield* gated({
        gateway: {
          around: (llm) => Effect.provideService(UsageLedger.middleware()(llm), UsageLedger.UsageLedger, ledger)
        }
      })
      const begun = yield* Effect.promise(() =>
        client.responses.create({ model: "anthropic/large", input: "Hello", background: true })
      )
      const end = yield* Effect.promise(() => pollEnd(client, begun))
      const { total: totals } = yield* ledger.snapshot
      expect(totals.usage.outputTokens).toBe(end.usage?.output_tokens)
      expect(totals.usage.outputTokens).toBeGreaterThan(0)
      expect((yield* gateway.provider.log)[0]?.body).not.toHaveProperty("background")
    })
  )

  it.scopedLive("spends the budget of its key, which refuses the next one", () =>
    Effect.gen(function* () {
      const key = "sk-one-1234567890"
      const { url } = yield* start({
        access: { keys: [{ key, budget: { tokens: 100 } }] }
      })
      const client = clientOf(url, key)
      const ask = async () =>
        pollEnd(
          client,
          await client.responses.create({
            model: "openai/large",
            input: "Hello",
            max_output_tokens: 20,
            background: true
          })
        )
      const first = yield* Effect.promise(ask)
      expect(first.status).toBe("completed")
      let last = first
      for (let spent = 0; spent <= 100 && last.status === "completed"; spent += last.usage?.total_tokens ?? 0) {
        last = yield* Effect.promise(ask)
      }
      expect(last).toMatchObject({
        status: "failed",
        error: { code: "rate_limit_exceeded", message: expect.stringContaining("budget") }
      })
    })
  )

  it.scopedLive("is cancelled with its call, and then cannot be continued as if it were complete", () =>
    Effect.gen(function* () {
      const { client, gate } = yield* gated()
      const begun = yield* Effect.promise(() =>
        client.responses.create({ model: "openai/large", input: "Hello", background: true })
      )
      yield* eventually(Effect.map(gate.waiting, (waiting) => waiting === 1))
      const cancelled = yield* Effect.promise(() => client.responses.cancel(begun.id))
      expect(cancelled).toMatchObject({ id: begun.id, status: "cancelled" })
      expect(yield* gate.waiting).toBe(0)
      yield* gate.open
      const again = yield* Effect.promise(() => client.responses.cancel(begun.id))
      expect(again.status).toBe("cancelled")
    })
  )

  it.scopedLive("that fails says why, and one that is in progress cannot be continued", () =>
    Effect.gen(function* () {
      const { client, gate, gateway } = yield* gated({ provider: { keys: [] } })
      const begun = yield* Effect.promise(() =>
        client.responses.create({ model: "openai/large", input: "Hello", background: true })
      )
      const early = yield* post(`${gateway.url}/v1/responses`, {
        model: "openai/large",
        input: "b",
        previous_response_id: begun.id
      })
      expect([early.status, early.text]).toEqual([400, expect.stringContaining("still in progress")])
      yield* gate.open
      const end = yield* Effect.promise(() => pollEnd(client, begun))
      expect(end).toMatchObject({
        status: "failed",
        error: { code: "server_error", message: expect.stringContaining("refused the gateway's credentials") }
      })
    })
  )

  it.scopedLive("is refused beyond the bound, with a stream, and where it is not to be stored", () =>
    Effect.gen(function* () {
      const { gateway } = yield* gated({ gateway: { maxBackground: 1 } })
      const ask = (fields: object) =>
        post(`${gateway.url}/v1/responses`, { model: "openai/large", input: "a", background: true, ...fields })
      expect((yield* ask({ stream: true })).status).toBe(400)
      expect((yield* ask({ store: false })).status).toBe(400)
    })
  )

  it.scopedLive("beyond the bound is refused with 429 until another one has ended", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      const { url } = yield* start({ gateway: { around: gate.around, maxBackground: 1 } })
      const ask = post(`${url}/v1/responses`, { model: "openai/large", input: "a", background: true })
      expect((yield* ask).status).toBe(200)
      expect((yield* ask).status).toBe(429)
      yield* gate.open
      yield* eventually(Effect.map(ask, ({ status }) => status === 200))
    })
  )

  it.scopedLive("is shown and cancelled at another gateway that shares the store", () =>
    Effect.gen(function* () {
      const store = yield* ResponseStore.makeMemory()
      const shared = Layer.succeed(ResponseStore.ResponseStore, { ...store, isShared: true })
      const { client, gate } = yield* Effect.provide(gated(), shared)
      const other = clientOf((yield* Effect.provide(start(), shared)).url)
      const begun = yield* Effect.promise(() =>
        client.responses.create({ model: "openai/large", input: "Hello", background: true })
      )
      expect((yield* Effect.promise(() => other.responses.retrieve(begun.id))).status).toBe("in_progress")
      yield* eventually(Effect.map(gate.waiting, (waiting) => waiting === 1))
      expect((yield* Effect.promise(() => other.responses.cancel(begun.id))).status).toBe("cancelled")
      expect(yield* gate.waiting).toBe(0)
    })
  )

  it.scopedLive("has failed when the gateway that made it shows no sign of life", () =>
    Effect.gen(function* () {
      const store = yield* ResponseStore.makeMemory()
      const shared = Layer.succeed(ResponseStore.ResponseStore, { ...store, isShared: true })
      const { url } = yield* Effect.provide(start(), shared)
      const gone = {
        version: 1,
        response: { id: "resp_gone", status: "in_progress", background: true, created_at: 1, output: [] },
        input: []
      }
      store.unsafeSet(JSON.stringify(["", "response", "resp_gone"]), JSON.stringify(gone))
      expect((yield* send(`${url}/v1/responses/resp_gone`)).json).toMatchObject({ status: "failed" })
    })
  )

  it.scopedLive("has failed when the gateway shuts down before its end", () =>
    Effect.gen(function* () {
      const store = yield* ResponseStore.makeMemory()
      const id = yield* Effect.scoped(
        Effect.gen(function* () {
          const { client } = yield* gated({ gateway: { grace: Duration.millis(50) } })
          return (yield* Effect.promise(() =>
            client.responses.create({ model: "openai/large", input: "Hello", background: true })
          )).id
        })
      ).pipe(Effect.provideService(ResponseStore.ResponseStore, store))
      const text = yield* store.get(JSON.stringify(["", "response", id]))
      expect(Option.getOrElse(text, () => "")).toContain("The gateway is shutting down.")
    })
  )
})

describe.each(upstreams)("the AI SDK in front of %s", (upstream) => {
  it.scopedLive("continues by item references, which it sends by default, and by previousResponseId", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const model = createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" }).responses(`${upstream}/large`)
      const first = yield* Effect.promise(() => generateText({ model, prompt: "One", maxRetries: 0 }))
      const second = yield* Effect.promise(() =>
        generateText({
          model,
          maxRetries: 0,
          messages: [{ role: "user", content: "One" }, ...first.response.messages, { role: "user", content: "Two" }]
        })
      )
      expect(second.text).toBe("You said: Two")
      expect(JSON.stringify((yield* provider.log).at(-1)?.body)).toContain("You said: One")
      const third = yield* Effect.promise(async () => {
        const stream = streamText({
          model,
          prompt: "Three",
          maxRetries: 0,
          providerOptions: { openai: { previousResponseId: second.response.id } }
        })
        return stream.text
      })
      expect(third).toBe("You said: Three")
      const sent = JSON.stringify((yield* provider.log).at(-1)?.body)
      for (const text of ["You said: One", "You said: Two"]) expect(sent).toContain(text)
      expect(sent).not.toMatch(/item_reference|previous_response_id/)
    })
  )
})
