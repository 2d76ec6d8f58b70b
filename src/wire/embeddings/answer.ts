/** What answers with vectors have in common, whoever sends them. */
import { Either } from "effect"
import * as Usage from "../../Usage.js"
import type { AnswerSource, WireEmbeddings, WireFailure } from "../Wire.js"
import { malformed, usageOf } from "../Wire.js"
import * as Vector from "./vector.js"

export type Source = AnswerSource & { readonly count: number; readonly dimensions?: number | undefined }

export interface Found {
  readonly model?: string | undefined
  /** As they were sent, in the order of the texts. */
  readonly vectors: ReadonlyArray<unknown>
  /** Where they stand in the answer. */
  readonly path: string
  readonly inputTokens?: number | undefined
  readonly totalTokens?: number | undefined
}

/** A vector for every text, or what is wrong. */
export const read = (found: Found, source: Source): Either.Either<WireEmbeddings, WireFailure> => {
  if (found.vectors.length !== source.count) {
    return Either.left(malformed(found.path, `${found.vectors.length} vectors for ${source.count} texts`))
  }
  const embeddings: Array<ReadonlyArray<number>> = []
  for (const [index, value] of found.vectors.entries()) {
    const vector = Vector.decode(value, source.dimensions)
    if (vector === undefined) return Either.left(malformed(`${found.path}[${index}]`, value))
    embeddings.push(vector)
  }
  const inputTokens = found.inputTokens ?? found.totalTokens
  return Either.right({
    model: found.model || source.model,
    embeddings,
    usage: usageOf(
      inputTokens === undefined
        ? undefined
        : Usage.make({
            inputTokens,
            ...(found.totalTokens === undefined ? {} : { totalTokens: found.totalTokens })
          }),
      source,
      ""
    )
  })
}

/** A refusal under status 200, as some send it. */
export const reported = (body: unknown): Either.Either<never, WireFailure> => Either.left({ _tag: "Reported", body })
