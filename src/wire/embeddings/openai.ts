/** OpenAI's embeddings (API reference, embeddings/create), and those who follow it. */
import { Either, Predicate, Schema } from "effect"
import type { Embeddable, EmbeddingRequest } from "../../vocabulary/Embedding.js"
import { Tokens } from "../../vocabulary/Embedding.js"
import { saysError } from "../inBand.js"
import { array, isRecord, number, record, records, string, tokens } from "../json.js"
import type { Json } from "../json.js"
import type { ServedEmbeddingsWire, WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { read, reported } from "./answer.js"
import * as Vector from "./vector.js"

/**
 * How providers deviate from OpenAI's embeddings, as data.
 */
export interface Dialect {
  /** Below the base URL; `{model}` stands for the model. @default "/embeddings" */
  readonly path: string
  /** The most texts in one request. @default 256 */
  readonly maxBatch: number
  /** The most tokens in one request, all texts together. @default not limited */
  readonly maxBatchTokens?: number
  /** Whether vectors may be asked for as base64, which is a third of the size. @default false */
  readonly base64: boolean
  /** Voyage and Mistral call it `output_dimension` (API reference, embeddings). @default "dimensions" */
  readonly dimensionsField: "dimensions" | "output_dimension"
  /** Whether `input_type` says whether these are queries or documents (Voyage). @default false */
  readonly inputType: boolean
  /** Whether the name of the end user is sent. Mistral refuses it. @default true */
  readonly user: boolean
}

export const common: Dialect = {
  path: "/embeddings",
  maxBatch: 256,
  base64: false,
  dimensionsField: "dimensions",
  inputType: false,
  user: true
}

/** OpenAI's own limits (API reference, embeddings/create). */
export const openai = { maxBatch: 2048, maxBatchTokens: 300_000, base64: true } as const satisfies Partial<Dialect>

const encodeRequest =
  (dialect: Dialect): ServedEmbeddingsWire["encodeRequest"] =>
  (request, { model }) => {
    const encoding = request.encoding ?? (dialect.base64 ? "base64" : undefined)
    return Either.right({
      path: dialect.path.replace("{model}", encodeURIComponent(request.model ?? model)),
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

/** Their places are told by `index`; where it is missing they stand in order. */
const inOrder = (data: ReadonlyArray<Json>): ReadonlyArray<unknown> =>
  data
    .map((item, position) => ({ index: number(item, "index") ?? position, embedding: item.embedding }))
    .sort((one, other) => one.index - other.index)
    .map(({ embedding }) => embedding)

const decodeResponse: ServedEmbeddingsWire["decodeResponse"] = (body, source) => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  if (array(body, "data") === undefined) {
    return saysError(body) ? reported(body) : Either.left(malformed("data", body.data))
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

const isTokens = Schema.is(Tokens)

/** A text or several, or the tokens of one or of several. */
const embeddables = (input: unknown): ReadonlyArray<Embeddable> | undefined => {
  if (typeof input === "string" || isTokens(input)) return [input]
  if (!Array.isArray(input) || input.length === 0) return undefined
  return input.every(Predicate.isString) || input.every(isTokens) ? input : undefined
}

const wanted = "expected a text, a list of texts, or the tokens of one text or of several"

const known: ReadonlySet<string> = new Set(["model", "input", "dimensions", "encoding_format", "user"])

const decodeRequest = (body: unknown): Either.Either<EmbeddingRequest, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const input = embeddables(body.input)
  if (input === undefined) return Either.left(malformed("input", wanted))
  const model = string(body, "model")
  const dimensions = number(body, "dimensions")
  const user = string(body, "user")
  const encoding = body.encoding_format
  const isKnownEncoding = encoding === undefined || encoding === null || encoding === "float" || encoding === "base64"
  const extra = Object.fromEntries(
    Object.entries(body).filter(([field]) => !known.has(field) || (field === "encoding_format" && !isKnownEncoding))
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
    embedding: Vector.encode(vector, Vector.askedBy(request))
  })),
  model,
  usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.totalTokens }
})

export const make = (dialect: Partial<Dialect> = {}): ServedEmbeddingsWire => {
  const spoken = { ...common, ...dialect }
  return {
    maxBatch: spoken.maxBatch,
    ...(spoken.maxBatchTokens === undefined ? {} : { maxBatchTokens: spoken.maxBatchTokens }),
    encodeRequest: encodeRequest(spoken),
    decodeResponse,
    decodeRequest,
    encodeResponse
  }
}
