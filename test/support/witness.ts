/** A provider of Chat Completions on the loopback interface, whose log says what was sent. */
import { Effect } from "effect"
import * as Http from "node:http"

export interface Request {
  readonly at: number
  readonly key: string
  readonly model: string
  readonly status: number
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds before the reply. @default 0 */
  readonly after?: number
  /** The message of an error. @default the status */
  readonly message?: string
}

export interface Witness {
  readonly baseUrl: string
  readonly log: Array<Request>
  /** The most requests that were open at the same time. */
  readonly mostOpen: () => number
}

const bodyOf = ({ message, status }: Reply): string =>
  status === 200
    ? JSON.stringify({
        id: "a",
        object: "chat.completion",
        created: 1,
        model: "m",
        choices: [{ index: 0, message: { role: "assistant", content: "yes" }, finish_reason: "stop" }],
        usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
      })
    : JSON.stringify({ error: { message: message ?? `status ${status}` } })

/** `replyTo` gets the key, the time in milliseconds, and the body of a request. */
export const serve = (replyTo: (key: string, at: number, body: { readonly model: string }) => Reply) =>
  Effect.acquireRelease(
    Effect.async<Witness & { readonly close: () => void }>((resume) => {
      const log: Array<Request> = []
      let open = 0
      let most = 0
      const server = Http.createServer((request, response) => {
        const chunks: Array<Buffer> = []
        most = Math.max(most, ++open)
        response.on("close", () => open--)
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const key = (request.headers.authorization ?? "").replace("Bearer ", "")
          const at = performance.now()
          const body = JSON.parse(Buffer.concat(chunks).toString())
          const reply = replyTo(key, at, body)
          log.push({ at, key, model: body.model, status: reply.status })
          setTimeout(() => {
            response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers })
            response.end(bodyOf(reply))
          }, reply.after ?? 0)
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            baseUrl: `http://127.0.0.1:${port}/v1`,
            log,
            mostOpen: () => most,
            close: () => {
              server.closeAllConnections()
              server.close()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
