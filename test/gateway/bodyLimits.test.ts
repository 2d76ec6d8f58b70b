/** Bounds of the request bodies that the gateway holds, in sum and for each client key, and bodies that arrive slowly. */
import { HttpApp } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import * as FastCheck from "fast-check"
import { recordingClock } from "../support/sleeps.js"
import { connect } from "node:net"
import { Access, Gateway } from "../../src/gateway/index.js"
import * as BodyAccounts from "../../src/gateway/http/bodyAccount.js"
import * as Models from "../../src/models/Models.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually, until } from "../support/eventually.js"
import { scripted } from "../support/scripted.js"
import { start, waitUntilIdle } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question, reading } from "./support/http.js"

const protocols = Object.keys(paths) as ReadonlyArray<Protocol>

const path = paths["chat completions"]

const chat = question("chat completions", "openai/large")

const access = { keys: ["a", "b", "c"].map((id) => ({ key: `sk-${id}`, label: id })) }

const as = (id: string) => ({ authorization: `Bearer sk-${id}` })

/** A request whose body has `sent` of `declared` bytes. */
const unfinished = (
  url: string,
  id: string,
  { declared, sent }: { declared: number; sent: number },
  to: string = path
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let text = ""
      let isClosed = false
      const socket = connect(Number(new URL(url).port), "127.0.0.1")
      socket.on("data", (piece) => {
        text += piece.toString("latin1")
      })
      socket.on("close", () => {
        isClosed = true
      })
      socket.on("error", () => {})
      socket.write(
        `POST ${to} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer sk-${id}\r\ncontent-length: ${declared}\r\n\r\n`
      )
      socket.write(" ".repeat(sent))
      return {
        text: () => text,
        isClosed: () => isClosed,
        send: (piece: string) => socket.write(piece),
        disconnect: () => socket.destroy()
      }
    }),
    ({ disconnect }) => Effect.sync(disconnect)
  )

/** A chat whose body has this many bytes. */
const chatOf = (bytes: number, fields: Readonly<Record<string, unknown>> = {}) => {
  const empty = JSON.stringify({ ...chat, ...fields, user: "" }).length
  return { ...chat, ...fields, user: "x".repeat(bytes - empty) }
}

const statusOf = (url: string, id: string, body: unknown = chat) =>
  Effect.map(post(url + path, body, as(id)), ({ status }) => status)

const kilobytes = (count: number) => count * 1000

describe("accounts of bodies", () => {
  const bounds = { total: 100, perKey: 40 }

  it("holds no more than the bounds, and nothing when all accounts are released", () => {
    const step = FastCheck.record({
      key: FastCheck.constantFrom("a", "b", "c", "d"),
      sizes: FastCheck.array(FastCheck.integer({ min: 1, max: 30 }), { maxLength: 4 }),
      releases: FastCheck.nat(3)
    })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step), (steps) => {
        const accounts = BodyAccounts.make(bounds)
        const open: Array<{ readonly key: string; readonly release: () => void; bytes: number }> = []
        const sum = (key?: string) =>
          open.reduce((total, account) => total + (key === undefined || account.key === key ? account.bytes : 0), 0)
        for (const { key, releases, sizes } of steps) {
          const account = accounts.make(key)
          const entry = { key, release: account.release, bytes: 0 }
          open.push(entry)
          for (const size of sizes) {
            const fits = sum() + size <= bounds.total && sum(key) + size <= bounds.perKey
            expect(account.add(size) === undefined).toBe(fits)
            if (fits) entry.bytes += size
            expect(accounts.held()).toBe(sum())
          }
          for (const released of open.splice(0, releases)) {
            released.release()
            released.release()
          }
          expect(accounts.held()).toBe(sum())
        }
        for (const { release } of open) release()
        expect(accounts.held()).toBe(0)
      })
    )
  })

  it("names the bound of the key with 429 and that of the gateway with 503", () => {
    const accounts = BodyAccounts.make(bounds)
    expect(accounts.make("a").add(41)).toMatchObject({ status: 429, code: "too_many_request_bytes" })
    expect(accounts.make("").add(90)).toBeUndefined()
    expect(accounts.make("a").add(20)).toMatchObject({ status: 503, code: "request_memory_full" })
  })
})

