/** OpenAI's embeddings (API reference, embeddings/create), and those of compatible servers. */
import { Either } from "effect"
import { hasError } from "../../inBand.js"
import { array, isRecord, number, record, records, string, tokens } from "../../json.js"
import type { Json } from "../../json.js"
import type { EmbeddingsWire } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { common, protocol } from "../dialect.js"
import { read, reported } from "./answer.js"

const pathOf = ({ path }: Dialect, model: string): string => path.replace("{model}", encodeURIComponent(model))

const encodeRequest =
  (dialect: Dialect): EmbeddingsWire["encodeRequest"] =>
  (request, { model }) => {
    const encoding = request.encoding ?? (dialect.base64 ? "base64" : undefined)
    return Either.right({
      path: pathOf(dialect, request.model ?? model),
      body: {
        model: request.model ?? model,
        input: request.input,
        ...(request.dimensions === undefined ? {} : { [dialect.dimensionsField]: request.dimensions }),
        ...(encoding === undefined ? {} : { encoding_format: encoding }),
        ...(dialect.inputType && (request.purpose === "query" || request.purpose === "document")
          ? { input_type: request.purpose }
          : {}),
        ...(request.user === undefined || !dialect.user ? {} : { user: request.user }),
        ...request.extra
      }
    })
  }

/** The vectors in the order of `index`, or of the list when it is missing. */
const inOrder = (data: ReadonlyArray<Json>): ReadonlyArray<unknown> =>
  data
    .map((item, position) => ({ index: number(item, "index") ?? position, embedding: item.embedding }))
    .sort((one, other) => one.index - other.index)
    .map(({ embedding }) => embedding)

const decodeResponse: EmbeddingsWire["decodeResponse"] = (body, source) => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  if (array(body, "data") === undefined) {
    return hasError(body) ? reported(body) : Either.left(malformed("data", body.data))
  }
  const usage = record(body, "usage") ?? {}
  return read(
    {
      model: string(body, "model"),
      vectors: inOrder(records(body, "data")),
      path: "data",
      inputTokens: tokens(usage, "prompt_tokens"),
      totalTokens: tokens(usage, "total_tokens")
    },
    source
  )
}

export const make = (dialect: Partial<Dialect> = {}): EmbeddingsWire => {
  const complete = { ...common, ...dialect }
  return {
    maxBatch: complete.maxBatch,
    ...(complete.maxBatchTokens === undefined ? {} : { maxBatchTokens: complete.maxBatchTokens }),
    ...(complete.faithful ? { verbatim: { protocol, path: (model: string) => pathOf(complete, model) } } : {}),
    encodeRequest: encodeRequest(complete),
    decodeResponse
  }
}
