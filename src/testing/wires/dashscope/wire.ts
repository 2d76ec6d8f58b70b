/** The server's half of DashScope's protocol, for the simulated provider. */
import type { ServerWire } from "../../../wire/Wire.js"
import { decodeRequest } from "./request.js"
import { encodeError, encodeResponse, encodeStream } from "./response.js"

export const server: ServerWire = {
  name: "dashscope",
  framing: "sse",
  decodeRequest,
  encodeResponse,
  encodeStream,
  encodeError
}
