/** Answers in JSON. */
import { HttpServerResponse } from "@effect/platform"

interface Options {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** JSON as it is. Given to the server as text: Node sends it in one piece with the headers, and bytes in a piece of their own. */
export const text = (text: string, options: Options = {}): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.raw(text, {
    ...options,
    contentType: "application/json",
    contentLength: Buffer.byteLength(text)
  })

export const json = (body: unknown, options: Options = {}): HttpServerResponse.HttpServerResponse =>
  text(JSON.stringify(body), options)
