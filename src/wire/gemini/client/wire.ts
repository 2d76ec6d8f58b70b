/** The client's half of the protocol. */
import { gemini as embeddings } from "../../embeddings/client/gemini.js"
import { gemini as models } from "../../modelList/client.js"
import type { ClientWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { gemini } from "../dialect.js"
import { encodeRequest, dropUnsupportedField } from "./request.js"
import { decodeResponse } from "./response.js"
import { decodeStream } from "./stream.js"

export const client = (dialect: Partial<Dialect> = {}) =>
  ({
    name: "gemini",
    framing: "sse",
    embeddings: embeddings(dialect.embeddings),
    models,
    encodeRequest: encodeRequest({ ...gemini, ...dialect }),
    dropUnsupportedField,
    decodeResponse,
    decodeStream
  }) satisfies ClientWire
