/** References of `/v1/responses` to earlier answers, over sockets: who gets an id, and who gets the content behind it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { ResponseStore } from "../../src/gateway/index.js"
import type { Service as PeerService } from "../../src/gateway/workers/peers.js"
import { Peers } from "../../src/gateway/workers/peers.js"
import type { Settings } from "./support/gateway.js"
import { start } from "./support/gateway.js"
import type { Answer } from "./support/http.js"
import { post, question, reading, send } from "./support/http.js"
import { openaiAccounts } from "./support/openaiAccounts.js"
import { chunksOf } from "./support/upstream.js"
import { eventually } from "../support/eventually.js"

const accountKeys = ["sk-first", "sk-second"]

const clients = ["sk-one-1234567890", "sk-other-1234567890"]

const as = (client: number) => ({ authorization: `Bearer ${clients[client] ?? ""}` })

const access = { keys: clients.map((key) => ({ key })) }

/** Two accounts as two keys of one model, and as two models of one group. */
const withAccounts = (settings: Settings = {}) =>
  Effect.gen(function* () {
    const accounts = yield* openaiAccounts
    const model = {
      model_name: "gpt",
      type: "responses",
      preset: "openai",
      base_url: accounts.baseUrl,
      rate_limit_capacity: 1000,
      rate_limit_refill_rate: 1000,
      max_retries: 1
    }
    const gateway = yield* start({
      access,
      ...settings,
      sections: {
        both: [{ ...model, api_keys: accountKeys }],
        one: [{ ...model, api_keys: accountKeys.slice(0, 1) }],
        two: [{ ...model, api_keys: accountKeys.slice(1) }],
        $groups: { grouped: { members: ["one/gpt", "two/gpt"] } }
      }
    })
    const ask = (model: string, fields: Readonly<Record<string, unknown>>, client = 0) =>
      post(`${gateway.url}/v1/responses`, { model, ...fields }, as(client))
    const at = (path: string, method = "GET", client = 0) =>
      send(`${gateway.url}/v1/responses/${path}`, { method, headers: as(client) })
    return { accounts, gateway, ask, at }
  })

const field = (json: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (value, name) => (typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined),
    json
  )

const idOf = ({ json, status, text }: Answer): string => {
  expect([status, text]).toEqual([200, text])
  return String(field(json, "id"))
}

/** The id of the answer at the end of a stream. */
const streamedIdOf = ({ text }: Answer): string => {
  const last = chunksOf(text).at(-1)
  return String(field(last, "response", "id"))
}

const textOf = ({ json }: Answer): unknown => {
  const output = field(json, "output")
  const message: unknown = Array.isArray(output) ? output.find((item) => field(item, "type") === "message") : undefined
  return field(message, "content", 0, "text")
}

