/** The transport of Node over sockets of loopback. */
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { Agent, interceptors } from "@effect/platform-node/Undici"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Predicate, Redacted } from "effect"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { createRequire } from "node:module"
import { dirname } from "node:path"
import type { RequestListener } from "node:http"
import type { Socket } from "node:net"
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib"
import * as Direct from "../../src/call/direct.js"
import { NodeTransport } from "../../src/node/index.js"
import { eventually } from "../support/eventually.js"
import { collectGarbage } from "../support/garbage.js"
import { timers } from "../support/timers.js"
import type { Exchanged } from "./servers.js"
import { codeOf, send, serve, serveProxy, serveRaw, text } from "./servers.js"

const directOf = (client: HttpClient.HttpClient) =>
  Option.match(Option.fromNullable(Direct.of(client)), {
    onNone: () => Effect.dieMessage("The HttpClient has no direct transport."),
    onSome: Effect.succeed
  })

const makeTransport = (options?: NodeTransport.UndiciOptions) =>
  Effect.flatMap(NodeTransport.makeUndici(options), directOf)

/** Whole answers in the order of the requests, each of which is sent when the one before it has ended. */
const sequentially = (transport: Direct.DirectTransport, urls: ReadonlyArray<string>) =>
  Effect.forEach(urls, (url) => Effect.tap(send(transport, { url }).over, immediate))

/**
 * undici makes a connection ready for the next request one turn of the event loop after a response. A fiber that goes on within the
 * response's last callback is a turn earlier.
 */
const immediate = Effect.async<void>((resume) => void setImmediate(() => setImmediate(() => resume(Effect.void))))

const allOver = (exchanges: ReadonlyArray<Exchanged>) => Effect.all(exchanges.map(({ over }) => over))

/** Waits until the value is the same in twenty polls in a row, which are 10 ms apart. */
const steady = (value: () => number) => {
  let last = value()
  let same = 0
  return Effect.as(
    eventually(
      Effect.sync(() => {
        const now = value()
        same = now === last ? same + 1 : 0
        last = now
        return same === 20
      })
    ),
    () => last
  )
}

describe("the direct transport of an HttpClient", () => {
  it.scoped("layerUndici and layerUndiciOptions provide an HttpClient that has a direct transport", () =>
    Effect.gen(function* () {
      for (const layer of [NodeTransport.layerUndici, NodeTransport.layerUndiciOptions({ connections: 2 })]) {
        const client = Context.get(yield* Layer.build(layer), HttpClient.HttpClient)
        expect(Direct.of(client)).toBeDefined()
      }
    })
  )

  const changed: ReadonlyArray<
    readonly [name: string, change: (client: HttpClient.HttpClient) => HttpClient.HttpClient]
  > = [
    ["mapRequest", HttpClient.mapRequest(HttpClientRequest.setHeader("x-user", "me"))],
    ["mapRequestInput", HttpClient.mapRequestInput((request) => request)],
    ["mapRequestEffect", HttpClient.mapRequestEffect(Effect.succeed)],
    ["tapRequest", HttpClient.tapRequest(() => Effect.void)],
    ["transformResponse", HttpClient.transformResponse((response) => response)],
    ["transform", HttpClient.transform((response) => response)],
    ["tap", HttpClient.tap(() => Effect.void)],
    ["filterStatusOk", HttpClient.filterStatusOk],
    ["withTracerPropagation", HttpClient.withTracerPropagation(false)],
    ["withTracerDisabledWhen", HttpClient.withTracerDisabledWhen(() => true)],
    ["retry", HttpClient.retry({ times: 1 })],
    ["followRedirects", HttpClient.followRedirects(1)],
    ["an object with the same members", (client) => ({ ...client })],
    ["a proxy of the object", (client) => new Proxy(client, {})],
    ["HttpClient.make", (client) => HttpClient.make((request) => client.execute(request))]
  ]

  for (const [name, change] of changed) {
    it.scoped(`an HttpClient that is wrapped by ${name} has no direct transport`, () =>
      Effect.map(NodeTransport.makeUndici(), (client) => expect(Direct.of(change(client))).toBeUndefined())
    )
  }

  it.scoped("an HttpClient that a layer maps or replaces has no direct transport", () =>
    Effect.gen(function* () {
      const mapped = Layer.map(NodeTransport.layerUndici, (context) =>
        Context.make(HttpClient.HttpClient, HttpClient.filterStatusOk(Context.get(context, HttpClient.HttpClient)))
      )
      const updated = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, HttpClient.filterStatusOk))
      const merged = HttpClient.layerMergedContext(NodeTransport.makeUndici())
      for (const layer of [mapped, Layer.provide(updated, NodeTransport.layerUndici), merged]) {
        const client = Context.get(yield* Layer.build(layer), HttpClient.HttpClient)
        expect(Direct.of(client)).toBeUndefined()
      }
    })
  )

  it.scoped(
    "an HttpClient that reaches its user through Layer.fresh, merge and provide keeps its direct transport",
    () =>
      Effect.gen(function* () {
        const layer = Layer.fresh(Layer.merge(Layer.empty, NodeTransport.layerUndici))
        const client = yield* Effect.provide(HttpClient.HttpClient, layer)
        expect(Direct.of(client)).toBeDefined()
      })
  )
})

