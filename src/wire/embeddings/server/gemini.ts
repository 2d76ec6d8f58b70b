/**
 * The server's half of Gemini's embeddings: `batchEmbedContents` (Gemini API, "Embeddings"), and Vertex AI's `predict` (Vertex
 * AI, "Text embeddings API").
 */
import { Either } from "effect"
import type { Purpose } from "../../../vocabulary/Embedding.js"
import { array, isRecord, number, record, records, string } from "../../json.js"
import type { ServedEmbeddingsWire } from "../../Wire.js"
import { malformed } from "../../Wire.js"

const purposes: Readonly<Record<string, Purpose>> = {
  RETRIEVAL_QUERY: "query",
  RETRIEVAL_DOCUMENT: "document",
  SEMANTIC_SIMILARITY: "similarity",
  CLASSIFICATION: "classification",
  CLUSTERING: "clustering"
}

const textOf = (content: unknown): string =>
  isRecord(content)
    ? records(content, "parts")
        .map((part) => string(part, "text") ?? "")
        .join("")
    : ""

const decodeRequest: ServedEmbeddingsWire["decodeRequest"] = (body, address) => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const batch = array(body, "requests") === undefined ? [body] : records(body, "requests")
  const instances = records(body, "instances")
  const input =
    instances.length > 0
      ? instances.map((instance) => string(instance, "content") ?? "")
      : batch.map(({ content }) => textOf(content))
  if (input.length === 0) return Either.left(malformed("requests", body.requests))
  const first = batch[0] ?? {}
  const model = /models\/([^:]+):/.exec(address?.path ?? "")?.[1]
  const dimensions =
    number(first, "outputDimensionality") ?? number(record(body, "parameters") ?? {}, "outputDimensionality")
  const purpose = purposes[string(first, "taskType") ?? string(instances[0] ?? {}, "task_type") ?? ""]
  return Either.right({
    input,
    ...(model === undefined ? {} : { model }),
    ...(dimensions === undefined ? {} : { dimensions }),
    ...(purpose === undefined ? {} : { purpose })
  })
}

export const gemini: ServedEmbeddingsWire = {
  decodeRequest,
  encodeResponse: ({ embeddings, usage }, request) =>
    request.instances === undefined
      ? {
          embeddings: embeddings.map((values) => ({ values })),
          usageMetadata: { promptTokenCount: usage.inputTokens, totalTokenCount: usage.totalTokens }
        }
      : {
          predictions: embeddings.map((values, index) => ({
            // The first text has the whole count, since the counts of single texts are not available.
            embeddings: { values, statistics: { token_count: index === 0 ? usage.inputTokens : 0, truncated: false } }
          }))
        }
}
