/** The client's half of the protocol. */
import { make as embeddings } from "../../embeddings/client/openai.js"
import { openai as models } from "../../modelList/client.js"
import { native } from "../native.js"
import type { ClientWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { openai } from "../dialect.js"
import { encodeRequest, dropUnsupportedField } from "./request.js"
import { decodeResponse } from "./response.js"
import { decodeStream } from "./stream.js"
import { verbatim } from "./verbatim.js"

export const client = (dialect: Partial<Dialect> = {}) =>
  ({
    name: native.wire,
    framing: "sse",
    ...(dialect.embeddings === false ? {} : { embeddings: embeddings(dialect.embeddings) }),
    models,
    encodeRequest: encodeRequest({ ...openai, ...dialect }),
    ...(dialect.affinity === undefined ? {} : { affinity: dialect.affinity }),
    ...((dialect.faithful ?? openai.faithful) ? { verbatim } : {}),
    dropUnsupportedField,
    decodeResponse,
    decodeStream
  }) satisfies ClientWire
