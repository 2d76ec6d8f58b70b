/** The client's half of the protocol. */
import { anthropic as models } from "../../modelList/client.js"
import { native } from "../native.js"
import type { ClientWire } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { anthropic } from "../dialect.js"
import { encodeRequest, dropUnsupportedField } from "./request.js"
import { decodeResponse } from "./response.js"
import { decodeStream } from "./stream.js"

export const client = (dialect: Partial<Dialect> = {}) =>
  ({
    name: native.wire,
    framing: "sse",
    // Servers with the model in the path have no list of models.
    ...(dialect.path?.includes("{model}") === true ? {} : { models }),
    encodeRequest: encodeRequest({ ...anthropic, ...dialect }),
    dropUnsupportedField,
    decodeResponse,
    decodeStream
  }) satisfies ClientWire
