/** The server's half of DashScope's embeddings (Model Studio, "Text embedding synchronous API"). */
import { Either } from "effect"
import { decodeTexts } from "../../../wire/embeddings/server/texts.js"
import { isRecord, number, record, string } from "../../../wire/json.js"
import type { ServedEmbeddingsWire } from "../../../wire/Wire.js"
import { malformed } from "../../../wire/Wire.js"

export const dashscope: ServedEmbeddingsWire = {
  decodeRequest: (body) => {
    if (!isRecord(body)) return Either.left(malformed("", body))
    const model = string(body, "model")
    const parameters = record(body, "parameters") ?? {}
    const dimensions = number(parameters, "dimension")
    const purpose = string(parameters, "text_type")
    return Either.map(decodeTexts(record(body, "input")?.["texts"], "input.texts", body.input), (input) => ({
      input,
      ...(model === undefined ? {} : { model }),
      ...(dimensions === undefined ? {} : { dimensions }),
      ...(purpose === "query" || purpose === "document" ? { purpose } : {})
    }))
  },
  encodeResponse: ({ embeddings, usage }) => ({
    output: { embeddings: embeddings.map((embedding, text_index) => ({ text_index, embedding })) },
    usage: { total_tokens: usage.totalTokens }
  })
}
