/** Clients that disconnect, clients that do not read, and clients that wait. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "node:net"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import type { Gate, Running } from "./support/gateway.js"
import { makeGate, waitUntilIdle, start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question, reading } from "./support/http.js"
import { flood } from "./support/upstream.js"

const protocols = Object.keys(paths) as ReadonlyArray<Protocol>

/** Posts, disconnects once the response contains the mark and the provider has the request, and returns the text received. */
const disconnectAfter = (
  running: Running,
  path: string,
  body: unknown,
  mark: string,
  headers?: Readonly<Record<string, string>>
) =>
  Effect.gen(function* () {
    const client = yield* reading(running.url + path, body, headers)
    yield* eventually(
      Effect.zipWith(client.text, running.provider.inFlight, (text, requests) => requests > 0 && text.includes(mark))
    )
    yield* client.disconnect
    return (yield* client.ended).text
  })

describe.concurrent.each(protocols)("%s client that disconnects", (protocol) => {
  const phases = [
    ["while it waits for a whole answer", { stream: false }, SimulatedProvider.hang(), ""],
    ["before the first event of its stream", { stream: true }, SimulatedProvider.hang(), ""],
    [
      "while its stream sends only comments",
      { stream: true, keepAlive: "20 millis" },
      SimulatedProvider.hang(),
      "alive"
    ],
    ["in the middle of its stream", { stream: true }, SimulatedProvider.hang(5), "two"]
  ] as const

  for (const [when, { stream, ...gateway }, fault, mark] of phases) {
    it.scopedLive(`ends the call and releases the key when the client disconnects ${when}`, () =>
      Effect.gen(function* () {
        const running = yield* start({ gateway, provider: { answer: () => "one two three four five six seven" } })
        yield* running.provider.next(fault)
        const body = question(protocol, "openai/large", { stream })
        const text = yield* disconnectAfter(running, paths[protocol], body, mark)
        expect(text.includes("keep-alive")).toBe("keepAlive" in gateway)
        expect(text.includes("two")).toBe(fault._tag === "Hang" && fault.after > 0)
        yield* waitUntilIdle(running)
        expect((yield* running.provider.log).map(({ outcome }) => outcome)).toEqual(["aborted"])
        // The released key serves the next request.
        expect((yield* post(running.url + paths[protocol], question(protocol, "openai/large"))).status).toBe(200)
      })
    )
  }

  it.scopedLive("removes a request from the key queue when its client disconnects", () =>
    Effect.gen(function* () {
      const running = yield* start({
        entry: { api_keys: [{ key: "canary-upstream-secret-7f3a", max_concurrency: 1 }] }
      })
      yield* running.provider.next(SimulatedProvider.hang())
      const url = running.url + paths[protocol]
      const body = question(protocol, "openai/large", { stream: true })
      const { status } = yield* running.models.get("openai/large")
      const waiting = (count: number) => eventually(Effect.map(status, ({ keys }) => keys.waiting === count))
      const holder = yield* reading(url, body)
      yield* eventually(Effect.map(running.provider.inFlight, (requests) => requests === 1))
      const waiter = yield* reading(url, body)
      yield* waiting(1)
      yield* waiter.disconnect
      yield* waiting(0)
      expect(yield* running.provider.inFlight).toBe(1)
      yield* holder.disconnect
      yield* waitUntilIdle(running)
      expect(yield* running.provider.log).toHaveLength(1)
    })
  )
})

describe.concurrent("usage after a disconnect", () => {
  it.scopedLive("records estimated usage under the label of a client that disconnected midway", () =>
    Effect.gen(function* () {
      const ledger = yield* UsageLedger.make()
      const running = yield* start({
        access: { keys: [{ key: "sk-a", label: "team-a" }] },
        gateway: {
          around: (llm) => Effect.provideService(UsageLedger.middleware()(llm), UsageLedger.UsageLedger, ledger)
        },
        provider: { answer: () => "one two three four five six seven" }
      })
      yield* running.provider.next(SimulatedProvider.hang(5))
      const body = question("chat completions", "fast", { stream: true })
      yield* disconnectAfter(running, "/v1/chat/completions", body, "three", { authorization: "Bearer sk-a" })
      yield* waitUntilIdle(running)
      const { groups } = yield* ledger.snapshot
      const totals = UsageLedger.totalsBy(groups, "label").get("team-a")
      expect(totals?.attempts).toBe(1)
      expect(totals?.usage.outputTokens).toBeGreaterThan(0)
      expect(totals?.usage.estimated).toBe(true)
    })
  )
})

