/** JSON responses. */
import { HttpServerResponse } from "@effect/platform"

interface Options {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Responds with encoded JSON. The server receives text, which Node sends in one packet with the headers; bytes follow in a packet
 * of their own.
 */
export const text = (text: string, options: Options = {}): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.raw(text, {
    ...options,
    contentType: "application/json",
    contentLength: Buffer.byteLength(text)
  })

export const json = (body: unknown, options: Options = {}): HttpServerResponse.HttpServerResponse =>
  text(JSON.stringify(body), options)
