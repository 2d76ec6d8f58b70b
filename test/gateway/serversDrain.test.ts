/** Shutdown with requests of the hot routes in flight, on every server. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { connect } from "node:net"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { waitUntilIdle } from "./support/gateway.js"
import { question } from "./support/http.js"
import * as Servers from "./support/servers.js"
import { holding } from "./support/upstream.js"

const { ask, read, request } = Servers

const path = "/v1/chat/completions"

const chat = (fields: Readonly<Record<string, unknown>> = {}) => question("chat completions", "openai/large", fields)

describe.each(Servers.all)("shutdown of a gateway on %s", (name) => {
  it.scopedLive("refuses new requests with connection: close, and completes those in flight", () =>
    Effect.gen(function* () {
      const latch = yield* Effect.makeLatch()
      const upstream = yield* holding(latch)
      const served = yield* Servers.start(name, { entry: { base_url: `${upstream.origin}/v1` } })
      const streaming = yield* read(served, path, chat({ stream: true }))
      const waiting = yield* read(served, path, chat())
      yield* eventually(Effect.map(streaming.text, (text) => text.includes("one") && upstream.bodies.length === 2))
      const closing = yield* Effect.fork(served.close)
      yield* eventually(Effect.map(request(served, "GET", "/ready"), ({ status }) => status === 503))
      for (const route of Servers.routes) {
        const refused = yield* ask(served, route.path, route.body)
        expect([route.path, refused.status, refused.headers.get("connection")]).toEqual([route.path, 503, "close"])
        expect(refused.text).toContain("shutting down")
      }
      expect(yield* Fiber.poll(closing)).toMatchObject({ _tag: "None" })
      yield* latch.open
      const streamed = yield* streaming.ended
      expect([streamed.isWhole, streamed.text.endsWith("data: [DONE]\n\n")]).toEqual([true, true])
      const whole = yield* waiting.ended
      expect([whole.isWhole, whole.status]).toEqual([true, 200])
      yield* Fiber.join(closing)
    })
  )

  it.scopedLive(
    "ends whole requests at the deadline with 503, streams with an error event, and plain text cut off",
    () =>
      Effect.gen(function* () {
        const served = yield* Servers.start(name, {
          gateway: { grace: "100 millis" },
          provider: { answer: () => "one two three four five six seven" }
        })
        const begun: ReadonlyArray<readonly [string, object]> = [
          [path, { stream: true }],
          [path, { stream: true, n: 2 }],
          ["/v1/messages", { stream: true, max_tokens: 10 }],
          ["/llm/chat/stream", {}]
        ]
        yield* served.provider.next(...Array.from({ length: 5 }, () => SimulatedProvider.hang(5)))
        const streams = yield* Effect.forEach(begun, ([to, fields]) => read(served, to, chat({ ...fields })))
        for (const { text } of streams) yield* eventually(Effect.map(text, (text) => text.includes("two")))
        yield* served.provider.next(SimulatedProvider.hang(), SimulatedProvider.hang())
        const waiting = [yield* read(served, path, chat()), yield* read(served, path, chat({ stream: true }))]
        yield* eventually(Effect.map(served.provider.inFlight, (requests) => requests === 7))
        const closing = yield* Effect.fork(served.close)
        for (const [index, { ended }] of streams.entries()) {
          const { isWhole, status, text } = yield* ended
          const isPlain = index === 3
          expect([index, status, isWhole, text.includes("shutting")]).toEqual([index, 200, !isPlain, !isPlain])
          expect(text).not.toMatch(/\[DONE\]|message_stop/)
        }
        for (const { ended } of waiting) {
          const { isWhole, status, text } = yield* ended
          expect([isWhole, status, text.includes("shutting_down")]).toEqual([true, 503, true])
        }
        yield* Fiber.join(closing)
        yield* waitUntilIdle(served)
      })
  )
})

// On other servers their own shutdown decides what becomes of a response that is not sent yet.
describe("shutdown of a gateway on GatewayServer with a client that reads slowly", () => {
  it.scopedLive("sends the whole of a large answer", () =>
    Effect.gen(function* () {
      const words = 4_000_000
      const served = yield* Servers.start("GatewayServer", { provider: { answer: () => "word ".repeat(words) } })
      const body = JSON.stringify(chat())
      let [size, isClosed] = [0, false]
      const socket = connect(Number(new URL(served.url).port), "127.0.0.1")
      socket.on("close", () => {
        isClosed = true
      })
      socket.on("data", (piece) => {
        if (size === 0) socket.pause()
        size += piece.length
      })
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      )
      yield* eventually(Effect.sync(() => size > 0))
      const closing = yield* Effect.fork(served.close)
      yield* Effect.sleep("100 millis")
      socket.resume()
      yield* eventually(Effect.sync(() => isClosed))
      expect(size).toBeGreaterThan(words * 5)
      yield* Fiber.join(closing)
    })
  )
})
