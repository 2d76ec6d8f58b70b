/** The server's half of Chat Completions. */
import type { ServerWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { common } from "../dialect.js"
import { native } from "../native.js"
import { decodeRequest } from "./request.js"
import { encodeError, encodeResponse, encodeStream } from "./response.js"

export const server = (options: Partial<Dialect> = {}): ServerWire => {
  const dialect: Dialect = { ...common, ...options }
  return {
    name: native.wire,
    framing: "sse",
    decodeRequest,
    encodeResponse: encodeResponse(dialect),
    encodeStream: encodeStream(dialect),
    encodeError
  }
}
