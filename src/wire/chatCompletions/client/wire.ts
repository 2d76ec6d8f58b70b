/** The client's half of Chat Completions. */
import { make as embeddings } from "../../embeddings/client/openai.js"
import { openai as models } from "../../modelList/client.js"
import type { ClientWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { common } from "../dialect.js"
import { native } from "../native.js"
import { encodeRequest, dropUnsupportedField } from "./request.js"
import { decodeResponse } from "./response.js"
import { decodeStream } from "./stream.js"
import { verbatim } from "./verbatim.js"

export const client = (options: Partial<Dialect> = {}) => {
  const dialect: Dialect = { ...common, ...options }
  return {
    name: native.wire,
    framing: "sse",
    ...(dialect.embeddings === false ? {} : { embeddings: embeddings(dialect.embeddings) }),
    ...(dialect.models ? { models } : {}),
    encodeRequest: encodeRequest(dialect),
    ...(dialect.affinity === undefined ? {} : { affinity: dialect.affinity }),
    ...(dialect.faithful ? { verbatim: verbatim(dialect) } : {}),
    dropUnsupportedField,
    decodeResponse,
    decodeStream
  } satisfies ClientWire
}
