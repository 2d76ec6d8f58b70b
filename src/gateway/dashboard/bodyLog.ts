/**
 * The bodies of the last requests and answers, in memory, where they are configured. HTTP headers are not among them, and the values of
 * fields that hold secrets are masked: the tools of MCP servers have the tokens of those servers.
 */
import { Schema } from "effect"
import type { Responder } from "../http/exchange.js"
import { startOf } from "./requestLog.js"

/**
 * The beginnings of what a client sent and got, as text.
 *
 * @since 0.2.0
 * @category model
 */
export const Bodies = Schema.Struct({
  request: Schema.String,
  /** A streamed answer as its events. */
  answer: Schema.String
})

/**
 * @since 0.2.0
 * @category model
 */
export interface Bodies extends Schema.Schema.Type<typeof Bodies> {}

/** The most characters of a body, and of all bodies together. */
const maxText = 16 * 1024
const maxTotal = 16 * 1024 * 1024

/** What an entry takes besides its texts, in characters. */
const overhead = 200

/** A field of JSON whose name is that of a secret, with its value, which can be cut at the end of the text. */
const secretField =
  /("[^"\\]{0,100}(?:authorization|secret|password|cookie|api[-_]?key|[-_]token|(?:access|auth|bearer|refresh)token)[^"\\]{0,100}"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?$)/gi

const masked = (text: string): string => text.replace(secretField, '$1"***"')

/** Records the bodies of one request. */
export interface Capture {
  readonly request: (text: string) => void
  /** A responder that records what it sends. */
  readonly response: (to: Responder) => Responder
}

export interface BodyLog {
  /** A later request of the same id replaces an earlier one. */
  readonly unsafeStart: (requestId: string) => Capture
  readonly unsafeFind: (requestId: string) => Bodies | undefined
}

export const unsafeMake = (): BodyLog => {
  const entries = new Map<string, { request: string; answer: string }>()
  let total = 0
  const sizeOf = (requestId: string): number => requestId.length + overhead
  const remove = (requestId: string): void => {
    const entry = entries.get(requestId)
    if (entry === undefined) return
    entries.delete(requestId)
    total -= sizeOf(requestId) + entry.request.length + entry.answer.length
  }
  const grow = (length: number): void => {
    total += length
    for (const [oldest] of entries) {
      if (total <= maxTotal) break
      remove(oldest)
    }
  }
  return {
    unsafeStart: (requestId) => {
      remove(requestId)
      const entry = { request: "", answer: "" }
      entries.set(requestId, entry)
      grow(sizeOf(requestId))
      const decoder = new TextDecoder()
      const add = (field: "request" | "answer", text: string): void => {
        // Another request can have taken its place.
        if (entries.get(requestId) !== entry) return
        const part = startOf(text, maxText - entry[field].length)
        entry[field] += part
        grow(part.length)
      }
      return {
        request: (text) => add("request", text),
        response: (to) => ({
          ...to,
          send: (status, headers, body) => {
            add("answer", body)
            to.send(status, headers, body)
          },
          write: (piece) => {
            if (entry.answer.length < maxText) {
              add("answer", typeof piece === "string" ? piece : decoder.decode(piece, { stream: true }))
            }
            return to.write(piece)
          }
        })
      }
    },
    unsafeFind: (requestId) => {
      const entry = entries.get(requestId)
      return entry && { request: masked(entry.request), answer: masked(entry.answer) }
    }
  }
}
