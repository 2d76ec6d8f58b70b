/** The server's half of the protocol. */
import type { ServerWire } from "../../Wire.js"
import { native } from "../native.js"
import { decodeRequest } from "./request.js"
import { encodeError, encodeResponse, encodeStream } from "./response.js"

export const server = (): ServerWire => ({
  name: native.wire,
  framing: "sse",
  decodeRequest,
  encodeResponse,
  encodeStream,
  encodeError
})
