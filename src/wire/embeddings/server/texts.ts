/** Decodes the texts of a request, for protocols without embeddings of tokens. */
import { Either } from "effect"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"

export const decodeTexts = (
  input: unknown,
  path: string,
  original: unknown = input
): Either.Either<ReadonlyArray<string>, WireFailure> =>
  Array.isArray(input) && input.length > 0 && input.every((text): text is string => typeof text === "string")
    ? Either.right(input)
    : Either.left(malformed(path, original))
