/** The server's half of Ollama's protocol. */
import type { ServerWire } from "../../Wire.js"
import { decodeRequest } from "./request.js"
import { encodeError, encodeResponse, encodeStream } from "./response.js"

export const server = (): ServerWire => ({
  name: "ollama",
  framing: "ndjson",
  decodeRequest,
  encodeResponse,
  encodeStream,
  encodeError
})