describe("a request", () => {
  it.scopedLive("reports the head, the body and the end of a whole answer", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => {
        let body = ""
        request.on("data", (chunk) => (body += String(chunk)))
        request.on("end", () => response.writeHead(201, { "x-method": request.method }).end(`${request.url}: ${body}`))
      })
      const transport = yield* makeTransport()
      const received = yield* send(transport, {
        method: "POST",
        url: `${server.url}/v1/chat?a=b&c=%20d#fragment`,
        headers: { "content-type": "application/json" },
        body: '{"text":"Grüße 🙂"}'
      }).over
      expect(received.status).toBe(201)
      expect(received.headers["x-method"]).toBe("POST")
      expect(text(received)).toBe('/v1/chat?a=b&c=%20d: {"text":"Grüße 🙂"}')
      expect(received.calls).toEqual(["head", "data", "end"])
    })
  )

  it.scopedLive("is the same on the wire as a request of the HttpClient", () =>
    Effect.gen(function* () {
      const requests: Array<string> = []
      const server = yield* serveRaw((socket, request) => {
        requests.push(request)
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
      })
      const client = yield* NodeTransport.makeUndici()
      const url = `${server.url}/v1/chat/completions?api-version=1`
      const headers = { accept: "application/json", authorization: "Bearer key", "x-extra": "1" }
      const withBody = HttpClientRequest.bodyText(HttpClientRequest.post(url, { headers }), "{}", "application/json")
      for (const request of [HttpClientRequest.get(url, { headers }), withBody]) {
        yield* HttpClient.withTracerDisabledWhen(client, () => true).execute(request)
        yield* send(yield* directOf(client), {
          method: request.method === "GET" ? "GET" : "POST",
          url,
          headers: request.headers,
          ...(request.method === "GET" ? {} : { body: "{}" })
        }).over
      }
      expect(requests).toHaveLength(4)
      expect(requests[1]).toBe(requests[0])
      expect(requests[3]).toBe(requests[2])
      expect(requests[2]).not.toMatch(/accept-encoding/i)
    })
  )

  it.scopedLive("does not change the headers that it is given", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end())
      const proxy = yield* serveProxy()
      const headers = Object.freeze({ accept: "application/json" })
      for (const options of [{}, { proxy: proxy.url }]) {
        const { error } = yield* send(yield* makeTransport(options), { url: server.url, headers }).over
        expect(error).toBeUndefined()
      }
    })
  )

  it.scopedLive("reports each part of a chunked body when it arrives", () =>
    Effect.gen(function* () {
      const writers: Array<(part: string | undefined) => void> = []
      const server = yield* serve((_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders()
        writers.push((part) => (part === undefined ? response.end() : response.write(part)))
      })
      const { over, received } = send(yield* makeTransport(), { url: server.url })
      yield* eventually(Effect.sync(() => received.status === 200))
      for (const part of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
        const before = received.bytes
        writers[0]?.(part)
        yield* eventually(Effect.sync(() => received.bytes === before + part.length))
      }
      expect(received.calls).toEqual(["head", "data"])
      writers[0]?.(undefined)
      expect(text(yield* over)).toBe("data: 1\n\ndata: 2\n\ndata: 3\n\n")
    })
  )

  const chunkedHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

  it.scopedLive("reports the parts of a body that arrive together as one", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw((socket) => socket.write(`${chunkedHead}1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n`))
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(received.calls).toEqual(["head", "data", "end"])
      expect(received.chunks.map((chunk) => Buffer.from(chunk).toString())).toEqual(["abc"])
    })
  )

  it.scopedLive(
    "reports the parts of a body that arrive together with the end of the connection before its error",
    () =>
      Effect.gen(function* () {
        const server = yield* serveRaw((socket) => socket.end(`${chunkedHead}1\r\na\r\n1\r\nb\r\n`))
        const received = yield* send(yield* makeTransport(), { url: server.url }).over
        expect(received.calls).toEqual(["head", "data", "error"])
        expect(text(received)).toBe("ab")
      })
  )

  it.scopedLive("closes the connection and reports the error when what takes the body throws", () =>
    Effect.gen(function* () {
      const closed: Array<true> = []
      const server = yield* serveRaw((socket) => {
        socket.on("close", () => closed.push(true)).on("error", () => {})
        socket.write(`${chunkedHead}1\r\na\r\n`)
      })
      const received = yield* send(
        yield* makeTransport(),
        { url: server.url },
        {
          onData: () => {
            throw new Error("The consumer failed.")
          }
        }
      ).over
      expect(received.calls).toEqual(["head", "data", "error"])
      expect(received.error).toEqual(new Error("The consumer failed."))
      yield* eventually(Effect.sync(() => closed.length === 1))
    })
  )

  it.scopedLive("ignores informational responses before the final one", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => {
        response.writeEarlyHints({ link: "</style.css>; rel=preload" })
        response.writeProcessing()
        response.writeHead(200, { "x-final": "yes" }).end("final")
      })
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(received.calls).toEqual(["head", "data", "end"])
      expect([received.status, received.headers["x-final"], text(received)]).toEqual([200, "yes", "final"])
    })
  )

  it.scopedLive("ends without data where the response has no body", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) =>
        response.writeHead(Number(request.url?.slice(1)), { "content-encoding": "gzip" }).end()
      )
      const transport = yield* makeTransport()
      for (const status of [200, 204, 304, 500]) {
        const received = yield* send(transport, { url: `${server.url}/${status}` }).over
        expect([received.status, ...received.calls]).toEqual([status, "head", "end"])
      }
    })
  )

  it.scopedLive("reads a body that ends with the connection", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw((socket) => socket.end("HTTP/1.0 200 OK\r\n\r\nuntil the end"))
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(text(received)).toBe("until the end")
      expect(received.calls).toEqual(["head", "data", "end"])
    })
  )

  it.scopedLive("reports redirects like any other response", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.writeHead(307, { location: "/other" }).end())
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect([received.status, received.headers["location"]]).toEqual([307, "/other"])
      expect(server.accepted()).toBe(1)
    })
  )

  it.scopedLive("names headers in lower case, joins repeated ones, and reads their values as Latin-1", () =>
    Effect.gen(function* () {
      const head = [
        "HTTP/1.1 200 OK",
        "Content-Length: 0",
        "X-Name: Caf\u00e9",
        "Set-Cookie: a=1",
        "X-Repeated: one",
        "set-cookie: b=2",
        "x-repeated: two",
        "__proto__: polluted"
      ]
      const server = yield* serveRaw((socket) => socket.end(`${head.join("\r\n")}\r\n\r\n`, "latin1"))
      const { headers } = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(headers).toMatchObject({
        "content-length": "0",
        "x-name": "Café",
        "set-cookie": "a=1, b=2",
        "x-repeated": "one, two"
      })
    })
  )

  it.scopedLive("sends header values of Latin-1", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => response.end(request.headers["x-name"]))
      const received = yield* send(yield* makeTransport(), { url: server.url, headers: { "x-name": "Café" } }).over
      expect(text(received)).toBe("Café")
    })
  )
})

