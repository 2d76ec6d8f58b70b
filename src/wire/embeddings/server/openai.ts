/** The server's half of OpenAI's embeddings (API reference, embeddings/create). */
import { Either, Predicate, Schema } from "effect"
import type { Embeddable, EmbeddingRequest } from "../../../vocabulary/Embedding.js"
import { Tokens } from "../../../vocabulary/Embedding.js"
import { isRecord, number, string } from "../../json.js"
import type { ServedEmbeddingsWire, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import * as Vector from "../vector.js"

const isTokens = Schema.is(Tokens)

/** One text or several, or the tokens of one or several. */
const embeddables = (input: unknown): ReadonlyArray<Embeddable> | undefined => {
  if (typeof input === "string" || isTokens(input)) return [input]
  if (!Array.isArray(input) || input.length === 0) return undefined
  return input.every(Predicate.isString) || input.every(isTokens) ? input : undefined
}

const expectedInput = "expected a text, a list of texts, or the tokens of one text or of several"

const knownFields: ReadonlySet<string> = new Set(["model", "input", "dimensions", "encoding_format", "user"])

const decodeRequest = (body: unknown): Either.Either<EmbeddingRequest, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const input = embeddables(body.input)
  if (input === undefined) return Either.left(malformed("input", expectedInput))
  const model = string(body, "model")
  const dimensions = number(body, "dimensions")
  const user = string(body, "user")
  const encoding = body.encoding_format
  const isKnownEncoding = encoding === undefined || encoding === null || encoding === "float" || encoding === "base64"
  const extra = Object.fromEntries(
    Object.entries(body).filter(
      ([field]) => !knownFields.has(field) || (field === "encoding_format" && !isKnownEncoding)
    )
  )
  return Either.right({
    input,
    ...(model === undefined ? {} : { model }),
    ...(dimensions === undefined ? {} : { dimensions }),
    ...(encoding === "float" || encoding === "base64" ? { encoding } : {}),
    ...(user === undefined ? {} : { user }),
    ...(Object.keys(extra).length === 0 ? {} : { extra })
  })
}

const encodeResponse: ServedEmbeddingsWire["encodeResponse"] = ({ embeddings, model, usage }, request) => ({
  object: "list",
  data: embeddings.map((vector, index) => ({
    object: "embedding",
    index,
    embedding: Vector.encode(vector, Vector.requestedEncoding(request))
  })),
  model,
  usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.totalTokens }
})

export const openai: ServedEmbeddingsWire = { decodeRequest, encodeResponse }
