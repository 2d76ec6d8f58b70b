/** Connections of the hot routes: methods, paths, pipelined requests, clients that leave, and clients that do not read. */
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { Socket } from "node:net"
import { connect } from "node:net"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { waitUntilIdle } from "./support/gateway.js"
import { question } from "./support/http.js"
import type { Served } from "./support/servers.js"
import * as Servers from "./support/servers.js"
import { flood } from "./support/upstream.js"

const { ask, read, request, routes } = Servers

const chatPath = "/v1/chat/completions"

const chat = (fields: Readonly<Record<string, unknown>> = {}) => question("chat completions", "openai/large", fields)

/** The text of a request. */
const text = (path: string, body: string, headers: ReadonlyArray<string> = []): string =>
  [`POST ${path} HTTP/1.1`, "host: 127.0.0.1", `content-length: ${Buffer.byteLength(body)}`, ...headers, "", body].join(
    "\r\n"
  )

interface Connection {
  readonly socket: Socket
  readonly received: () => string
  readonly isClosed: () => boolean
}

/** Opens a connection, and writes to it. */
const open = ({ url }: Served, bytes: string): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let received = ""
      let isClosed = false
      const socket = connect(Number(new URL(url).port), "127.0.0.1")
      socket.on("data", (piece) => {
        received += piece.toString("latin1")
      })
      socket.on("error", () => {})
      socket.on("close", () => {
        isClosed = true
      })
      socket.write(bytes)
      return { socket, received: () => received, isClosed: () => isClosed }
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** Sends bytes on a connection of its own, and returns what is received until it closes. */
const raw = (served: Served, bytes: string) =>
  Effect.scoped(
    Effect.flatMap(open(served, bytes), (connection) =>
      Effect.map(eventually(Effect.sync(connection.isClosed)), connection.received)
    )
  )

const closing = ["connection: close"]

const whole = JSON.stringify(chat())

const streamed = JSON.stringify(chat({ stream: true }))

describe.each(Servers.all)("methods and paths of hot routes on %s", (name) => {
  it.scopedLive("answers 405 to other methods with the allowed ones, and OPTIONS with 200 or 204", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      for (const { path } of routes) {
        for (const method of ["GET", "HEAD", "PUT", "PATCH", "DELETE"]) {
          const { headers, status } = yield* request(served, method, path)
          expect([method, path, status, headers.get("allow")]).toEqual([method, path, 405, "POST, OPTIONS"])
        }
        const options = yield* request(served, "OPTIONS", path)
        expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, OPTIONS"])
      }
    })
  )

  it.scopedLive("answers a path with a query, a slash too many or capital letters, and 404 for other paths", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      const statusOf = (path: string) => Effect.map(ask(served, path, chat()), ({ status }) => status)
      const statuses = yield* Effect.forEach(
        ["?", "?a=b", "?a=%", "/", "/?a=b", "%20", "%2F", "%", "//", "/x", "#x"].map((end) => chatPath + end),
        statusOf
      )
      expect(statuses).toEqual([200, 200, 200, 200, 200, 404, 404, 404, 200, 404, 200])
      expect(
        yield* Effect.forEach(["/v1/chat%2Fcompletions", "/V1/CHAT/COMPLETIONS", "//v1/chat/completions"], statusOf)
      ).toEqual([404, 200, 200])
    })
  )
})