describe("a request that cannot be sent", () => {
  const requests: ReadonlyArray<readonly [string, Partial<Direct.DirectRequest>]> = [
    ["a URL that cannot be parsed", { url: "no URL" }],
    ["a URL of another protocol", { url: "file:///etc/passwd" }],
    ["a header name with a line break", { headers: { "x-a\r\nx-b": "1" } }],
    ["a header value with a line break", { headers: { "x-a": "1\r\nx-b: 2" } }],
    ["a header value beyond Latin-1", { headers: { "x-a": "→" } }],
    ["a header that HTTP reserves", { headers: { "transfer-encoding": "chunked" } }]
  ]
  for (const [what, request] of requests) {
    it.scopedLive(`reports an error for ${what}, and sends nothing`, () =>
      Effect.gen(function* () {
        const server = yield* serve((_request, response) => response.end())
        const proxy = yield* serveProxy()
        for (const options of [{}, { proxy: proxy.url }]) {
          const transport = yield* makeTransport(options)
          const received = yield* send(transport, { url: server.url, ...request }).over
          expect(received.calls).toEqual(["error"])
          expect(received.error).toBeInstanceOf(Error)
        }
        expect([server.accepted(), proxy.accepted()]).toEqual([0, 0])
      })
    )
  }

  it.scopedLive("reports an error that a dispatcher throws", () =>
    Effect.gen(function* () {
      class Throwing extends Agent {
        override dispatch(): boolean {
          throw new Error("no dispatch today")
        }
      }
      const received = yield* send(yield* makeTransport({ dispatcher: new Throwing() }), { url: "http://localhost" })
        .over
      expect(received.error).toMatchObject({ message: "no dispatch today" })
    })
  )

  it.scopedLive("keeps the code of a refused connection, for each of many requests", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(serve(() => undefined))
      const transport = yield* makeTransport({ connections: 2 })
      const url = `http://127.0.0.1:${port}`
      const all = yield* allOver(Array.from({ length: 20 }, () => send(transport, { url })))
      expect(all.map(codeOf)).toEqual(all.map(() => "ECONNREFUSED"))
      expect(all.every(({ calls }) => calls.join() === "error")).toBe(true)
    })
  )

  it.scopedLive("reports a connect timeout where the handshake of TLS is not answered", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(() => undefined)
      const transport = yield* makeTransport({ connectTimeout: "50 millis" })
      const received = yield* send(transport, { url: `https://127.0.0.1:${server.port}` }).over
      expect(codeOf(received)).toBe("UND_ERR_CONNECT_TIMEOUT")
      yield* eventually(Effect.sync(() => server.sockets.size === 0))
    })
  )
})

describe("a connection that breaks", () => {
  it.scopedLive("reports an error without a head where it breaks before the response", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw((socket) => socket.resetAndDestroy())
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(received.calls).toEqual(["error"])
      expect(codeOf(received)).toBe("ECONNRESET")
    })
  )

  it.scopedLive("reports an error where it is closed before the response", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw((socket) => socket.end())
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(received.calls).toEqual(["error"])
      expect(codeOf(received)).toBe("UND_ERR_SOCKET")
    })
  )

  const framings = ["content-length: 100", "transfer-encoding: chunked", "content-length: 100\r\nconnection: close"]
  for (const framing of framings) {
    const head = `HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`
    const part = framing.includes("chunked") ? "5\r\nhello\r\n" : "hello"
    const breaks: ReadonlyArray<readonly [string, (socket: Socket) => void]> = [
      ["reset", (socket) => socket.resetAndDestroy()],
      ["closed", (socket) => socket.end()]
    ]
    for (const [how, breakIt] of breaks) {
      it.scopedLive(
        `reports an error after the data where it is ${how} in a body with ${JSON.stringify(framing)}`,
        () =>
          Effect.gen(function* () {
            const sockets: Array<Socket> = []
            const server = yield* serveRaw((socket) => {
              sockets.push(socket)
              socket.write(head + part)
            })
            const { over, received } = send(yield* makeTransport(), { url: server.url })
            yield* eventually(Effect.sync(() => received.bytes === 5))
            for (const socket of sockets) breakIt(socket)
            expect((yield* over).calls).toEqual(["head", "data", "error"])
            expect(received.error).toBeInstanceOf(Error)
          })
      )
    }
  }

  it.scopedLive("reports an error for a response that is not HTTP or that no one asked for", () =>
    Effect.gen(function* () {
      for (const response of ["hello\r\n\r\n", "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"]) {
        const server = yield* serveRaw((socket) => socket.end(response))
        expect((yield* send(yield* makeTransport(), { url: server.url }).over).calls).toEqual(["error"])
      }
    })
  )
})

