/** Answers in JSON. */
import { HttpServerResponse } from "@effect/platform"

/** Given to the server as text: Node sends it in one piece with the headers, and bytes in a piece of their own. */
export const json = (
  body: unknown,
  options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {}
): HttpServerResponse.HttpServerResponse => {
  const text = JSON.stringify(body)
  return HttpServerResponse.raw(text, {
    ...options,
    contentType: "application/json",
    contentLength: Buffer.byteLength(text)
  })
}
