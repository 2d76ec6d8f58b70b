/** Access control over sockets: keys with their models, limits, budgets and expiry, and the admin token. */
import { describe, expect, it } from "@effect/vitest"
import {
  ConfigProvider,
  DateTime,
  Effect,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Option,
  Redacted,
  Ref,
  TestClock
} from "effect"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import { Access, AccessStore, Gateway, GatewayServer } from "../../src/gateway/index.js"
import * as Models from "../../src/models/Models.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { eventually } from "../support/eventually.js"
import { makeGate, start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question, send } from "./support/http.js"

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

const ask = (url: string, key: string, model = "openai/large", protocol: Protocol = "chat completions") =>
  post(url + paths[protocol], question(protocol, model), bearer(key))

const some = (secret: string) => Option.some(Redacted.make(secret))

describe("a virtual key", () => {
  const access = { keys: [{ key: "sk-a", label: "team-a" }] }

  it.scopedLive(
    "authenticates every route with a key sent as Authorization: Bearer or x-api-key, and answers others with 401",
    () =>
      Effect.gen(function* () {
        const { url } = yield* start({ access })
        for (const protocol of Object.keys(paths) as ReadonlyArray<Protocol>) {
          const statusWith = (headers: Readonly<Record<string, string>>) =>
            Effect.map(post(url + paths[protocol], question(protocol, "openai/large"), headers), ({ status }) => status)
          expect(yield* statusWith(bearer("sk-a"))).toBe(200)
          expect(yield* statusWith({ "x-api-key": "sk-a" })).toBe(200)
          expect(yield* statusWith({})).toBe(401)
          expect(yield* statusWith(bearer("sk-b"))).toBe(401)
          expect(yield* statusWith(bearer(""))).toBe(401)
          expect(yield* statusWith({ authorization: "Basic sk-a" })).toBe(401)
          expect(yield* statusWith({ "x-api-key": "sk-a x" })).toBe(401)
        }
        const { headers, json } = yield* ask(url, "nonsense")
        expect(headers.get("www-authenticate")).toBe("Bearer")
        expect(json).toMatchObject({ error: { code: "invalid_api_key", type: "authentication_error" } })
        expect((yield* send(`${url}/v1/models`)).status).toBe(401)
        expect((yield* post(`${url}/v1/embeddings`, { model: "openai/large", input: "x" })).status).toBe(401)
        expect((yield* post(`${url}/v1/messages/count_tokens`, question("messages", "openai/large"))).status).toBe(401)
      })
  )

  it.scopedLive("lets a key call its models by any of their names, and hides the models that it does not include", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({
        access: {
          keys: [
            { key: "sk-a", models: ["openai/*"] },
            { key: "sk-b", models: ["fast", "gem*"] }
          ]
        }
      })
      expect((yield* ask(url, "sk-a", "openai/large")).status).toBe(200)
      // An alias of a model that the key includes.
      expect((yield* ask(url, "sk-a", "fast")).status).toBe(200)
      expect((yield* ask(url, "sk-b", "fast")).status).toBe(200)
      // The same model, by a name that the key does not include.
      expect((yield* ask(url, "sk-b", "openai/large")).status).toBe(404)
      expect((yield* ask(url, "sk-b", "gemini/large")).status).toBe(200)
      const [hidden, missing] = [yield* ask(url, "sk-a", "gemini/large"), yield* ask(url, "sk-a", "gemini/nothing")]
      expect(hidden.status).toBe(404)
      expect(hidden.text.replaceAll("large", "nothing")).toBe(missing.text)
      expect(missing.text).not.toContain("anthropic")
      const { json } = yield* send(`${url}/v1/models`, { headers: bearer("sk-a") })
      expect(json).toMatchObject({ data: [{ id: "openai/large" }, { id: "fast" }] })
      expect((yield* send(`${url}/v1/models/gemini/large`, { headers: bearer("sk-a") })).status).toBe(404)
      expect(yield* provider.log).toHaveLength(4)
    })
  )

  it.scopedLive("records usage under the label of the key", () =>
    Effect.gen(function* () {
      const ledger = yield* UsageLedger.make()
      const { url } = yield* start({
        access: { keys: [{ key: "sk-a", label: "team-a" }, { key: "sk-b" }] },
        gateway: {
          around: (llm) => Effect.provideService(UsageLedger.middleware()(llm), UsageLedger.UsageLedger, ledger)
        }
      })
      yield* ask(url, "sk-a")
      yield* post(`${url}/v1/chat/completions`, question("chat completions", "fast", { stream: true }), bearer("sk-a"))
      yield* ask(url, "sk-b")
      const { groups } = yield* ledger.snapshot
      const byLabel = UsageLedger.totalsBy(groups, "label")
      expect(byLabel.get("team-a")?.attempts).toBe(2)
      expect([...byLabel.keys()].filter((label) => /^key-[0-9a-f]{12}$/.test(label))).toHaveLength(1)
    })
  )

  it.scopedLive("answers 429 with retry-after when a key exceeds its rate limit, and still serves other keys", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({
        access: { keys: [{ key: "sk-a", rateLimit: { requestsPerMinute: 2 } }, { key: "sk-b" }] }
      })
      expect((yield* ask(url, "sk-a")).status).toBe(200)
      expect((yield* ask(url, "sk-a")).status).toBe(200)
      const third = yield* ask(url, "sk-a")
      expect(third.status).toBe(429)
      expect(Number(third.headers.get("retry-after"))).toBeGreaterThan(0)
      expect(third.json).toMatchObject({ error: { code: "rate_limit_exceeded" } })
      const streamed = yield* post(
        `${url}/v1/messages`,
        question("messages", "openai/large", { stream: true }),
        bearer("sk-a")
      )
      expect(streamed.status).toBe(429)
      expect((yield* ask(url, "sk-b")).status).toBe(200)
      expect(yield* provider.log).toHaveLength(3)
    })
  )

  it.scopedLive("frees the concurrency permit of a key when its call ends, whole or streamed", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      const { url } = yield* start({
        access: { keys: [{ key: "sk-a", rateLimit: { maxConcurrency: 1 } }] },
        gateway: { around: gate.around }
      })
      const whole = ask(url, "sk-a")
      const streamed = post(
        `${url}/v1/chat/completions`,
        question("chat completions", "openai/large", { stream: true }),
        bearer("sk-a")
      )
      for (const [blocked, other] of [
        [whole, streamed],
        [streamed, whole]
      ] as const) {
        yield* gate.close
        const first = yield* Effect.fork(blocked)
        yield* eventually(Effect.map(gate.waiting, (count) => count === 1))
        expect((yield* other).status).toBe(429)
        yield* gate.open
        expect((yield* Fiber.join(first)).status).toBe(200)
        expect((yield* other).status).toBe(200)
      }
    })
  )

  it.scoped("reports the budgets of all keys that are neither expired nor revoked", () =>
    Effect.gen(function* () {
      const access = yield* Access.make({
        keys: [
          { key: "sk-a", label: "team-a", budget: { tokens: 1500, period: "day" } },
          { key: "sk-b", budget: { dollars: 2 }, expiresAt: DateTime.unsafeMake(60_000) },
          { key: "sk-c" }
        ]
      })
      const budgets = Effect.map(access.budgets, (all) =>
        all.map(({ key, status }) => [key.label, key.budget, status.spent, status.limit, status.unit])
      )
      expect(yield* budgets).toEqual([
        ["team-a", { tokens: 1500, period: "day" }, 0, 1500, "tokens"],
        [undefined, { dollars: 2 }, 0, 2, "dollars"]
      ])
      yield* TestClock.adjust("1 minute")
      const { key } = yield* access.create({ label: "team-d", budget: { tokens: 10 } })
      expect((yield* budgets).map(([label]) => label)).toEqual(["team-a", "team-d"])
      yield* access.revoke(key.id)
      expect((yield* budgets).map(([label]) => label)).toEqual(["team-a"])
    })
  )

  it.scoped("reports the budgets of keys in use while the store cannot be listed", () =>
    Effect.gen(function* () {
      const memory = yield* AccessStore.makeMemory
      const isUnavailable = yield* Ref.make(false)
      const store = AccessStore.AccessStore.of({
        ...memory,
        list: Effect.flatMap(Ref.get(isUnavailable), (unavailable) =>
          unavailable ? Effect.fail(new AccessStore.AccessStoreError({ detail: "away" })) : memory.list
        )
      })
      const access = yield* Effect.provideService(
        Access.make({ keys: [{ key: "sk-a", label: "team-a", budget: { tokens: 1500 } }] }),
        AccessStore.AccessStore,
        store
      )
      yield* Ref.set(isUnavailable, true)
      expect((yield* access.budgets).map(({ key }) => key.label)).toEqual(["team-a"])
    })
  )

  it.scopedLive("answers 402 when the budget of a key is spent", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({
        access: { keys: [{ key: "sk-a", budget: { tokens: 1500 } }] },
        provider: { answer: () => "word ".repeat(600) }
      })
      expect((yield* ask(url, "sk-a")).status).toBe(200)
      const second = yield* ask(url, "sk-a")
      expect(second.status).toBe(402)
      expect(second.json).toMatchObject({ error: { code: "budget_exceeded" } })
      expect(yield* provider.log).toHaveLength(1)
    })
  )
})

