/** Requests as bytes, for what no client would send. */
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