/** Serves a body as fast as it is read. */
const serveLarge = (body: Buffer, headers: Readonly<Record<string, string>> = {}) => {
  let flushed = 0
  const listener: RequestListener = (_request, response) => {
    response.writeHead(200, headers)
    let written = 0
    const write = (): void => {
      while (written < body.length) {
        const part = body.subarray(written, written + 50_000)
        written += part.length
        if (!response.write(part, () => (flushed += part.length))) return
      }
      response.end()
    }
    response.on("drain", write)
    write()
  }
  return Effect.map(serve(listener), (served) => ({
    ...served,
    /** The number of bytes that the operating system has taken. */
    flushed: () => flushed
  }))
}

describe("pausing", () => {
  it.scopedLive("keeps a server from sending more than the buffers of the sockets hold, until resumed", () =>
    Effect.gen(function* () {
      const server = yield* serveLarge(Buffer.alloc(50_000_000, "x"))
      const { exchange, over, received } = send(
        yield* makeTransport(),
        { url: server.url },
        { onHead: ({ pause }) => pause() }
      )
      yield* eventually(Effect.sync(() => received.status === 200 && server.flushed() > 0))
      yield* steady(server.flushed)
      expect(server.flushed()).toBeLessThan(25_000_000)
      expect(received.bytes).toBeLessThan(200_000)
      exchange.resume()
      expect((yield* over).bytes).toBe(50_000_000)
    })
  )

  it.scopedLive("before the connection exists delays the body and not the head", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end("body"))
      const { exchange, over, received } = send(yield* makeTransport(), { url: server.url })
      exchange.pause()
      yield* eventually(Effect.sync(() => received.status === 200))
      yield* steady(() => received.bytes)
      expect(received.calls).toEqual(["head"])
      exchange.resume()
      expect((yield* over).calls).toEqual(["head", "data", "end"])
    })
  )

  it.scopedLive("and resuming any number of times, also inside the callbacks, loses nothing", () =>
    Effect.gen(function* () {
      const body = "0123456789".repeat(200_000)
      const server = yield* serve((_request, response) => response.end(body))
      const toggle = ({ pause, resume }: Direct.Exchange): void => {
        resume()
        pause()
        pause()
        resume()
        pause()
        queueMicrotask(resume)
        setImmediate(resume)
      }
      const transport = yield* makeTransport()
      const { over } = send(transport, { url: server.url }, { onHead: toggle, onData: toggle })
      expect(text(yield* over)).toBe(body)
    })
  )

  it.scopedLive("resumes a response from the callback of another one", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end("x".repeat(500_000)))
      const transport = yield* makeTransport()
      const paused = send(transport, { url: server.url }, { onHead: ({ pause }) => pause() })
      yield* eventually(Effect.sync(() => paused.received.status === 200))
      const other = send(transport, { url: server.url }, { onData: () => paused.exchange.resume() })
      expect((yield* other.over).bytes).toBe(500_000)
      expect((yield* paused.over).bytes).toBe(500_000)
    })
  )

  // Without `endWhilePaused`, undici 7 throws from an event handler in each of these, which no one can catch.
  const bodies: ReadonlyArray<readonly [framing: string, body: string]> = [
    ["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10", "0123456789"],
    ["HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked", "a\r\n0123456789\r\n0\r\n\r\n"],
    ["HTTP/1.1 200 OK\r\nconnection: close", "0123456789"],
    ["HTTP/1.0 200 OK\r\ncontent-length: 10", "0123456789"]
  ]
  for (const [framing, body] of bodies) {
    it.scopedLive(`reads to its end a response that ends while paused, with ${JSON.stringify(framing)}`, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw((socket) => {
          socket.write(`${framing}\r\n\r\n${body.slice(0, 6)}`)
          setTimeout(() => socket.end(body.slice(6)), 20)
        })
        const { exchange, over, received } = send(
          yield* makeTransport(),
          { url: server.url },
          { onHead: ({ pause }) => pause(), onData: ({ pause }) => pause() }
        )
        yield* eventually(Effect.sync(() => received.status === 200))
        yield* steady(() => received.bytes)
        // Each piece of data pauses again.
        const resuming = setInterval(() => exchange.resume(), 5)
        yield* Effect.ensuring(
          over,
          Effect.sync(() => clearInterval(resuming))
        )
        expect(text(received)).toBe("0123456789")
        expect(received.calls).toEqual(["head", "data", "end"])
      })
    )

    it.scopedLive(`reports an error for a connection that is reset while paused, with ${JSON.stringify(framing)}`, () =>
      Effect.gen(function* () {
        const sockets: Array<Socket> = []
        const server = yield* serveRaw((socket) => {
          sockets.push(socket)
          socket.write(`${framing}\r\n\r\n${body.slice(0, 6)}`)
        })
        const { over, received } = send(
          yield* makeTransport(),
          { url: server.url },
          { onHead: ({ pause }) => pause(), onData: ({ pause }) => pause() }
        )
        yield* eventually(Effect.sync(() => received.status === 200))
        for (const socket of sockets) socket.resetAndDestroy()
        expect((yield* over).calls.at(-1)).toBe("error")
      })
    )
  }

  it.scopedLive("the HttpClient too reads a response whose connection ends before its reader begins", () =>
    Effect.gen(function* () {
      const body = "x".repeat(100_000)
      const server = yield* serveRaw((socket) =>
        socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      )
      const client = yield* NodeTransport.makeUndici()
      const response = yield* client.get(server.url)
      yield* eventually(Effect.sync(() => server.sockets.size === 0))
      expect(yield* response.text).toBe(body)
    })
  )
})