describe.concurrent("bodies in flight", () => {
  const gateway = {
    maxBodySize: kilobytes(300),
    maxBufferedBodies: kilobytes(800),
    maxBufferedBodiesPerKey: kilobytes(400)
  }

  it.scopedLive("answers 429 with Retry-After to a key beyond its own bound, and serves the other keys", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access, gateway })
      const held = yield* unfinished(url, "a", { declared: kilobytes(290), sent: kilobytes(280) })
      const refused = yield* until(post(url + path, chatOf(kilobytes(200)), as("a")), ({ status }) => status === 429)
      expect(refused.headers.get("retry-after")).toBe("1")
      expect(refused.headers.get("connection")).toBe("close")
      expect(refused.json).toMatchObject({ error: { code: "too_many_request_bytes" } })
      expect(refused.text).toContain("this API key")
      expect(yield* statusOf(url, "b", chatOf(kilobytes(200)))).toBe(200)
      expect(yield* statusOf(url, "a")).toBe(200)
      held.disconnect()
      yield* until(statusOf(url, "a", chatOf(kilobytes(200))), (status) => status === 200)
    })
  )

  it.scopedLive("answers 503 with Retry-After to every key beyond the bound of the sum", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access, gateway })
      const held: Array<{ readonly disconnect: () => void }> = []
      for (const id of ["a", "b", "c"]) {
        held.push(yield* unfinished(url, id, { declared: kilobytes(260), sent: kilobytes(250) }))
      }
      const refused = yield* until(post(url + path, chatOf(kilobytes(100)), as("c")), ({ status }) => status === 503)
      expect(refused.headers.get("retry-after")).toBe("1")
      expect(refused.json).toMatchObject({ error: { code: "request_memory_full" } })
      for (const { disconnect } of held) disconnect()
      yield* until(statusOf(url, "c", chatOf(kilobytes(100))), (status) => status === 200)
    })
  )

  it.scopedLive("reserves nothing for a length that a client only declares", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access, gateway })
      for (let index = 0; index < 10; index++) {
        yield* unfinished(url, "a", { declared: kilobytes(300), sent: 10 })
      }
      expect(yield* statusOf(url, "a", chatOf(kilobytes(300)))).toBe(200)
    })
  )

  it.scopedLive("refuses a body while it arrives, and the client reads the response", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access, gateway })
      const bodies: Array<Effect.Effect.Success<ReturnType<typeof unfinished>>> = []
      for (let index = 0; index < 3; index++) {
        bodies.push(yield* unfinished(url, "a", { declared: kilobytes(200), sent: 10 }))
      }
      for (const { send } of bodies) send(" ".repeat(kilobytes(180)))
      yield* eventually(
        Effect.sync(() => bodies.some(({ isClosed, text }) => isClosed() && text().startsWith("HTTP/1.1 429")))
      )
      expect(bodies.filter(({ text }) => text() !== "")).toHaveLength(1)
    })
  )

  it.scopedLive("answers 413 to a body that exceeds the bound of its key alone", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access, gateway: { maxBufferedBodiesPerKey: kilobytes(100) } })
      expect(yield* statusOf(url, "a", chatOf(kilobytes(101)))).toBe(413)
      expect(yield* statusOf(url, "a", chatOf(kilobytes(99)))).toBe(200)
    })
  )

  for (const [outcome, fields, fault, status] of [
    ["answered", {}, undefined, 200],
    ["streamed", { stream: true }, undefined, 200],
    ["invalid", { temperature: "hot" }, undefined, 400],
    ["for an unknown model", { model: "none" }, undefined, 404],
    ["failed by the provider", {}, SimulatedProvider.status(500), 503]
  ] as const) {
    it.scopedLive(`gives the bytes back when a request is ${outcome}`, () =>
      Effect.gen(function* () {
        const { provider, url } = yield* start({ access, gateway })
        if (fault !== undefined) {
          yield* provider.next(...Array.from({ length: 12 }, () => fault))
        }
        for (let index = 0; index < 4; index++) {
          expect(yield* statusOf(url, "a", chatOf(kilobytes(290), fields))).toBe(status)
        }
      })
    )
  }

  it.scopedLive("gives the bytes back at the first event of a stream", () =>
    Effect.gen(function* () {
      const running = yield* start({ access, gateway, provider: { answer: () => "one two three four five six" } })
      yield* running.provider.next(SimulatedProvider.hang(5))
      const stream = yield* reading(running.url + path, chatOf(kilobytes(290), { stream: true }), as("a"))
      yield* eventually(Effect.map(stream.text, (text) => text.includes("two")))
      expect(yield* statusOf(running.url, "a", chatOf(kilobytes(290)))).toBe(200)
      yield* stream.disconnect
      yield* waitUntilIdle(running)
    })
  )

  it.scopedLive("counts the bytes of a whole answer's request until the provider has answered", () =>
    Effect.gen(function* () {
      const running = yield* start({ access, gateway })
      yield* running.provider.next(SimulatedProvider.hang())
      const waiting = yield* reading(running.url + path, chatOf(kilobytes(290)), as("a"))
      yield* eventually(Effect.map(running.provider.inFlight, (requests) => requests === 1))
      expect(yield* statusOf(running.url, "a", chatOf(kilobytes(290)))).toBe(429)
      yield* waiting.disconnect
      yield* waitUntilIdle(running)
      yield* until(statusOf(running.url, "a", chatOf(kilobytes(290))), (status) => status === 200)
    })
  )
})