describe.concurrent("requests with n", () => {
  it.scopedLive("aborts all provider calls of an n request when its client disconnects", () =>
    Effect.gen(function* () {
      const running = yield* start({ provider: { answer: () => "one two three four five" } })
      yield* running.provider.next(SimulatedProvider.hang(3), SimulatedProvider.hang(3), SimulatedProvider.hang(3))
      const body = question("chat completions", "openai/large", { stream: true, n: 3 })
      yield* disconnectAfter(running, "/v1/chat/completions", body, "one")
      yield* waitUntilIdle(running)
      expect((yield* running.provider.log).map(({ outcome }) => outcome)).toEqual(["aborted", "aborted", "aborted"])
    })
  )

  it.scopedLive("fails an n request when one of its calls fails, and aborts the others", () =>
    Effect.gen(function* () {
      // The gateway makes the calls of a provider that is not faithful.
      const running = yield* start({ entry: { preset: "openrouter" } })
      yield* running.provider.next(SimulatedProvider.hang(), SimulatedProvider.status(500), SimulatedProvider.hang())
      const body = question("chat completions", "openai/large", { n: 3 })
      const { status } = yield* post(`${running.url}/v1/chat/completions`, body)
      expect(status).toBe(503)
      yield* waitUntilIdle(running)
    })
  )
})

const countComments = (text: string) => text.split("\n\n").filter((event) => event === ": keep-alive").length

/** Requests a stream, and opens the gate after its second keep-alive comment. */
const afterComments = (running: Running, protocol: Protocol, gate: Gate) =>
  Effect.gen(function* () {
    const body = question(protocol, "openai/large", { stream: true })
    const client = yield* reading(running.url + paths[protocol], body)
    yield* eventually(Effect.map(client.text, (text) => countComments(text) >= 2))
    yield* gate.open
    return yield* client.ended
  })

describe.concurrent("keep-alive comments", () => {
  it.scopedLive("sends keep-alive comments until the first event, and then the stream", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      const running = yield* start({ gateway: { keepAlive: "30 millis", around: gate.around } })
      const { headers, text } = yield* afterComments(running, "chat completions", gate)
      expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8")
      expect(headers.get("cache-control")).toBe("no-cache, no-transform")
      expect(headers.get("x-accel-buffering")).toBe("no")
      expect(countComments(text)).toBeGreaterThanOrEqual(2)
      expect(text.startsWith(": keep-alive\n\n")).toBe(true)
      expect(text.trimEnd().endsWith("data: [DONE]")).toBe(true)
    })
  )

  for (const [what, fault] of [
    ["before the first event", SimulatedProvider.truncate()],
    ["midway", SimulatedProvider.truncate(5)]
  ] as const) {
    for (const protocol of protocols) {
      it.scopedLive(
        `reports a failure ${what} to a ${protocol} client in the stream, after its headers were sent`,
        () =>
          Effect.gen(function* () {
            const gate = yield* makeGate
            const running = yield* start({
              gateway: { keepAlive: "30 millis", around: gate.around },
              provider: { answer: () => "one two three four five six seven" }
            })
            yield* running.provider.next(fault)
            const { status, text } = yield* afterComments(running, protocol, gate)
            expect(status).toBe(200)
            expect(text).toMatch(/"(?:stream_interrupted|malformed_response)"|"api_error"/)
            // The end mark of Responses comes after the failed response, too.
            if (protocol === "responses") expect(text).toContain("event: response.failed")
            else expect(text).not.toContain("[DONE]")
            expect(text).not.toMatch(/message_stop|response\.completed/)
          })
      )
    }
  }
})

/** The count, once it has not changed for half a second. */
const settledCount = (count: () => number): Effect.Effect<number> =>
  Effect.flatMap(Effect.sync(count), (before) =>
    Effect.flatMap(Effect.delay(Effect.sync(count), "500 millis"), (after) =>
      after === before && after > 0 ? Effect.succeed(after) : settledCount(count)
    )
  )

describe.concurrent("slow client", () => {
  it.scopedLive("stops reading from the provider while the client does not read, and loses no data", () =>
    Effect.gen(function* () {
      const total = 24 * 1024 * 1024
      const upstream = yield* flood(total)
      const running = yield* start({ entry: { base_url: upstream.url } })
      const body = JSON.stringify(question("chat completions", "openai/large", { stream: true }))
      const { port } = new URL(running.url)
      const socket = connect(Number(port), "127.0.0.1")
      socket.pause()
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      )
      const first = yield* settledCount(upstream.sent)
      // The upstream has stopped, and the socket buffers hold what it sent.
      expect(first).toBeGreaterThan(0)
      expect(first).toBeLessThan(total / 2)
      const received = yield* Effect.async<number>((resume) => {
        let size = 0
        let tail = ""
        socket.on("data", (piece) => {
          size += piece.length
          tail = (tail + piece.toString("latin1")).slice(-200)
        })
        socket.on("end", () => resume(Effect.succeed(tail.includes("[DONE]") ? size : 0)))
        socket.resume()
      })
      expect(received).toBeGreaterThan(total * 0.95)
    })
  )

  it.scopedLive("closes a connection after idleTimeout without reads, and releases its key", () =>
    Effect.gen(function* () {
      const upstream = yield* flood(64 * 1024 * 1024)
      const running = yield* start({ entry: { base_url: upstream.url }, server: { idleTimeout: "1 second" } })
      const body = JSON.stringify(question("chat completions", "openai/large", { stream: true }))
      const socket = connect(Number(new URL(running.url).port), "127.0.0.1")
      socket.on("error", () => {})
      socket.pause()
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      )
      yield* eventually(Effect.sync(() => upstream.sent() > 0))
      yield* waitUntilIdle(running)
      socket.destroy()
    })
  )
})
