/** The client's half of the protocol. */
import { anthropic as models } from "../../modelList/client.js"
import { native } from "../native.js"
import type { ClientWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { anthropic } from "../dialect.js"
import { encodeRequest, dropUnsupportedField } from "./request.js"
import { decodeResponse } from "./response.js"
import { decodeStream } from "./stream.js"
import { verbatim } from "./verbatim.js"

export const client = (options: Partial<Dialect> = {}) => {
  const dialect: Dialect = { ...anthropic, ...options }
  return {
    name: native.wire,
    framing: "sse",
    // Servers with the model in the path have no list of models.
    ...(dialect.path.includes("{model}") ? {} : { models }),
    encodeRequest: encodeRequest(dialect),
    ...(dialect.faithful ? { verbatim: verbatim(dialect) } : {}),
    dropUnsupportedField,
    decodeResponse,
    decodeStream
  } satisfies ClientWire
}