describe("two OpenAI accounts behind one model", () => {
  it.scopedLive.each(["both/gpt", "grouped"])(
    "get only the ids of their own answers, whichever account a new conversation of %s reaches",
    (model) =>
      Effect.gen(function* () {
        const { accounts, ask } = yield* withAccounts()
        const conversation = (n: number) =>
          Effect.gen(function* () {
            const first = idOf(yield* ask(model, { input: `a${n}` }))
            const second = streamedIdOf(
              yield* ask(model, { input: `b${n}`, previous_response_id: first, stream: true })
            )
            const third = yield* ask(model, { input: `c${n}`, previous_response_id: second })
            expect(textOf(third)).toBe(`[a${n}][[a${n}]][b${n}][[a${n}][[a${n}]][b${n}]][c${n}]`)
          })
        yield* Effect.forEach(Array.from({ length: 16 }).keys(), conversation, { concurrency: 4 })
        expect(accounts.log).toHaveLength(48)
        expect(accounts.log.flatMap(({ unknown }) => unknown)).toEqual([])
        // Every turn reached the account by its id, and both accounts have conversations.
        const referring = accounts.log.filter(({ body }) => body["previous_response_id"] !== undefined)
        expect(referring).toHaveLength(32)
        expect(referring.every(({ account, body }) => String(body["previous_response_id"]).includes(account))).toBe(
          true
        )
        expect(new Set(accounts.log.map(({ account }) => account)).size).toBe(2)
      })
  )

  it.scopedLive("get no id and no encrypted reasoning of the other one while each in turn refuses", () =>
    Effect.gen(function* () {
      const { accounts, ask } = yield* withAccounts()
      const encrypted = { include: ["reasoning.encrypted_content"] }
      const referring = new Map<number, string>()
      const histories = new Map<number, ReadonlyArray<unknown>>()
      /** One turn of a conversation by ids and of one that the client sends whole. */
      const turns = (n: number, round: number) =>
        Effect.gen(function* () {
          const previous = referring.get(n)
          const next = yield* ask("both/gpt", {
            ...encrypted,
            input: `a${n}`,
            ...(previous === undefined ? {} : { previous_response_id: previous })
          })
          referring.set(n, idOf(next))
          expect(textOf(next)).toMatch(new RegExp(`\\[a${n}\\]$`))
          const input = [...(histories.get(n) ?? []), { role: "user", content: `b${n}` }]
          const whole = yield* ask("both/gpt", { ...encrypted, input, store: false })
          expect([whole.status, whole.text]).toEqual([200, whole.text])
          const output = field(whole.json, "output")
          histories.set(n, [...input, ...(Array.isArray(output) ? output : [])])
          expect(JSON.stringify(histories.get(n)).split("enc_")).toHaveLength(round + 2)
        })
      for (const [round, out] of [undefined, "sk-first", undefined, "sk-second", undefined].entries()) {
        for (const key of accountKeys) accounts.fail(key, key === out ? 429 : undefined)
        // An account that has refused is asked again after a second.
        yield* Effect.sleep(round === 0 ? 0 : 1100)
        yield* Effect.forEach(Array.from({ length: 6 }).keys(), (n) => turns(n, round), { concurrency: 3 })
      }
      expect(accounts.log.flatMap(({ unknown }) => unknown)).toEqual([])
      const own = accounts.log.filter(({ account, body }) => JSON.stringify(body).includes(`"enc_${account}_`))
      expect(new Set(own.map(({ account }) => account)).size).toBe(2)
    })
  )

  it.scopedLive("keep item references with the account that has the items", () =>
    Effect.gen(function* () {
      const { accounts, ask } = yield* withAccounts()
      for (let n = 0; n < 8; n++) {
        const first = yield* ask("both/gpt", { input: `a${n}` })
        const references = [0, 1].map((index) => ({
          type: "item_reference",
          id: field(first.json, "output", index, "id")
        }))
        const question = { role: "user", content: `b${n}` }
        const second = yield* ask("both/gpt", { input: [{ role: "user", content: `a${n}` }, ...references, question] })
        expect(textOf(second)).toBe(`[a${n}][[a${n}]][b${n}]`)
      }
      expect(accounts.log.flatMap(({ unknown }) => unknown)).toEqual([])
    })
  )

  it.scopedLive.each(["both/gpt", "grouped"])(
    "get the content of a conversation of %s whose account is out, without ids and reasoning of that account",
    (model) =>
      Effect.gen(function* () {
        const { accounts, ask } = yield* withAccounts()
        const first = idOf(yield* ask(model, { input: "a" }))
        const owner = accounts.log[0]?.account ?? ""
        for (const status of [429, 401]) {
          accounts.fail(owner, status)
          const next = yield* ask(model, { input: "b", previous_response_id: first })
          expect(textOf(next)).toBe("[a][[a]][b]")
          expect(field(next.json, "id")).not.toContain(owner)
        }
        const { account, body, unknown } = accounts.log.at(-1) ?? {}
        expect(account).not.toBe(owner)
        expect(unknown).toEqual([])
        expect(JSON.stringify(body)).not.toMatch(/rs_|msg_|resp_/)
      })
  )

  it.scopedLive(
    "get the content of a conversation whose key was removed, without ids and reasoning of its account",
    () =>
      Effect.gen(function* () {
        const { accounts, ask, gateway } = yield* withAccounts()
        const first = idOf(yield* ask("both/gpt", { input: "a", include: ["reasoning.encrypted_content"] }))
        const owner = accounts.log[0]?.account ?? ""
        const { keys } = yield* gateway.models.get("both/gpt")
        const id = (yield* keys?.status ?? Effect.dieMessage("no keys")).keys[accountKeys.indexOf(owner)]?.id ?? ""
        expect(yield* keys?.remove(id) ?? Effect.succeed(false)).toBe(true)
        for (let n = 0; n < 3; n++) {
          const next = yield* ask("both/gpt", { input: "b", previous_response_id: first })
          expect(textOf(next)).toBe("[a][[a]][b]")
          const { account, body, unknown } = accounts.log.at(-1) ?? {}
          expect(account).not.toBe(owner)
          expect(unknown).toEqual([])
          expect(JSON.stringify(body)).not.toMatch(/rs_|msg_|resp_|enc_/)
        }
      })
  )

  it.scopedLive("get the content of a conversation that its own account has forgotten", () =>
    Effect.gen(function* () {
      const { accounts, ask } = yield* withAccounts()
      const first = idOf(yield* ask("one/gpt", { input: "a" }))
      // The other account is the only one of this model.
      const next = yield* ask("two/gpt", { input: "b", previous_response_id: first })
      expect(textOf(next)).toBe("[a][[a]][b]")
      expect(accounts.log.flatMap(({ unknown }) => unknown)).toEqual([])
    })
  )
})