describe.concurrent("bodies that arrive slowly", () => {
  for (const protocol of protocols) {
    it.scopedLive(`answers 408 in the format of ${protocol} to a body that keeps arriving at bodyTimeout`, () =>
      Effect.gen(function* () {
        const { url } = yield* start({ access, gateway: { bodyTimeout: "500 millis" } })
        const slow = yield* unfinished(url, "a", { declared: 100_000, sent: 1 }, paths[protocol])
        yield* Effect.fork(
          Effect.forever(
            Effect.delay(
              Effect.sync(() => slow.send(" ")),
              "50 millis"
            )
          )
        )
        yield* eventually(Effect.sync(slow.isClosed))
        const [head = "", body = ""] = slow.text().split("\r\n\r\n")
        expect(head).toMatch(/^HTTP\/1\.1 408 /)
        expect(head.toLowerCase()).toContain("connection: close")
        expect(JSON.parse(body)).toMatchObject({
          error: { message: "The request body did not arrive within 500ms." }
        })
      })
    )
  }

  it.scopedLive("gives the bytes of a body that timed out back", () =>
    Effect.gen(function* () {
      const gateway = { bodyTimeout: "300 millis", maxBufferedBodiesPerKey: kilobytes(100) } as const
      const { url } = yield* start({ access, gateway })
      const slow = yield* unfinished(url, "a", { declared: kilobytes(100), sent: kilobytes(90) })
      yield* eventually(Effect.sync(slow.isClosed))
      expect(yield* statusOf(url, "a", chatOf(kilobytes(90)))).toBe(200)
    })
  )

  it.scoped("answers 408 on any server at bodyTimeout, by the clock in context", () =>
    Effect.gen(function* () {
      const llm = yield* scripted("Hello")
      const models = Layer.succeed(Models.Models, {
        get: () => Effect.succeed(llm),
        group: () => Effect.dieMessage("no groups"),
        list: [{ ...llm.info, name: "test/model", aliases: [] }],
        default: Effect.succeed(llm)
      })
      const gateway = yield* Effect.provide(
        Gateway.make({ bodyTimeout: "1 minute" }),
        Layer.merge(models, Access.layer())
      )
      const { clock, sleeps } = yield* recordingClock
      const body = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(Uint8Array.of(0x7b)) })
      const request = new Request(`http://localhost${path}`, { method: "POST", body, duplex: "half" } as RequestInit)
      const handler = HttpApp.toWebHandler(Effect.withClock(gateway.app, clock))
      const answer = yield* Effect.fork(Effect.promise(() => handler(request)))
      yield* eventually(Effect.sync(() => sleeps.length > 0))
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(answer)).status).toBe(408)
      expect((yield* gateway.status).inFlight).toBe(0)
    })
  )
})
