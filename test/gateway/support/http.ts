/** An HTTP client that sends any body and headers, without the checks of an official client. */
import type { Scope } from "effect"
import { Effect } from "effect"

export const paths = {
  "chat completions": "/v1/chat/completions",
  responses: "/v1/responses",
  messages: "/v1/messages"
} as const

export type Protocol = keyof typeof paths

/** The same request in each protocol. */
export const question = (protocol: Protocol, model: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  model,
  ...(protocol === "responses" ? { input: "Hello" } : { messages: [{ role: "user", content: "Hello" }] }),
  ...(protocol === "messages" ? { max_tokens: 100 } : {}),
  ...fields
})

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: unknown
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Sends a request; `fetch` of Node, or a handler of web requests. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export const send = (url: string, init: RequestInit = {}, by: Fetch = fetch): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await by(url, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: parsed(text) }
  })

/** Posts a body as it is. */
export const postText = (
  url: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  by: Fetch = fetch
): Effect.Effect<Answer> =>
  send(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body }, by)

export const post = (
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  by: Fetch = fetch
): Effect.Effect<Answer> => postText(url, JSON.stringify(body), headers, by)

/** A response at its end, complete or not. */
export interface EndedResponse {
  /** 0 without a response. */
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Whether the response is complete, rather than cut off by either side. */
  readonly isWhole: boolean
}

/** A response that is read in the background. */
export interface Reading {
  readonly text: Effect.Effect<string>
  /** Closes the connection. */
  readonly disconnect: Effect.Effect<void>
  readonly isOver: Effect.Effect<boolean>
  readonly ended: Effect.Effect<EndedResponse>
}

/** Posts, and reads the response until it ends, the client disconnects, or the scope is closed. */
export const reading = (
  url: string,
  body: unknown,
  sent: Readonly<Record<string, string>> = {},
  by: Fetch = fetch
): Effect.Effect<Reading, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const controller = new AbortController()
      let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
      let text = ""
      let isOver = false
      const read = async (): Promise<EndedResponse> => {
        let [status, headers] = [0, new Headers()]
        try {
          const response = await by(url, {
            method: "POST",
            headers: { "content-type": "application/json", ...sent },
            body: JSON.stringify(body),
            signal: controller.signal
          })
          ;({ headers, status } = response)
          const decoder = new TextDecoder()
          reader = response.body?.getReader()
          for (;;) {
            const piece = await reader?.read()
            if (piece?.value === undefined) break
            text += decoder.decode(piece.value, { stream: true })
          }
          return { status, headers, text, isWhole: !controller.signal.aborted }
        } catch {
          // The server or this client closed the connection.
          return { status, headers, text, isWhole: false }
        } finally {
          isOver = true
        }
      }
      const ended = read()
      return {
        text: Effect.sync(() => text),
        disconnect: Effect.promise(async () => {
          controller.abort()
          // The body of a web handler does not follow the signal of the request.
          await reader?.cancel().catch(() => {})
        }),
        isOver: Effect.sync(() => isOver),
        ended: Effect.promise(() => ended)
      }
    }),
    ({ disconnect }) => disconnect
  )
