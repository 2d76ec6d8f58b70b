/**
 * Gemini's embeddings: `batchEmbedContents` (Gemini API, "Embeddings"), and Vertex AI's `predict` (Vertex AI, "Text embeddings
 * API").
 */
import { Either } from "effect"
import type { EmbeddingRequest, Purpose } from "../../../vocabulary/Embedding.js"
import type { Json } from "../../json.js"
import { array, isRecord, record, records, tokens } from "../../json.js"
import type { EmbeddingsWire, WireRequest } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { read, reported } from "./answer.js"
import { textsOf } from "./texts.js"

const taskTypes: Readonly<Record<Purpose, string>> = {
  query: "RETRIEVAL_QUERY",
  document: "RETRIEVAL_DOCUMENT",
  similarity: "SEMANTIC_SIMILARITY",
  classification: "CLASSIFICATION",
  clustering: "CLUSTERING"
}

/** The name with its collection, `models` by default. */
const qualified = (model: string): string => (model.includes("/") ? model : `models/${model}`)

type Encode = (texts: ReadonlyArray<string>, request: EmbeddingRequest, model: string) => WireRequest

const encodeBatch: Encode = (texts, request, model) => ({
  path: `/${qualified(model)}:batchEmbedContents`,
  body: {
    requests: texts.map((text) => ({
      model: qualified(model),
      content: { parts: [{ text }] },
      ...(request.purpose === undefined ? {} : { taskType: taskTypes[request.purpose] }),
      ...(request.dimensions === undefined ? {} : { outputDimensionality: request.dimensions })
    })),
    ...request.extra
  }
})

const encodePredict: Encode = (texts, request, model) => ({
  path: `/${qualified(model)}:predict`,
  body: {
    instances: texts.map((content) => ({
      content,
      ...(request.purpose === undefined ? {} : { task_type: taskTypes[request.purpose] })
    })),
    ...(request.dimensions === undefined ? {} : { parameters: { outputDimensionality: request.dimensions } }),
    ...request.extra
  }
})

const values = (item: Json): unknown => item.values

const tokensOf = (predictions: ReadonlyArray<Json>): number | undefined => {
  const counts = predictions.map((item) => tokens(record(item, "statistics") ?? {}, "token_count"))
  return counts.reduce((sum, count) => (sum === undefined || count === undefined ? undefined : sum + count), 0)
}

const decodeResponse: EmbeddingsWire["decodeResponse"] = (body, source) => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  if (body.error !== undefined) return reported(body)
  if (array(body, "predictions") !== undefined) {
    const predictions = records(body, "predictions").map((item) => record(item, "embeddings") ?? {})
    return read({ vectors: predictions.map(values), path: "predictions", inputTokens: tokensOf(predictions) }, source)
  }
  const single = record(body, "embedding")
  if (single === undefined && array(body, "embeddings") === undefined) {
    return Either.left(malformed("embeddings", body.embeddings))
  }
  return read(
    {
      vectors: (single === undefined ? records(body, "embeddings") : [single]).map(values),
      path: "embeddings",
      inputTokens: tokens(record(body, "usageMetadata") ?? {}, "promptTokenCount")
    },
    source
  )
}

/** `predict` is the method of Vertex AI. */
export const gemini = (method: "batchEmbedContents" | "predict" = "batchEmbedContents"): EmbeddingsWire => ({
  // Gemini API, "Batch embedding": at most 100; Vertex AI, "Text embeddings API": at most 250 texts and 20,000 tokens.
  ...(method === "predict" ? { maxBatch: 250, maxBatchTokens: 20_000 } : { maxBatch: 100 }),
  encodeRequest: (request, { model }) =>
    Either.map(textsOf(request), (texts) =>
      (method === "predict" ? encodePredict : encodeBatch)(texts, request, request.model ?? model)
    ),
  decodeResponse
})
