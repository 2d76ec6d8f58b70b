/** The server's half of Ollama's embeddings: `/api/embed` (API documentation, "Generate Embeddings"). */
import { Either } from "effect"
import { isRecord, number, string } from "../../json.js"
import type { ServedEmbeddingsWire } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { decodeTexts } from "./texts.js"

export const ollama: ServedEmbeddingsWire = {
  decodeRequest: (body) => {
    if (!isRecord(body)) return Either.left(malformed("", body))
    const texts = body.input ?? body.prompt
    const model = string(body, "model")
    const dimensions = number(body, "dimensions")
    return Either.map(decodeTexts(typeof texts === "string" ? [texts] : texts, "input", texts), (input) => ({
      input,
      ...(model === undefined ? {} : { model }),
      ...(dimensions === undefined ? {} : { dimensions })
    }))
  },
  encodeResponse: ({ embeddings, model, usage }) => ({ model, embeddings, prompt_eval_count: usage.inputTokens })
}
