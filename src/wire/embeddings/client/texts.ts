/** The texts of a request, for protocols without embeddings of tokens. */
import { Either } from "effect"
import type { EmbeddingRequest } from "../../../vocabulary/Embedding.js"
import type { WireFailure } from "../../Wire.js"

export const textsOf = ({ input }: EmbeddingRequest): Either.Either<ReadonlyArray<string>, WireFailure> =>
  input.every((one) => typeof one === "string")
    ? Either.right(input)
    : Either.left({ _tag: "Unsupported", feature: "embeddings of token arrays, only of texts" })