describe.each(Servers.onSockets)("requests on one connection to %s", (name) => {
  it.scopedLive("answers absolute URLs, HTTP/1.0, Expect and repeated headers as it answers any other request", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access: { keys: [{ key: "sk-a" }] } })
      const key = "authorization: Bearer sk-a"
      expect(yield* raw(served, text(`http://127.0.0.1${chatPath}`, whole, [key, ...closing]))).toMatch(
        /^HTTP\/1\.1 200 /
      )
      expect(yield* raw(served, text(chatPath, whole, [key, ...closing]).replace("HTTP/1.1", "HTTP/1.0"))).toMatch(
        /^HTTP\/1\.1 200 /
      )
      expect(yield* raw(served, text(chatPath, whole, [key, "expect: 100-continue", ...closing]))).toMatch(
        /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /
      )
      // The first one counts, so a second one cannot replace the key that a proxy has checked.
      const other = "authorization: Bearer sk-b"
      expect(yield* raw(served, text(chatPath, whole, [key, other, ...closing]))).toMatch(/^HTTP\/1\.1 200 /)
      expect(yield* raw(served, text(chatPath, whole, [other, key, ...closing]))).toMatch(/^HTTP\/1\.1 401 /)
      const twice = ["x-api-key: sk-a", "x-api-key: sk-a", ...closing]
      expect(yield* raw(served, text(chatPath, whole, twice))).toMatch(/^HTTP\/1\.1 401 /)
    })
  )

  it.scopedLive("answers pipelined requests in their order, whole and streamed", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      const requests = [whole, streamed, "{", whole].map((body, index) =>
        text(chatPath, body, [`x-request-id: id-${index}`, ...(index === 3 ? closing : [])])
      )
      const received = yield* raw(served, requests.join(""))
      expect(received.match(/HTTP\/1\.1 \d+/g)?.map((line) => line.slice(9))).toEqual(["200", "200", "400", "200"])
      expect(received.match(/x-request-id: id-\d/g)?.map((line) => line.slice(-1))).toEqual(["0", "1", "2", "3"])
    })
  )

  it.scopedLive("ends all pipelined requests when their connection closes", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { provider: { answer: () => "one two three four five six seven" } })
      yield* served.provider.next(...Array.from({ length: 12 }, () => SimulatedProvider.hang(3)))
      const bodies = Array.from({ length: 12 }, (_, index) => text(chatPath, index % 2 === 0 ? whole : streamed))
      const { socket } = yield* open(served, bodies.join(""))
      yield* eventually(Effect.map(served.provider.inFlight, (requests) => requests === 12))
      socket.destroy()
      yield* waitUntilIdle(served)
    })
  )

  it.scopedLive("refuses a body that breaks off, and one whose chunks are malformed, and calls no provider", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      for (const bytes of [
        text(chatPath, whole).slice(0, -5),
        `POST ${chatPath} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"mod\r\n`
      ]) {
        const { socket } = yield* open(served, bytes)
        yield* Effect.sleep("20 millis")
        socket.end()
        yield* eventually(Effect.sync(() => socket.destroyed))
      }
      const chunks = `POST ${chatPath} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"mod\r\nZZ\r\n`
      expect(yield* raw(served, chunks)).toMatch(/^HTTP\/1\.1 400 /)
      expect(yield* served.provider.log).toEqual([])
    })
  )
})

describe.each(Servers.all)("a client of %s that does not read its stream", (name) => {
  it.scopedLive("loses it when the call's time limit expires, which ends the request", () =>
    Effect.gen(function* () {
      const { url } = yield* flood(64 * 1024 * 1024)
      const entry = { model_name: "large", type: "chat-completions", api_keys: ["k"], base_url: url, timeout: 1 }
      const served = yield* Servers.start(name, {
        sections: { flood: [entry] },
        access: { keys: [{ key: "sk-one", rateLimit: { maxConcurrency: 1 } }] }
      })
      const headers = { authorization: "Bearer sk-one" }
      const body = JSON.stringify(question("chat completions", "flood/large", { stream: true }))
      const unread = yield* Effect.promise(() => served.fetch(served.url + chatPath, { method: "POST", headers, body }))
      expect(unread.status).toBe(200)
      expect((yield* ask(served, chatPath, chat(), headers)).status).toBe(429)
      yield* eventually(Effect.map(ask(served, chatPath, chat(), headers), ({ status }) => status === 200))
      expect(yield* Effect.isFailure(Effect.tryPromise(() => unread.text()))).toBe(true)
    })
  )
})

describe.each(Servers.all)("a storm of clients that leave %s", (name) => {
  it.scopedLive(
    "leaves nothing in flight, no key in use and no error behind when 500 clients leave at any moment",
    () =>
      Effect.gen(function* () {
        const failures: Array<unknown> = []
        const record = (failure: unknown): void => {
          failures.push(failure)
        }
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            for (const event of ["uncaughtException", "unhandledRejection", "warning"]) process.on(event, record)
          }),
          () =>
            Effect.sync(() => {
              for (const event of ["uncaughtException", "unhandledRejection", "warning"]) process.off(event, record)
            })
        )
        const served = yield* Servers.start(name, {
          access: { keys: [{ key: "sk-a", rateLimit: { maxConcurrency: 1000 } }] },
          gateway: { keepAlive: "5 millis" },
          provider: {
            answer: () => "word ".repeat(30),
            latency: { min: "1 millis", max: "40 millis" },
            tokenPace: "1 millis"
          }
        })
        yield* Effect.forEach(
          Array.from({ length: 500 }, (_, index) => index),
          (index) =>
            Effect.scoped(
              Effect.gen(function* () {
                const fields = { stream: index % 4 !== 0, ...(index % 5 === 0 ? { n: 2 } : {}) }
                const path = index % 7 === 0 ? "/llm/chat/stream" : chatPath
                const client = yield* read(served, path, chat(fields), { "x-api-key": "sk-a" })
                yield* Effect.sleep((index * 7919) % 300)
                yield* client.disconnect
                yield* client.ended
              })
            ),
          { concurrency: 250 }
        )
        yield* waitUntilIdle(served)
        expect((yield* ask(served, chatPath, chat(), { "x-api-key": "sk-a" })).status).toBe(200)
        yield* served.close
        expect(failures).toEqual([])
      })
  )
})
