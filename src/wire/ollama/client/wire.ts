/** The client's half of Ollama's protocol. */
import { ollama as embeddings } from "../../embeddings/client/ollama.js"
import { ollama as models } from "../../modelList/client.js"
import type { ClientWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { plain } from "../dialect.js"
import { encodeRequest, dropUnsupportedField } from "./request.js"
import { decodeResponse } from "./response.js"
import { decodeStream } from "./stream.js"

export const client = (dialect: Partial<Dialect> = {}) =>
  ({
    name: "ollama",
    framing: "ndjson",
    embeddings,
    models,
    encodeRequest: encodeRequest({ ...plain, ...dialect }),
    dropUnsupportedField,
    decodeResponse,
    decodeStream
  }) satisfies ClientWire