describe("a container of an OpenAI account", () => {
  it.scopedLive.each([true, false])(
    "stays with its account and with the client key that got it, with store: %s",
    (store) =>
      Effect.gen(function* () {
        const { accounts, ask } = yield* withAccounts()
        const run = (container: unknown, client = 0) =>
          ask("both/gpt", { input: "a", store, tools: [{ type: "code_interpreter", container }] }, client)
        for (let n = 0; n < 6; n++) {
          const first = yield* run({ type: "auto" })
          const container = field(first.json, "output", 2, "container_id")
          expect(container).toMatch(/^cntr_/)
          idOf(yield* run(container))
          expect((yield* run(container, 1)).status).toBe(404)
        }
        expect(accounts.log).toHaveLength(12)
        expect(accounts.log.flatMap(({ unknown }) => unknown)).toEqual([])
        expect(new Set(accounts.log.map(({ account }) => account)).size).toBe(2)
        const [{ account } = { account: "" }] = accounts.log
        accounts.fail(account, 429)
        const made = `cntr_${account}_1`
        // No other account has it, so the refusal of its own is the answer.
        expect((yield* run(made)).status).toBe(429)
        expect(accounts.log.at(-1)?.account).toBe(account)
      })
  )
})

describe("references across providers", () => {
  it.scopedLive.each(["openai", "anthropic", "gemini", "responses"])(
    "continue at %s a conversation that began at an OpenAI account, and go back",
    (upstream) =>
      Effect.gen(function* () {
        const { accounts, ask, gateway } = yield* withAccounts()
        const first = idOf(yield* ask("one/gpt", { input: "a" }))
        const second = yield* ask(`${upstream}/large`, { input: "b", previous_response_id: first })
        expect(textOf(second)).toBe("You said: b")
        expect(field(second.json, "previous_response_id")).toBe(
          upstream === "responses" ? field(second.json, "previous_response_id") : first
        )
        const sent = JSON.stringify((yield* gateway.provider.log).at(-1))
        expect(sent).toContain("[a]")
        expect(sent).not.toContain(first)
        const third = yield* ask("one/gpt", { input: "c", previous_response_id: idOf(second) })
        expect(textOf(third)).toBe("[a][[a]][b][You said: b][c]")
        expect(accounts.log.flatMap(({ unknown }) => unknown)).toEqual([])
      })
  )

  it.scopedLive("give answers of all providers ids that differ, whole and streamed", () =>
    Effect.gen(function* () {
      const { ask } = yield* withAccounts()
      const ids = yield* Effect.forEach(["openai", "anthropic", "gemini"], (upstream) =>
        Effect.forEach([0, 1], () =>
          Effect.zipWith(
            Effect.map(ask(`${upstream}/large`, { input: "a" }), idOf),
            Effect.map(ask(`${upstream}/large`, { input: "a", stream: true }), streamedIdOf),
            (whole, streamed) => [whole, streamed]
          )
        )
      )
      expect(new Set(ids.flat(2)).size).toBe(12)
      for (const id of ids.flat(2)) expect(id).toMatch(/^resp_/)
    })
  )
})

