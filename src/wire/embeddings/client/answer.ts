/** Decodes the vectors of a response, for all protocols. */
import { Either } from "effect"
import * as Usage from "../../../vocabulary/Usage.js"
import type { EmbeddingsWire, WireEmbeddings, WireFailure } from "../../Wire.js"
import { malformed, usageOf } from "../../Wire.js"
import * as Vector from "../vector.js"

export type Source = Parameters<EmbeddingsWire["decodeResponse"]>[1]

export interface VectorAnswer {
  readonly model?: string | undefined
  /** The encoded vectors, in the order of the texts. */
  readonly vectors: ReadonlyArray<unknown>
  /** The path of the vectors in the response. */
  readonly path: string
  readonly inputTokens?: number | undefined
  readonly totalTokens?: number | undefined
  /** The encoding of the vectors. @default the requested one */
  readonly encoding?: Vector.VectorEncoding
}

/** The excerpt of a value that is not a vector; for base64 its length and a hint. */
const invalidVector = (value: unknown): unknown =>
  typeof value === "string"
    ? `${value.length} characters of base64 whose numbers are of no type that the request names or its dimensions imply. ` +
      `Request numbers (encoding: "float"), or set dimensions.`
    : value

/** The vectors of all texts; fails when their number is wrong or one cannot be decoded. */
export const read = (answer: VectorAnswer, source: Source): Either.Either<WireEmbeddings, WireFailure> => {
  const encoding =
    answer.encoding ?? (source.request === undefined ? undefined : Vector.requestedEncoding(source.request))
  if (answer.vectors.length !== source.count) {
    return Either.left(malformed(answer.path, `${answer.vectors.length} vectors for ${source.count} texts`))
  }
  const embeddings: Array<ReadonlyArray<number>> = []
  for (const [index, value] of answer.vectors.entries()) {
    const vector = Vector.decode(value, source.dimensions ?? encoding?.dimensions, encoding)
    if (vector === undefined) return Either.left(malformed(`${answer.path}[${index}]`, invalidVector(value)))
    embeddings.push(vector)
  }
  const inputTokens = answer.inputTokens ?? answer.totalTokens
  return Either.right({
    model: answer.model || source.model,
    embeddings,
    usage: usageOf(
      inputTokens === undefined
        ? undefined
        : Usage.make({
            inputTokens,
            ...(answer.totalTokens === undefined ? {} : { totalTokens: answer.totalTokens })
          }),
      source,
      ""
    )
  })
}

/** An error in a response with status 200. */
export const reported = (body: unknown): Either.Either<never, WireFailure> => Either.left({ _tag: "Reported", body })
