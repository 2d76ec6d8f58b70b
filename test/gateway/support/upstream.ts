/** A provider that gives one answer to whatever it is asked, and remembers what that was. */
import { Effect } from "effect"
import type { IncomingHttpHeaders } from "node:http"
import { createServer } from "node:http"

export interface Upstream {
  readonly origin: string
  readonly asked: ReadonlyArray<unknown>
  readonly headers: ReadonlyArray<IncomingHttpHeaders>
}

export const answering = (contentType: string, answer: string) =>
  Effect.acquireRelease(
    Effect.async<Upstream & { readonly close: () => void }>((resume) => {
      const asked: Array<unknown> = []
      const headers: Array<IncomingHttpHeaders> = []
      const server = createServer((request, response) => {
        let text = ""
        request.on("data", (piece: Buffer) => {
          text += piece.toString()
        })
        request.on("end", () => {
          asked.push(JSON.parse(text))
          headers.push(request.headers)
          response.writeHead(200, { "content-type": contentType }).end(answer)
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ origin: `http://127.0.0.1:${port}`, asked, headers, close: () => server.close() }))
      })
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
