/** DashScope's embeddings (Model Studio, "Text embedding synchronous API"). */
import { Either } from "effect"
import { array, isRecord, number, record, records, string, tokens } from "../../json.js"
import type { EmbeddingsWire } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { read, reported } from "./answer.js"
import { textsOf } from "./texts.js"

export const dashscope: EmbeddingsWire = {
  // The limit of text-embedding-v3 and v4; older models accept 25.
  maxBatch: 10,
  encodeRequest: (request, { model }) => {
    const { parameters: extraParameters, ...extra } = request.extra ?? {}
    return Either.map(textsOf(request), (texts) => ({
      path: "/services/embeddings/text-embedding/text-embedding",
      body: {
        model: request.model ?? model,
        input: { texts },
        parameters: {
          ...(request.dimensions === undefined ? {} : { dimension: request.dimensions }),
          ...(request.purpose === "query" || request.purpose === "document" ? { text_type: request.purpose } : {}),
          ...(isRecord(extraParameters) ? extraParameters : {})
        },
        ...extra
      }
    }))
  },
  decodeResponse: (body, source) => {
    if (!isRecord(body)) return Either.left(malformed("", body))
    const output = record(body, "output")
    if (output === undefined || array(output, "embeddings") === undefined) {
      return string(body, "code") ? reported(body) : Either.left(malformed("output.embeddings", body.output))
    }
    const usage = record(body, "usage") ?? {}
    return read(
      {
        vectors: records(output, "embeddings")
          .map((item, position) => ({ index: number(item, "text_index") ?? position, embedding: item.embedding }))
          .sort((one, other) => one.index - other.index)
          .map(({ embedding }) => embedding),
        path: "output.embeddings",
        inputTokens: tokens(usage, "total_tokens") ?? tokens(usage, "input_tokens")
      },
      source
    )
  }
}