describe("aborting", () => {
  it.scopedLive("before the connection exists sends nothing and reports nothing", () =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* serve((_request, response) => {
        requests++
        response.end("later")
      })
      const transport = yield* makeTransport({ connections: 1 })
      const { exchange, received } = send(transport, { url: server.url })
      exchange.abort()
      exchange.abort()
      // The next request uses the same connection, so that it would come after the first one.
      const next = yield* send(transport, { url: server.url }).over
      expect(text(next)).toBe("later")
      expect([requests, received.calls]).toEqual([1, []])
    })
  )

  it.scopedLive("while requests wait for a connection takes them out of the queue", () =>
    Effect.gen(function* () {
      const paths: Array<string | undefined> = []
      const responses: Array<() => void> = []
      const server = yield* serve((request, response) => {
        paths.push(request.url)
        responses.push(() => response.end())
      })
      const transport = yield* makeTransport({ connections: 1 })
      const [first, second, third] = ["first", "second", "third"].map((path) =>
        send(transport, { url: `${server.url}/${path}` })
      )
      yield* eventually(Effect.sync(() => responses.length === 1))
      second?.exchange.abort()
      responses[0]?.()
      yield* eventually(Effect.sync(() => responses.length === 2))
      responses[1]?.()
      yield* Effect.all([first?.over ?? Effect.void, third?.over ?? Effect.void])
      expect([paths, second?.received.calls]).toEqual([["/first", "/third"], []])
    })
  )

  const moments: ReadonlyArray<readonly [string, string]> = [
    ["before the head", ""],
    ["after the head", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["in the body", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ["in a compressed body", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 100\r\n\r\n\x1f\x8b"]
  ]
  for (const [when, sent] of moments) {
    for (const isPaused of [false, true]) {
      it.scopedLive(`${when} closes the connection${isPaused ? " of a paused response" : ""} and reports nothing`, () =>
        Effect.gen(function* () {
          const requests: Array<Socket> = []
          const server = yield* serveRaw((socket) => {
            requests.push(socket)
            socket.write(sent, "latin1")
          })
          const { exchange, received } = send(yield* makeTransport(), { url: server.url })
          if (isPaused) exchange.pause()
          yield* eventually(Effect.sync(() => requests.length === 1 && (sent === "" || received.status === 200)))
          const before = [...received.calls]
          exchange.abort()
          exchange.abort()
          yield* eventually(Effect.sync(() => requests.every(({ closed }) => closed)))
          exchange.pause()
          exchange.resume()
          exchange.abort()
          expect(received.calls).toEqual(before)
        })
      )
    }
  }

  it.scopedLive("inside a callback reports nothing more", () =>
    Effect.gen(function* () {
      const closed = new Set<Socket>()
      const server = yield* serve(({ socket }, response) => {
        socket.on("close", () => closed.add(socket))
        response.end("x".repeat(1_000_000))
      })
      const transport = yield* makeTransport()
      const abort = ({ abort }: Direct.Exchange): void => abort()
      const atHead = send(transport, { url: server.url }, { onHead: abort })
      const atData = send(transport, { url: server.url }, { onData: abort })
      yield* eventually(Effect.sync(() => atHead.received.status === 200 && atData.received.bytes > 0))
      yield* eventually(Effect.sync(() => closed.size === 2))
      expect([atHead.received.calls, atData.received.calls, atData.received.chunks.length]).toEqual([
        ["head"],
        ["head", "data"],
        1
      ])
    })
  )

  it.scopedLive("after the end keeps the connection", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end("done"))
      const transport = yield* makeTransport()
      const { exchange, over } = send(transport, { url: server.url })
      yield* over
      exchange.abort()
      yield* immediate
      yield* send(transport, { url: server.url }).over
      expect(server.accepted()).toBe(1)
    })
  )
})

