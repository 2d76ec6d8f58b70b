/**
 * A request and its response, in the form that the hot routes share on every server: Node's own, and any other that serves
 * `Gateway.app`.
 */
import type { Effect, Stream } from "effect"
import type { IncomingMessage } from "node:http"

/** Names are in lower case. */
export type RequestHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** A header that is sent once. */
export const header = (headers: RequestHeaders, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" ? value : value?.[0]
}

export interface Request {
  readonly method: string
  /** That of the route, without the query. */
  readonly path: string
  /** The model that the address of the request names, and not its body. */
  readonly model?: string | undefined
  readonly headers: RequestHeaders
  readonly body: IncomingMessage | Stream.Stream<Uint8Array, unknown>
}

/** Headers of a response; names are in lower case. */
export type ResponseHeaders = Readonly<Record<string, string>>

/** The response to one request: one `send`, or one `begin` with writes and one `end`. Nothing throws after the client has left. */
export interface Responder {
  /** Sends a whole response. */
  readonly send: (status: number, headers: ResponseHeaders, body: string) => void
  /** Sends the headers of a streamed response. */
  readonly begin: (headers: ResponseHeaders) => void
  /** Writes a piece of a streamed response. False when the client reads slowly, and the next piece should wait for `drained`. */
  readonly write: (piece: string | Uint8Array) => boolean
  /** Waits until the pieces that were written have been taken. */
  readonly drained: Effect.Effect<void>
  /** Whether a fiber waits for `drained`. */
  readonly isWaiting: () => boolean
  /** Ends the wait for `drained`. The fiber can go on within this call. */
  readonly stopWaiting: () => void
  readonly end: () => void
  /** Closes the connection in the middle of a streamed response, so that it does not look complete. */
  readonly destroy: () => void
}

export interface Exchange {
  readonly request: Request
  readonly response: Responder
}
