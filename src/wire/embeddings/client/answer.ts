/** What answers with vectors have in common, whoever sends them. */
import { Either } from "effect"
import * as Usage from "../../../vocabulary/Usage.js"
import type { EmbeddingsWire, WireEmbeddings, WireFailure } from "../../Wire.js"
import { malformed, usageOf } from "../../Wire.js"
import * as Vector from "../vector.js"

export type Source = Parameters<EmbeddingsWire["decodeResponse"]>[1]

export interface Found {
  readonly model?: string | undefined
  /** As they were sent, in the order of the texts. */
  readonly vectors: ReadonlyArray<unknown>
  /** Where they stand in the answer. */
  readonly path: string
  readonly inputTokens?: number | undefined
  readonly totalTokens?: number | undefined
  /** How base64 is to be read. @default as the request asked for it */
  readonly asked?: Vector.Asked
}

/** What is no vector: as it is, but of base64 its length, and what to do about it. */
const described = (value: unknown): unknown =>
  typeof value === "string"
    ? `${value.length} characters of base64 whose numbers are of no type that the request names or its dimensions show. ` +
      `Ask for numbers (encoding: "float"), or say the dimensions.`
    : value

/** A vector for every text, or what is wrong. */
export const read = (answer: Found, source: Source): Either.Either<WireEmbeddings, WireFailure> => {
  const asked = answer.asked ?? (source.request === undefined ? undefined : Vector.askedBy(source.request))
  if (answer.vectors.length !== source.count) {
    return Either.left(malformed(answer.path, `${answer.vectors.length} vectors for ${source.count} texts`))
  }
  const embeddings: Array<ReadonlyArray<number>> = []
  for (const [index, value] of answer.vectors.entries()) {
    const vector = Vector.decode(value, source.dimensions ?? asked?.dimensions, asked)
    if (vector === undefined) return Either.left(malformed(`${answer.path}[${index}]`, described(value)))
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

/** A refusal under status 200, as some send it. */
export const reported = (body: unknown): Either.Either<never, WireFailure> => Either.left({ _tag: "Reported", body })
