/** Ollama's embeddings: `/api/embed` (API documentation, "Generate Embeddings"), and responses of the older `/api/embeddings`. */
import { Either } from "effect"
import { array, isRecord, string, tokens } from "../../json.js"
import type { EmbeddingsWire } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { read, reported } from "./answer.js"
import { textsOf } from "./texts.js"

export const ollama: EmbeddingsWire = {
  // Ollama has no limit; this one prevents a request from blocking a small machine for long.
  maxBatch: 256,
  encodeRequest: (request, { model }) =>
    Either.map(textsOf(request), (input) => ({
      path: "/api/embed",
      body: {
        model: request.model ?? model,
        input,
        ...(request.dimensions === undefined ? {} : { dimensions: request.dimensions }),
        ...request.extra
      }
    })),
  decodeResponse: (body, source) => {
    if (!isRecord(body)) return Either.left(malformed("", body))
    if (body.error !== undefined) return reported(body)
    const legacy = array(body, "embedding")
    const vectors = array(body, "embeddings") ?? (legacy === undefined ? undefined : [legacy])
    if (vectors === undefined) return Either.left(malformed("embeddings", body.embeddings))
    return read(
      { model: string(body, "model"), vectors, path: "embeddings", inputTokens: tokens(body, "prompt_eval_count") },
      source
    )
  }
}