describe("a stored answer", () => {
  it.scopedLive("is returned, listed with its input and deleted, and does not exist for another client key", () =>
    Effect.gen(function* () {
      const { ask, at } = yield* withAccounts()
      const first = yield* ask("anthropic/large", { input: "a" })
      const id = idOf(first)
      const second = idOf(yield* ask("anthropic/large", { input: "b", previous_response_id: id }))
      expect((yield* at(id)).json).toEqual(first.json)
      const items = yield* at(`${second}/input_items?order=asc&limit=2`)
      expect(items.json).toMatchObject({
        object: "list",
        has_more: true,
        data: [
          { type: "message", role: "user", content: [{ type: "input_text", text: "a" }] },
          { type: "message", role: "assistant", content: [{ type: "output_text", text: "You said: a" }] }
        ]
      })
      const rest = yield* at(`${second}/input_items?order=asc&after=${String(field(items.json, "last_id"))}`)
      expect(rest.json).toMatchObject({ has_more: false, data: [{ content: [{ text: "b" }] }] })

      const missing = (yield* at("resp_none")).json
      for (const [path, method] of [
        [id, "GET"],
        [`${id}/input_items`, "GET"],
        [`${id}/cancel`, "POST"],
        [id, "DELETE"]
      ] as const) {
        const foreign = yield* at(path, method, 1)
        expect(foreign.status).toBe(404)
        expect(foreign.text.replace(id, "resp_none")).toBe(JSON.stringify(missing))
      }
      const used = yield* ask("anthropic/large", { input: "b", previous_response_id: id }, 1)
      expect([used.status, field(used.json, "error", "code")]).toEqual([404, "previous_response_not_found"])
      const item = field(first.json, "output", 0, "id")
      const referring = yield* ask("anthropic/large", { input: [{ type: "item_reference", id: item }] }, 1)
      expect(referring.status).toBe(404)

      expect((yield* at(`${id}/cancel`, "POST")).status).toBe(400)
      expect((yield* at(id, "DELETE")).json).toEqual({ id, object: "response", deleted: true })
      expect((yield* at(id)).status).toBe(404)
      expect((yield* ask("anthropic/large", { input: [{ type: "item_reference", id: item }] })).status).toBe(404)
      // The answer after it needs it, and says so.
      const broken = yield* ask("anthropic/large", { input: "c", previous_response_id: second })
      expect([broken.status, field(broken.json, "error", "message")]).toEqual([
        404,
        expect.stringContaining("Send the whole conversation in 'input'")
      ])
    })
  )

  it.scopedLive("is not stored when the client says so, when its stream is cut off, and when it fails", () =>
    Effect.gen(function* () {
      const { accounts, ask, at, gateway } = yield* withAccounts()
      expect((yield* at(idOf(yield* ask("anthropic/large", { input: "a", store: false })))).status).toBe(404)
      accounts.delayBy(60_000)
      const stream = yield* reading(
        `${gateway.url}/v1/responses`,
        { model: "one/gpt", input: "a", stream: true },
        as(0)
      )
      yield* eventually(Effect.sync(() => accounts.open() === 1))
      yield* stream.disconnect
      yield* eventually(Effect.sync(() => accounts.open() === 0))
      expect((yield* at("resp_sk-first_1")).status).toBe(404)
    })
  )

  it.scopedLive("that could not be read is a 503, and everything that refers to nothing is answered", () =>
    Effect.gen(function* () {
      const memory = yield* ResponseStore.makeMemory()
      const away = new ResponseStore.ResponseStoreError({ operation: "get", detail: "away" })
      const { ask, at } = yield* Effect.provideService(withAccounts(), ResponseStore.ResponseStore, {
        ...memory,
        get: () => away,
        set: () => away
      })
      const id = idOf(yield* ask("anthropic/large", { input: "a" }))
      for (const refused of [
        yield* at(id),
        yield* ask("anthropic/large", { input: "a", previous_response_id: id }),
        yield* ask("anthropic/large", { input: "a", background: true })
      ]) {
        expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"])
      }
    })
  )

  it.effect("expires when it is not used, and stays when it is, in a store that makes room for later ones", () =>
    Effect.gen(function* () {
      const expiring = yield* ResponseStore.makeMemory({ ttl: "1 minute" })
      for (const key of ["a", "b"]) expiring.unsafeSet(key, key)
      yield* TestClock.adjust("40 seconds")
      yield* expiring.get("a")
      yield* TestClock.adjust("40 seconds")
      expect((yield* expiring.get("a"))._tag).toBe("Some")
      expect((yield* expiring.get("b"))._tag).toBe("None")
      const { get, remove, unsafeSet } = yield* ResponseStore.makeMemory({ maxEntries: 2 })
      for (const key of ["a", "b", "c"]) unsafeSet(key, key)
      expect((yield* get("a"))._tag).toBe("None")
      expect((yield* get("b"))._tag).toBe("Some")
      expect(yield* remove("b")).toBe(true)
      expect(yield* remove("b")).toBe(false)
      const small = yield* ResponseStore.makeMemory({ maxBytes: 10 })
      small.unsafeSet("large", "x".repeat(10))
      expect((yield* small.get("large"))._tag).toBe("None")
    })
  )

  it.scopedLive("is refused by name without a store, and the refusal says how to go on", () =>
    Effect.gen(function* () {
      const { ask, at } = yield* withAccounts({ gateway: { responses: false } })
      for (const fields of [
        { input: "b", previous_response_id: "resp_1" },
        { input: [{ type: "item_reference", id: "msg_1" }] },
        { input: "b", background: true }
      ]) {
        const refused = yield* ask("anthropic/large", fields)
        expect([refused.status, field(refused.json, "error", "message")]).toEqual([
          400,
          expect.stringContaining("Send the whole conversation in 'input' with 'store: false'")
        ])
      }
      expect((yield* at("resp_1")).status).toBe(400)
    })
  )

  it.scopedLive("counts in the size of a request that its content is sent with", () =>
    Effect.gen(function* () {
      const { ask } = yield* withAccounts({ gateway: { maxBodySize: 10_000 } })
      let answer = yield* ask("anthropic/large", { input: "x".repeat(3000) })
      for (let turn = 0; turn < 10 && answer.status === 200; turn++) {
        answer = yield* ask("anthropic/large", { input: "x".repeat(1000), previous_response_id: idOf(answer) })
      }
      expect([answer.status, field(answer.json, "error", "code")]).toEqual([413, "request_too_large"])
      idOf(yield* ask("anthropic/large", { input: "short" }))
    })
  )

  it.scopedLive("is stored by one of several workers only in a store that they share", () =>
    Effect.gen(function* () {
      const alone: PeerService = {
        metrics: Effect.succeed([]),
        reports: () => Effect.succeed([]),
        onReport: () => Effect.void,
        requests: () => Effect.succeed([]),
        onRequests: () => Effect.void,
        bodies: () => Effect.succeedNone,
        onBodies: () => Effect.void,
        perform: () => Effect.void,
        onPerform: () => Effect.void,
        divided: true,
        leaving: Effect.never,
        left: Effect.void,
        graceLeft: Effect.succeed
      }
      const memory = yield* ResponseStore.makeMemory()
      const storedAt = (isShared: boolean) =>
        Effect.gen(function* () {
          const { ask, at } = yield* withAccounts()
          return (yield* at(idOf(yield* ask("anthropic/large", { input: "a" })))).status
        }).pipe(
          Effect.provideService(Peers, alone),
          Effect.provideService(ResponseStore.ResponseStore, { ...memory, isShared })
        )
      expect(yield* storedAt(false)).toBe(400)
      expect(yield* storedAt(true)).toBe(200)
    })
  )

  it.scopedLive("is found at the gateways that share its store", () =>
    Effect.gen(function* () {
      const store = yield* ResponseStore.makeMemory()
      const shared = Layer.succeed(ResponseStore.ResponseStore, { ...store, isShared: true })
      const first = yield* Effect.provide(withAccounts(), shared)
      const second = yield* Effect.provide(withAccounts(), shared)
      const id = idOf(yield* first.ask("anthropic/large", { input: "a" }))
      expect(idOf(yield* second.at(id))).toBe(id)
    })
  )
})

describe("a thread of Anthropic", () => {
  it.scopedLive("is refused by name for models of other protocols, which do not have its history", () =>
    Effect.gen(function* () {
      const { gateway } = yield* withAccounts()
      const ask = (model: string) =>
        post(`${gateway.url}/v1/messages`, question("messages", model, { thread: { type: "continue" } }), as(0))
      const refused = yield* ask("openai/large")
      expect([refused.status, field(refused.json, "error", "message")]).toEqual([
        400,
        expect.stringContaining("'thread' of type 'continue'")
      ])
      expect((yield* ask("anthropic/large")).status).toBe(200)
    })
  )
})
