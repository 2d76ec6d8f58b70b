/** Requests as bytes, for what no client would send. */
import type { Scope } from "effect"
import { Effect } from "effect"

export const paths = {
  "chat completions": "/v1/chat/completions",
  responses: "/v1/responses",
  messages: "/v1/messages"
} as const

export type Spoken = keyof typeof paths

/** The same question in each protocol. */
export const question = (spoken: Spoken, model: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  model,
  ...(spoken === "responses" ? { input: "Hello" } : { messages: [{ role: "user", content: "Hello" }] }),
  ...(spoken === "messages" ? { max_tokens: 100 } : {}),
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

export const send = (url: string, init: RequestInit = {}): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: parsed(text) }
  })

export const post = (
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<Answer> =>
  send(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body)
  })

/** What there was of a response at its end. */
export interface Read {
  /** 0 where none came. */
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Whether the response ended as HTTP says, and not by a connection that was cut or left. */
  readonly isWhole: boolean
}

/** A response that is read while it arrives. */
export interface Reading {
  readonly text: Effect.Effect<string>
  /** Closes the connection, as a client does that is not interested any more. */
  readonly leave: Effect.Effect<void>
  readonly isOver: Effect.Effect<boolean>
  readonly ended: Effect.Effect<Read>
}

/** Posts, and reads the response until it ends, the client leaves, or the scope is closed. */
export const reading = (
  url: string,
  body: unknown,
  sent: Readonly<Record<string, string>> = {}
): Effect.Effect<Reading, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const controller = new AbortController()
      let text = ""
      let isOver = false
      const read = async (): Promise<Read> => {
        let [status, headers] = [0, new Headers()]
        try {
          const response = await fetch(url, {
            method: "POST",
            headers: { "content-type": "application/json", ...sent },
            body: JSON.stringify(body),
            signal: controller.signal
          })
          ;({ headers, status } = response)
          const decoder = new TextDecoder()
          for await (const piece of response.body ?? []) text += decoder.decode(piece as Uint8Array, { stream: true })
          return { status, headers, text, isWhole: true }
        } catch {
          // The connection was cut by the server, or left by this client.
          return { status, headers, text, isWhole: false }
        } finally {
          isOver = true
        }
      }
      const ended = read()
      return {
        text: Effect.sync(() => text),
        leave: Effect.sync(() => controller.abort()),
        isOver: Effect.sync(() => isOver),
        ended: Effect.promise(() => ended)
      }
    }),
    ({ leave }) => leave
  )