describe("a key with a budget in dollars", () => {
  /** A gateway that collects the entries of its access log. */
  const logging = (entry: Readonly<Record<string, unknown>>, keys: ReadonlyArray<Access.KeyOptions>) => {
    const entries: Array<AccessLog.Entry> = []
    const observe = AccessLog.middleware({
      filter: (entry) => {
        entries.push(entry)
        return false
      }
    })
    return Effect.map(start({ access: { keys }, entry, gateway: { observe } }), (gateway) => ({ ...gateway, entries }))
  }

  const dollars = { key: "sk-a", budget: { dollars: 1 } }

  it.scopedLive("answers 402 that names the model without a price, whole and streamed, in each protocol", () =>
    Effect.gen(function* () {
      const { entries, provider, url } = yield* logging({}, [dollars])
      for (const protocol of ["chat completions", "responses", "messages"] as const) {
        for (const stream of [false, true]) {
          const refused = yield* post(
            `${url}${paths[protocol]}`,
            question(protocol, "openai/large", { stream }),
            bearer("sk-a")
          )
          expect(refused.status).toBe(402)
          expect(refused.text).toContain("the price of 'openai/large' is not known")
          expect(refused.text).toContain("provider.json")
        }
      }
      expect(yield* provider.log).toHaveLength(0)
      expect(entries.map(({ outcome, streamed }) => [outcome, streamed])).toEqual(
        Array.from({ length: 6 }, (_, index) => ["BudgetExceededError", index % 2 === 1])
      )
    })
  )

  it.scopedLive("charges a budget in dollars with the price of the model, and answers 402 once it is spent", () =>
    Effect.gen(function* () {
      const price = { input: 0, output: 0, request: 0.4 }
      const { entries, url } = yield* logging({ price }, [dollars])
      const responses = [yield* ask(url, "sk-a"), yield* ask(url, "sk-a"), yield* ask(url, "sk-a")]
      expect(responses.map(({ status }) => status)).toEqual([200, 200, 402])
      expect(responses[2]?.json).toMatchObject({ error: { code: "budget_exceeded" } })
      expect(entries.map(({ cost, outcome }) => [outcome, cost?.total])).toEqual([
        ["ok", 0.4],
        ["ok", 0.4],
        ["BudgetExceededError", undefined]
      ])
    })
  )

  it.scopedLive("writes calls that the rate limit of a key refuses to the access log", () =>
    Effect.gen(function* () {
      const { entries, url } = yield* logging({}, [{ key: "sk-a", rateLimit: { requestsPerMinute: 1 } }])
      expect((yield* ask(url, "sk-a")).status).toBe(200)
      expect((yield* ask(url, "sk-a")).status).toBe(429)
      expect(entries.map(({ outcome }) => outcome)).toEqual(["ok", "RateLimitError"])
    })
  )
})

