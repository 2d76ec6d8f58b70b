/** The server's half of Cohere's embeddings (API reference, v2/embed). */
import { Either } from "effect"
import type { Purpose } from "../../../vocabulary/Embedding.js"
import { isRecord, number, string } from "../../json.js"
import type { ServedEmbeddingsWire } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import * as Vector from "../vector.js"
import { decodeTexts } from "./texts.js"

const purposes: Readonly<Record<string, Purpose>> = {
  search_query: "query",
  search_document: "document",
  classification: "classification",
  clustering: "clustering"
}

export const cohere: ServedEmbeddingsWire = {
  decodeRequest: (body) => {
    if (!isRecord(body)) return Either.left(malformed("", body))
    const model = string(body, "model")
    const dimensions = number(body, "output_dimension")
    const purpose = purposes[string(body, "input_type") ?? ""]
    return Either.map(decodeTexts(body.texts, "texts"), (input) => ({
      input,
      ...(model === undefined ? {} : { model }),
      ...(dimensions === undefined ? {} : { dimensions }),
      ...(purpose === undefined ? {} : { purpose })
    }))
  },
  encodeResponse: ({ embeddings, usage }, request) => ({
    embeddings:
      Array.isArray(request.embedding_types) && request.embedding_types.includes("base64")
        ? { base64: embeddings.map(Vector.toBase64) }
        : { float: embeddings },
    meta: { billed_units: { input_tokens: usage.inputTokens } }
  })
}
