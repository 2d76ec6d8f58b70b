/** Cohere's embeddings (API reference, v2/embed). */
import { Either } from "effect"
import type { Purpose } from "../../../vocabulary/Embedding.js"
import { array, isRecord, record, string, tokens } from "../../json.js"
import type { EmbeddingsWire } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { read, reported } from "./answer.js"
import { textsOf } from "./texts.js"

const inputTypes: Readonly<Record<Purpose, string>> = {
  query: "search_query",
  document: "search_document",
  similarity: "clustering",
  classification: "classification",
  clustering: "clustering"
}

/** In order of preference when a response has several; `base64` encodes floats. */
const embeddingTypes = ["float", "base64", "int8", "uint8", "binary", "ubinary"] as const

export const cohere: EmbeddingsWire = {
  maxBatch: 96,
  encodeRequest: (request, { model }) =>
    Either.map(textsOf(request), (texts) => ({
      path: "/embed",
      body: {
        model: request.model ?? model,
        texts,
        // Required; most texts are documents.
        input_type: inputTypes[request.purpose ?? "document"],
        embedding_types: [request.encoding ?? "float"],
        ...(request.dimensions === undefined ? {} : { output_dimension: request.dimensions }),
        ...request.extra
      }
    })),
  decodeResponse: (body, source) => {
    if (!isRecord(body)) return Either.left(malformed("", body))
    const byType = record(body, "embeddings") ?? {}
    const vectors =
      embeddingTypes.map((type) => array(byType, type)).find((list) => list !== undefined) ?? array(body, "embeddings")
    if (vectors === undefined) {
      return string(body, "message") ? reported(body) : Either.left(malformed("embeddings", body.embeddings))
    }
    return read(
      {
        vectors,
        path: "embeddings",
        encoding: { type: "float", base64: true },
        inputTokens: tokens(record(record(body, "meta") ?? {}, "billed_units") ?? {}, "input_tokens")
      },
      source
    )
  }
}