describe("Access.make", () => {
  const expiring = (at: number) => ({ keys: [{ key: "sk-a", expiresAt: DateTime.unsafeMake(at) }] })

  it.effect("refuses a key from the exact millisecond of its expiry", () =>
    Effect.gen(function* () {
      const access = yield* Access.make(expiring(1000))
      yield* TestClock.setTime(999)
      expect((yield* access.caller(some("sk-a"))).id).toMatch(/^key-/)
      yield* TestClock.setTime(1000)
      expect(yield* Effect.flip(access.caller(some("sk-a")))).toMatchObject({ reason: "expired" })
    })
  )

  it.effect("reports isOpen only without keys, an admin token and an access store", () =>
    Effect.gen(function* () {
      expect((yield* Access.make()).isOpen).toBe(true)
      expect((yield* Access.make({ adminToken: "t" })).isOpen).toBe(false)
      expect((yield* Access.make({ keys: [{ key: "k" }] })).isOpen).toBe(false)
      const store = yield* AccessStore.makeMemory
      const other = yield* Access.make().pipe(Effect.provideService(AccessStore.AccessStore, store))
      expect(other.isOpen).toBe(false)
    })
  )

  it.effect("stores the digest of a key and never its secret", () =>
    Effect.gen(function* () {
      const store = yield* AccessStore.makeMemory
      const access = yield* Access.make({ adminToken: "admin-secret", keys: [{ key: "sk-configured" }] }).pipe(
        Effect.provideService(AccessStore.AccessStore, store)
      )
      const { key, secret } = yield* access.create({ label: "x" })
      const stored = JSON.stringify(yield* store.list)
      expect(stored).not.toContain("sk-configured")
      expect(stored).not.toContain(Redacted.value(secret))
      expect(key.hash).toMatch(/^[0-9a-f]{64}$/)
      expect(Redacted.value(secret).length).toBeGreaterThan(43)
      expect((yield* access.caller(Option.some(secret))).label).toBe("x")
    })
  )

  it.effect("accepts a key that is configured by its SHA-256", () =>
    Effect.gen(function* () {
      const one = yield* Access.make({ keys: [{ key: "sk-a" }] })
      const [stored] = yield* one.list
      const other = yield* Access.make({ keys: [{ key: { sha256: (stored?.hash ?? "").toUpperCase() } }] })
      expect((yield* other.caller(some("sk-a"))).id).toBe(stored?.id)
    })
  )

  it.effect("rejects invalid keys with all faults in one error and without their secrets", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Access.make({
          keys: [
            { key: "sk-twice" },
            { key: "sk-twice" },
            { key: { sha256: "nonsense" } },
            { key: "sk-b", rateLimit: { requestsPerMinute: -1 } },
            { key: "" }
          ]
        })
      )
      expect(error.message).toContain("keys[1]")
      expect(error.message).toContain("keys[2]")
      expect(error.message).toContain("keys[3]")
      expect(error.message).toContain("keys[4]: the secret is empty")
      expect(error.message).not.toContain("sk-twice")
    })
  )

  it.effect("rejects secrets that are empty or that no HTTP header can carry", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Access.make({ keys: [{ key: "sk-good" }, { key: "two words" }, { key: "clé" }], adminToken: "a long text" })
      )
      expect(error).toMatchObject({
        faults: [
          "keys[1]: the secret has a character that no header can carry, such as a space",
          "keys[2]: the secret has a character that no header can carry, such as a space",
          "adminToken: the secret has a character that no header can carry, such as a space"
        ]
      })
      expect(yield* Effect.flip(Access.make({ adminToken: "" }))).toMatchObject({
        faults: ["adminToken: the secret is empty"]
      })
    })
  )

  it.effect("refuses a key after it was revoked", () =>
    Effect.gen(function* () {
      const access = yield* Access.make({ adminToken: "t" })
      const { key, secret } = yield* access.create({})
      expect(yield* access.revoke(key.id)).toBe(true)
      expect(yield* access.revoke(key.id)).toBe(false)
      expect(yield* Effect.flip(access.caller(Option.some(secret)))).toMatchObject({ reason: "unknown" })
    })
  )

  it.effect("reads the admin token and the keys from environment variables", () =>
    Effect.gen(function* () {
      const access = yield* Effect.provide(
        Access.Access,
        Access.layerConfig().pipe(
          Layer.provide(
            Layer.setConfigProvider(
              ConfigProvider.fromMap(
                new Map([
                  ["EFFECT_LLM_MASTER_KEY", "master"],
                  ["EFFECT_LLM_GATEWAY_KEYS", "team-a=sk-a, sk-b"]
                ])
              )
            )
          )
        )
      )
      expect((yield* access.caller(some("sk-a"))).label).toBe("team-a")
      expect((yield* access.caller(some("sk-b"))).label).toMatch(/^key-/)
      expect((yield* access.caller(some("master"))).label).toBe("admin")
      yield* access.administrator(some("master"))
      expect(yield* Effect.flip(access.administrator(some("sk-a")))).toMatchObject({ reason: "forbidden" })
      expect(yield* Effect.flip(access.administrator(Option.none()))).toMatchObject({ reason: "missing" })
    })
  )
})