describe("content encodings that were not asked for", () => {
  const plain = JSON.stringify({ text: "It is twelve o'clock. ".repeat(1000) })
  const encoded: ReadonlyArray<readonly [encoding: string, body: Uint8Array]> = [
    ["gzip", gzipSync(plain)],
    ["GZIP", gzipSync(plain)],
    ["x-gzip", gzipSync(plain)],
    ["br", brotliCompressSync(plain)],
    ["deflate", deflateSync(plain)],
    ["deflate", deflateRawSync(plain)],
    ["identity", Buffer.from(plain)],
    ["", Buffer.from(plain)]
  ]
  for (const [index, [encoding, body]] of encoded.entries()) {
    it.scopedLive(`decodes ${JSON.stringify(encoding)} (${index}), whole and in pieces of one byte`, () =>
      Effect.gen(function* () {
        const server = yield* serve((request, response) => {
          response.setHeader("content-encoding", encoding)
          if (request.url === "/whole") return response.end(body)
          response.write(body.subarray(0, 1))
          response.write(body.subarray(1, 2))
          setImmediate(() => response.end(body.subarray(2)))
        })
        const transport = yield* makeTransport()
        for (const received of yield* sequentially(transport, [`${server.url}/whole`, `${server.url}/pieces`])) {
          expect(text(received)).toBe(plain)
          expect(received.calls).toEqual(["head", "data", "end"])
        }
        expect(server.accepted()).toBe(1)
      })
    )
  }

  it.scopedLive("reports the events of a compressed stream when they arrive", () =>
    Effect.gen(function* () {
      for (const [encoding, compress] of [
        ["gzip", gzipSync],
        ["br", brotliCompressSync]
      ] as const) {
        const parts = ["data: 1\n\n", "data: 2\n\n"]
        const flushed = compress(parts.join(""))
        const server = yield* serve((_request, response) => {
          response.writeHead(200, { "content-encoding": encoding })
          // All but the end of the compressed stream.
          response.write(flushed.subarray(0, -1))
        })
        const { exchange, received } = send(yield* makeTransport(), { url: server.url })
        yield* eventually(Effect.sync(() => text(received) === parts.join("")))
        expect(received.calls).toEqual(["head", "data"])
        exchange.abort()
      }
    })
  )

  it.scopedLive("end with the compressed data where zeros follow it, and do not wait for the end of the response", () =>
    Effect.gen(function* () {
      const sockets: Array<Socket> = []
      const server = yield* serve(({ socket }, response) => {
        sockets.push(socket)
        response.writeHead(200, { "content-encoding": "gzip" })
        response.write(Buffer.concat([gzipSync(plain), Buffer.alloc(1000)]))
      })
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(text(received)).toBe(plain)
      expect(received.calls).toEqual(["head", "data", "end"])
      yield* eventually(Effect.sync(() => sockets.every(({ closed }) => closed)))
    })
  )

  const broken: ReadonlyArray<readonly [string, string, Uint8Array]> = [
    ["that is not compressed", "gzip", Buffer.from(plain)],
    ["that is not compressed", "br", Buffer.from(plain)],
    ["that is cut off", "gzip", gzipSync(plain).subarray(0, 60)],
    ["that is cut off", "br", brotliCompressSync(plain).subarray(0, 20)],
    ["that is cut off", "deflate", deflateSync(plain).subarray(0, 60)]
  ]
  for (const [what, encoding, body] of broken) {
    it.scopedLive(`reports an error for a body in ${encoding} ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* serve((_request, response) =>
          response.writeHead(200, { "content-encoding": encoding }).end(body)
        )
        const received = yield* send(yield* makeTransport(), { url: server.url }).over
        expect([received.calls[0], received.calls.at(-1)]).toEqual(["head", "error"])
        expect(received.error).toBeInstanceOf(Error)
      })
    )
  }

  it.scopedLive(
    "reports an error that names an encoding it does not know, after the head, and closes the connection",
    () =>
      Effect.gen(function* () {
        const server = yield* serve((_request, response) => {
          response.writeHead(429, { "content-encoding": "zstd, x-made-up" }).write("body")
        })
        const received = yield* send(yield* makeTransport(), { url: server.url }).over
        expect([received.status, ...received.calls]).toEqual([429, "head", "error"])
        expect(received.error).toMatchObject({ message: expect.stringContaining('"zstd, x-made-up"') })
        yield* eventually(Effect.sync(() => server.sockets.size === 0))
      })
  )

  it.scopedLive("reports an error where the connection breaks in a compressed body", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => {
        response.writeHead(200, { "content-encoding": "gzip" })
        response.write(gzipSync(plain).subarray(0, 50), () => response.destroy())
      })
      const received = yield* send(yield* makeTransport(), { url: server.url }).over
      expect(received.calls.at(-1)).toBe("error")
      expect(codeOf(received)).toBe("UND_ERR_SOCKET")
    })
  )

  it.scopedLive("are decoded no further than a few blocks while paused, from the little that was sent", () =>
    Effect.gen(function* () {
      const size = 50_000_000
      const server = yield* serve((_request, response) =>
        response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(Buffer.alloc(size, "x")))
      )
      let isReading = false
      const { exchange, over, received } = send(
        yield* makeTransport(),
        { url: server.url },
        { onData: ({ pause }) => (isReading ? undefined : pause()) }
      )
      yield* eventually(Effect.sync(() => received.bytes > 0))
      yield* steady(() => received.bytes)
      expect(received.bytes).toBeLessThan(200_000)
      isReading = true
      exchange.resume()
      expect((yield* over).bytes).toBe(size)
    })
  )

  it.scopedLive("are read from the socket no faster than they are decoded", () =>
    Effect.gen(function* () {
      const size = 60_000_000
      const server = yield* serveLarge(gzipSync(Buffer.alloc(size, "x"), { level: 0 }), { "content-encoding": "gzip" })
      let ahead = 0
      const { over } = send(
        yield* makeTransport(),
        { url: server.url },
        { onData: (_exchange, { bytes }) => (ahead = Math.max(ahead, server.flushed() - bytes)) }
      )
      expect((yield* over).bytes).toBe(size)
      expect(ahead).toBeLessThan(25_000_000)
    })
  )
})

describe("connections", () => {
  it.scopedLive("are reused by requests one after another, and shared with the HttpClient", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end("ok"))
      const client = yield* NodeTransport.makeUndici()
      const transport = yield* directOf(client)
      const all = yield* sequentially(
        transport,
        Array.from({ length: 50 }, () => server.url)
      )
      expect(all.map(text)).toEqual(all.map(() => "ok"))
      expect(yield* Effect.flatMap(client.get(server.url), (response) => response.text)).toBe("ok")
      expect(server.accepted()).toBe(1)
    })
  )

  it.scopedLive("are at most `connections` to one origin", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const server = yield* serve((_request, response) => {
        most = Math.max(most, ++running)
        setTimeout(() => {
          running--
          response.end("ok")
        }, 5)
      })
      const transport = yield* makeTransport({ connections: 3 })
      const all = yield* allOver(Array.from({ length: 20 }, () => send(transport, { url: server.url })))
      expect(all.map(text)).toEqual(all.map(() => "ok"))
      expect([most, server.accepted()]).toEqual([3, 3])
    })
  )

  it.scopedLive("are as many as requests run, without `connections`", () =>
    Effect.gen(function* () {
      const responses: Array<() => void> = []
      const server = yield* serve((_request, response) => responses.push(() => response.end()))
      const transport = yield* makeTransport()
      const exchanges = Array.from({ length: 30 }, () => send(transport, { url: server.url }))
      yield* eventually(Effect.sync(() => responses.length === 30))
      for (const respond of responses) respond()
      yield* allOver(exchanges)
    })
  )

  it.scopedLive("are closed when they were idle for the `keepAliveTimeout`", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end())
      const transport = yield* makeTransport({ keepAliveTimeout: "20 millis" })
      yield* send(transport, { url: server.url }).over
      yield* eventually(Effect.sync(() => server.sockets.size === 0))
    })
  )

  it.scopedLive("are kept no longer than the `keepAliveMaxTimeout`, whatever the server names", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.setHeader("keep-alive", "timeout=3600").end())
      const transport = yield* makeTransport({ keepAliveMaxTimeout: "20 millis" })
      yield* send(transport, { url: server.url }).over
      yield* eventually(Effect.sync(() => server.sockets.size === 0))
    })
  )
})

describe("the memory of a transport", () => {
  it.scopedLive("does not grow with the requests that have ended or were aborted, nor with their connections", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => {
        if (request.url === "/end") response.setHeader("connection", "close")
        response.write("begun")
        if (request.url === "/end") response.end()
      })
      const connected: Array<WeakRef<object>> = []
      const note = (message: unknown): void => {
        if (Predicate.hasProperty(message, "socket") && Predicate.isObject(message.socket))
          connected.push(new WeakRef(message.socket))
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => subscribe("undici:client:connected", note)),
        () => Effect.sync(() => unsubscribe("undici:client:connected", note))
      )
      const transport = yield* makeTransport()
      const requests = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.gen(function* () {
          const ended = send(transport, { url: `${server.url}/end` })
          yield* ended.over
          const aborted = send(transport, { url: server.url })
          yield* eventually(Effect.sync(() => aborted.received.bytes > 0))
          aborted.exchange.abort()
          return [ended.received, aborted.received].map((received) => new WeakRef(received))
        })
      )
      expect(connected.length).toBeGreaterThanOrEqual(40)
      yield* eventually(
        Effect.map(collectGarbage, () => requests.flat().every((request) => request.deref() === undefined))
      )
      // The connections that are kept for the next requests.
      yield* eventually(
        Effect.map(collectGarbage, () => connected.filter((socket) => socket.deref() !== undefined).length < 10)
      )
    })
  )
})

describe("closing the layer", () => {
  it.scopedLive("fails the requests that run, closes all connections, and leaves no timer", () =>
    Effect.gen(function* () {
      const alive = yield* timers
      const before = alive().length
      let requests = 0
      const server = yield* serve((request, response) => {
        requests++
        if (request.url === "/whole") response.end("done")
        if (request.url === "/stream") response.write("begun")
      })
      const silent = yield* serveRaw(() => undefined)
      const proxy = yield* serveRaw(() => undefined)
      const running = yield* Effect.scoped(
        Effect.gen(function* () {
          const transport = yield* makeTransport({ connectTimeout: "1 hour", keepAliveTimeout: "1 hour" })
          const proxied = yield* makeTransport({ connectTimeout: "1 hour", proxy: proxy.url })
          yield* send(transport, { url: `${server.url}/whole` }).over
          const stream = send(transport, { url: `${server.url}/stream` })
          const paused = send(transport, { url: `${server.url}/stream` }, { onHead: ({ pause }) => pause() })
          const hanging = send(transport, { url: `${server.url}/hanging` })
          const connecting = send(transport, { url: `https://127.0.0.1:${silent.port}` })
          const tunnelling = send(proxied, { url: server.url })
          yield* eventually(
            Effect.sync(() => stream.received.bytes > 0 && paused.received.status === 200 && requests === 4)
          )
          yield* eventually(Effect.sync(() => silent.sockets.size === 1 && proxy.sockets.size === 1))
          return [stream, paused, hanging, connecting, tunnelling]
        })
      )
      for (const { calls } of yield* allOver(running)) expect(calls.at(-1)).toBe("error")
      yield* eventually(
        Effect.sync(() => server.sockets.size === 0 && silent.sockets.size === 0 && proxy.sockets.size === 0)
      )
      yield* eventually(Effect.sync(() => alive().length === before))
    })
  )

  it.scopedLive("reports an error for requests that are sent afterwards", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end())
      const transport = yield* Effect.scoped(makeTransport())
      const { calls, error } = yield* send(transport, { url: server.url }).over
      expect(calls).toEqual(["error"])
      expect(error).toMatchObject({ code: "UND_ERR_DESTROYED" })
    })
  )

  it.scopedLive("keeps a dispatcher of the user's own open", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end("ok"))
      const dispatcher = yield* Effect.acquireRelease(
        Effect.sync(() => new Agent()),
        (agent) => Effect.promise(() => agent.destroy())
      )
      for (const _ of [1, 2]) {
        const received = yield* Effect.scoped(
          Effect.flatMap(makeTransport({ dispatcher }), (transport) => send(transport, { url: server.url }).over)
        )
        yield* immediate
        expect(text(received)).toBe("ok")
      }
      expect(server.accepted()).toBe(1)
    })
  )
})

