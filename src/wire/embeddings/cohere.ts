/** Cohere's embeddings (API reference, v2/embed). */
import { Either } from "effect"
import type { Purpose } from "../../vocabulary/Embedding.js"
import { array, isRecord, number, record, string, tokens } from "../json.js"
import type { ServedEmbeddingsWire } from "../Wire.js"
import { malformed } from "../Wire.js"
import { read, reported } from "./answer.js"
import { textsOf } from "./texts.js"
import * as Vector from "./vector.js"

const inputTypes: Readonly<Record<Purpose, string>> = {
  query: "search_query",
  document: "search_document",
  similarity: "clustering",
  classification: "classification",
  clustering: "clustering"
}

const purposes: Readonly<Record<string, Purpose>> = {
  search_query: "query",
  search_document: "document",
  classification: "classification",
  clustering: "clustering"
}

/** In the order in which they are taken where an answer has several; `base64` is of floats. */
const embeddingTypes = ["float", "base64", "int8", "uint8", "binary", "ubinary"] as const

export const cohere: ServedEmbeddingsWire = {
  maxBatch: 96,
  encodeRequest: (request, { model }) =>
    Either.map(textsOf(request), (texts) => ({
      path: "/embed",
      body: {
        model: request.model ?? model,
        texts,
        // It must be said, and documents are what most texts are.
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
      embeddingTypes.map((type) => array(byType, type)).find((found) => found !== undefined) ??
      array(body, "embeddings")
    if (vectors === undefined) {
      return string(body, "message") ? reported(body) : Either.left(malformed("embeddings", body.embeddings))
    }
    return read(
      {
        vectors,
        path: "embeddings",
        asked: { type: "float", base64: true },
        inputTokens: tokens(record(record(body, "meta") ?? {}, "billed_units") ?? {}, "input_tokens")
      },
      source
    )
  },
  decodeRequest: (body) => {
    if (!isRecord(body)) return Either.left(malformed("", body))
    const input = array(body, "texts")
    if (input === undefined || input.length === 0 || !input.every((text): text is string => typeof text === "string")) {
      return Either.left(malformed("texts", body.texts))
    }
    const model = string(body, "model")
    const dimensions = number(body, "output_dimension")
    const purpose = purposes[string(body, "input_type") ?? ""]
    return Either.right({
      input,
      ...(model === undefined ? {} : { model }),
      ...(dimensions === undefined ? {} : { dimensions }),
      ...(purpose === undefined ? {} : { purpose })
    })
  },
  encodeResponse: ({ embeddings, usage }, request) => ({
    embeddings:
      Array.isArray(request.embedding_types) && request.embedding_types.includes("base64")
        ? { base64: embeddings.map(Vector.toBase64) }
        : { float: embeddings },
    meta: { billed_units: { input_tokens: usage.inputTokens } }
  })
}