describe("a gateway without keys", () => {
  const models = Layer.succeed(Models.Models, {
    get: () => Effect.dieMessage("not asked"),
    group: () => Effect.dieMessage("not asked"),
    list: [],
    default: Effect.dieMessage("not asked")
  })

  const launch = (host: string, access: Access.Options) =>
    Layer.build(
      Gateway.layer().pipe(
        Layer.provide(GatewayServer.layer({ host, port: 0 })),
        Layer.provide(Layer.merge(models, Access.layer(access)))
      )
    ).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None), Effect.either)

  it.live("refuses to listen on a public address without keys, and listens there with keys", () =>
    Effect.gen(function* () {
      const refused = yield* launch("0.0.0.0", {})
      expect(refused).toMatchObject({ _tag: "Left", left: { _tag: "InsecureAddressError", address: "0.0.0.0" } })
      expect((yield* launch("0.0.0.0", { keys: [{ key: "sk-a" }] }))._tag).toBe("Right")
      expect((yield* launch("127.0.0.1", {}))._tag).toBe("Right")
    })
  )

  it.scopedLive("refuses requests of web pages from other origins when no key is configured", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const statusWith = (headers: Readonly<Record<string, string>>) =>
        Effect.map(
          post(`${url}/v1/chat/completions`, question("chat completions", "fast"), headers),
          ({ status }) => status
        )
      expect(yield* statusWith({})).toBe(200)
      expect(yield* statusWith({ origin: "http://localhost:5173" })).toBe(200)
      expect(yield* statusWith({ origin: "https://evil.example" })).toBe(403)
      expect(yield* statusWith({ origin: "https://localhost.evil.example" })).toBe(403)
      expect(yield* statusWith({ origin: "null" })).toBe(403)
      expect(yield* provider.log).toHaveLength(2)
    })
  )

  it.scopedLive("refuses every admin request when no admin token is configured", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      expect((yield* send(`${url}/admin/status`)).status).toBe(401)
      expect((yield* send(`${url}/admin/status`, { headers: bearer("anything") })).status).toBe(403)
    })
  )
})