describe("a dispatcher of the user's own", () => {
  it.scopedLive("sends the requests, with its interceptors", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => response.end(request.headers["x-intercepted"]))
      const dispatcher = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Agent().compose(
            (dispatch) => (options, handler) =>
              dispatch({ ...options, headers: { ...options.headers, "x-intercepted": "yes" } }, handler),
            interceptors.retry({ maxRetries: 1 })
          )
        ),
        (dispatcher) => Effect.promise(() => dispatcher.destroy())
      )
      const client = yield* NodeTransport.makeUndici({ dispatcher })
      expect(text(yield* send(yield* directOf(client), { url: server.url }).over)).toBe("yes")
      expect(yield* Effect.flatMap(client.get(server.url), (response) => response.text)).toBe("yes")
    })
  )

  it.scoped("is refused where it is of another copy of undici, with a message that says which one to use", () =>
    Effect.gen(function* () {
      const require = createRequire(import.meta.url)
      const folder = dirname(require.resolve("undici"))
      for (const file of Object.keys(require.cache)) if (file.startsWith(folder)) delete require.cache[file]
      const other = require("undici")
      const error = yield* Effect.flip(NodeTransport.makeUndici({ dispatcher: new other.Agent() }))
      expect(error).toBeInstanceOf(NodeTransport.InvalidTransportError)
      expect(error.message).toMatch(/dispatcher: .*@effect\/platform-node/)
    })
  )

  it.scoped("is refused beside other options, which it would ignore", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        NodeTransport.makeUndici({ dispatcher: new Agent(), connections: 2, proxy: "http://localhost" })
      )
      expect(error.faults).toEqual([expect.stringContaining("dispatcher: excludes")])
    })
  )
})

