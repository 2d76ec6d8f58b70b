/** Providers with a fixed answer, which record their requests. */
import type { Scope } from "effect"
import { Effect } from "effect"
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

export interface Upstream {
  readonly origin: string
  readonly bodies: ReadonlyArray<unknown>
  /** The same as they came. */
  readonly texts: ReadonlyArray<string>
  readonly headers: ReadonlyArray<IncomingHttpHeaders>
}

type Respond = (body: unknown, response: ServerResponse) => void

/** Listens on the loopback interface while the scope is open. */
const listen = (respond: Respond): Effect.Effect<Upstream, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Upstream & { readonly close: () => void }>((resume) => {
      const bodies: Array<unknown> = []
      const texts: Array<string> = []
      const headers: Array<IncomingHttpHeaders> = []
      const server = createServer((request, response) => {
        const pieces: Array<Buffer> = []
        request.on("data", (piece: Buffer) => {
          pieces.push(piece)
        })
        request.on("end", () => {
          const text = Buffer.concat(pieces).toString()
          texts.push(text)
          const body: unknown = JSON.parse(text)
          bodies.push(body)
          headers.push(request.headers)
          respond(body, response)
        })
      })
      const close = (): void => {
        server.close()
        server.closeAllConnections()
      }
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ origin: `http://127.0.0.1:${port}`, bodies, texts, headers, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** Sends the pieces of an answer one by one, each in a read of its own where the network allows it. */
export const sendingPieces = () =>
  Effect.suspend(() => {
    let next: { readonly contentType: string; readonly pieces: ReadonlyArray<Uint8Array> } = {
      contentType: "",
      pieces: []
    }
    const respond = (_: unknown, response: ServerResponse): void => {
      const { contentType, pieces } = next
      response.writeHead(200, { "content-type": contentType })
      const send = (index: number): void => {
        const piece = pieces[index]
        if (piece === undefined) response.end()
        else response.write(piece, () => setImmediate(send, index + 1))
      }
      send(0)
    }
    return Effect.map(listen(respond), (upstream) => ({
      ...upstream,
      /** The answer to the requests from now on. */
      answer: (contentType: string, pieces: ReadonlyArray<Uint8Array>): void => {
        next = { contentType, pieces }
      }
    }))
  })

/** Answers by the fields, the URL and the headers of the request. The default status is 200. */
export const answering = (
  answer: (
    body: Readonly<Record<string, unknown>>,
    request: Pick<IncomingMessage, "url" | "headers">
  ) => {
    readonly status?: number
    readonly headers?: Readonly<Record<string, string>>
    readonly contentType: string
    readonly text: string
  }
) =>
  listen((body, response) => {
    const fields = typeof body === "object" && body !== null ? { ...body } : {}
    const { contentType, headers, status = 200, text } = answer(fields, response.req)
    response.writeHead(status, { ...headers, "content-type": contentType }).end(text)
  })

export const respondWith = (contentType: string, answer: string) =>
  listen((_, response) => {
    response.writeHead(200, { "content-type": contentType }).end(answer)
  })

/** Answers Chat Completions. A stream sends "one" at once; its end, and a whole answer, wait until the latch is open. */
export const holding = (latch: Effect.Latch) =>
  listen((body, response) => {
    const isStream = typeof body === "object" && body !== null && "stream" in body && body.stream === true
    const head = { id: "held", created: 1, model: "held" }
    const chunk = (delta: object, finish_reason: string | null) => ({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason }]
    })
    if (isStream) {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(sse([chunk({ role: "assistant", content: "one" }, null)]))
    }
    const message = { role: "assistant", content: "one two" }
    const whole = { ...head, object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }] }
    const end = Effect.sync(() =>
      isStream
        ? response.end(sse([chunk({ content: " two" }, null), chunk({}, "stop"), "[DONE]"]))
        : response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(whole))
    )
    Effect.runFork(Effect.zipRight(latch.await, end))
  })

/** A provider that sends as fast as the connection accepts, and counts the bytes. */
export const flood = (total: number) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly sent: () => number; readonly close: () => void }>((resume) => {
      let sent = 0
      const chunk = (text: string) =>
        `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })}\n\n`
      const piece = chunk("x".repeat(16_000))
      const server = createServer((request, response) => {
        request.resume()
        response.writeHead(200, { "content-type": "text/event-stream" })
        const more = (): void => {
          while (sent < total) {
            sent += piece.length
            if (!response.write(piece)) {
              response.once("drain", more)
              return
            }
          }
          response.end(
            `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\ndata: [DONE]\n\n`
          )
        }
        more()
      })
      server.listen(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
            sent: () => sent,
            close: () => {
              server.closeAllConnections()
              server.close()
            }
          })
        )
      )
    }),
    ({ close }) => Effect.sync(close)
  )

export const sse = (events: ReadonlyArray<unknown>): string =>
  events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`).join("")

export const chunksOf = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text
    .split("\n\n")
    .map((event) => /(?<=^|\n)data: (.*)/.exec(event)?.[1] ?? "")
    .filter((data) => data.startsWith("{"))
    .map((data) => JSON.parse(data) as Record<string, unknown>)
