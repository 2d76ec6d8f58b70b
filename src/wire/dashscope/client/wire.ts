/** The client's half of DashScope's protocol. */
import { dashscope as embeddings } from "../../embeddings/client/dashscope.js"
import type { ClientWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { standard } from "../dialect.js"
import { encodeRequest, dropUnsupportedField } from "./request.js"
import { decodeResponse } from "./response.js"
import { decodeStream } from "./stream.js"

export const client = (dialect: Partial<Dialect> = {}) =>
  ({
    name: "dashscope",
    framing: "sse",
    embeddings,
    encodeRequest: encodeRequest({ ...standard, ...dialect }),
    dropUnsupportedField,
    decodeResponse,
    decodeStream
  }) satisfies ClientWire