describe("options", () => {
  it.scoped("are refused with all faults, and without the password of the proxy", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Layer.build(
          NodeTransport.layerUndiciOptions({
            connectTimeout: 0,
            connections: 0.5,
            keepAliveTimeout: Infinity,
            keepAliveMaxTimeout: -1,
            proxy: Redacted.make("socks5://me:secret@localhost")
          })
        )
      )
      expect(error.faults.map((fault) => fault.split(":", 1)[0])).toEqual([
        "connectTimeout",
        "connections",
        "keepAliveTimeout",
        "keepAliveMaxTimeout",
        "proxy"
      ])
      expect(error.message).not.toContain("secret")
    })
  )
})

describe("a proxy", () => {
  const environmentWith = (variables: Readonly<Record<string, string>>) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = { ...process.env }
        for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]) {
          delete process.env[name]
          delete process.env[name.toLowerCase()]
        }
        Object.assign(process.env, variables)
        return before
      }),
      (before) =>
        Effect.sync(() => {
          process.env = before
        })
    )

  it.scopedLive("tunnels the requests of both transports, with the user and password of its URL", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => response.end(request.headers.host))
      const authorization = `Basic ${Buffer.from("me:p@ss").toString("base64")}`
      const proxy = yield* serveProxy(authorization)
      const client = yield* NodeTransport.makeUndici({
        proxy: Redacted.make(`http://me:p%40ss@127.0.0.1:${proxy.port}`)
      })
      const host = `127.0.0.1:${server.port}`
      expect(text(yield* send(yield* directOf(client), { url: server.url }).over)).toBe(host)
      yield* immediate
      expect(yield* Effect.flatMap(client.get(server.url), (response) => response.text)).toBe(host)
      expect(proxy.tunnels).toEqual([[host, authorization]])
    })
  )

  it.scopedLive("that refuses the tunnel is an error", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end())
      const proxy = yield* serveProxy("Basic other")
      const received = yield* send(yield* makeTransport({ proxy: proxy.url }), { url: server.url }).over
      expect(received.calls).toEqual(["error"])
      expect(received.error).toMatchObject({ message: expect.stringContaining("407") })
      expect(server.accepted()).toBe(0)
    })
  )

  it.scopedLive("that cannot be reached is an error with its code", () =>
    Effect.gen(function* () {
      const proxy = yield* Effect.scoped(serveProxy())
      const received = yield* send(yield* makeTransport({ proxy: proxy.url }), { url: "http://localhost" }).over
      expect(codeOf(received)).toBe("ECONNREFUSED")
    })
  )

  it.scopedLive('of the environment is used with "environment", except for hosts of NO_PROXY', () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end("ok"))
      const proxy = yield* serveProxy()
      yield* environmentWith({ HTTP_PROXY: proxy.url, NO_PROXY: "localhost" })
      const transport = yield* makeTransport({ proxy: "environment" })
      const all = yield* sequentially(transport, [server.url, `http://localhost:${server.port}`])
      expect(all.map(text)).toEqual(["ok", "ok"])
      expect(proxy.tunnels.map(([target]) => target)).toEqual([`127.0.0.1:${server.port}`])
    })
  )

  it.scopedLive("of the environment is ignored by default", () =>
    Effect.gen(function* () {
      const server = yield* serve((_request, response) => response.end("ok"))
      const proxy = yield* serveProxy()
      yield* environmentWith({ HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, http_proxy: proxy.url })
      expect(text(yield* send(yield* makeTransport(), { url: server.url }).over)).toBe("ok")
      expect(proxy.accepted()).toBe(0)
    })
  )
})
