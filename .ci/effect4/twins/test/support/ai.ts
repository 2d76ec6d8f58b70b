/** Values of Effect's AI modules for tests. */
import { Effect, Layer } from "effect"
import * as AiError from "effect/ai/AiError"
import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import type * as Response from "effect/ai/Response"

/** The end of an answer of three tokens to two. */
export const finish: Response.FinishPartEncoded = {
  type: "finish",
  reason: "stop",
  usage: { inputTokens: { total: 3 }, outputTokens: { total: 2 } }
}

/** The end of an answer whose tokens the provider does not count. */
export const finishWithoutUsage: Response.FinishPartEncoded = {
  ...finish,
  usage: { inputTokens: {}, outputTokens: {} }
}

export const inputTokensOf = ({ inputTokens }: Response.Usage): number | undefined => inputTokens.total

/** The error of an answer of the provider with this status. */
export const responseError = (status: number, headers: Record<string, string>, body: unknown): AiError.AiError =>
  AiError.make({
    module: "Test",
    method: "generateText",
    reason: AiError.reasonFromHttpStatus({
      status,
      http: { response: { status, headers }, body: JSON.stringify(body) }
    })
  })

/** The error of an answer that a model wrote wrongly. */
export const malformedOutput: AiError.AiError = AiError.make({
  module: "Test",
  method: "generateText",
  reason: new AiError.InvalidOutputError({ description: "Not JSON" })
})

/** What went wrong, by the reason of the error. */
export const reasonOf = ({
  reason
}: AiError.AiError): "rate limit" | "invalid request" | "malformed output" | "other" => {
  switch (reason._tag) {
    case "RateLimitError":
      return "rate limit"
    case "InvalidRequestError":
      return "invalid request"
    case "InvalidOutputError":
    case "StructuredOutputError":
      return "malformed output"
    default:
      return "other"
  }
}

/** A model whose vectors have the length of their text. */
export const lengths: Layer.Layer<EmbeddingModel.EmbeddingModel> = Layer.effect(
  EmbeddingModel.EmbeddingModel,
  EmbeddingModel.make({
    embedMany: ({ inputs }) =>
      Effect.succeed({ results: inputs.map((text) => [text.length]), usage: { inputTokens: undefined } })
  })
)

export const vectorOf = ({ vector }: EmbeddingModel.EmbedResponse): ReadonlyArray<number> => vector

export const vectorsOf = ({ embeddings }: EmbeddingModel.EmbedManyResponse): ReadonlyArray<ReadonlyArray<number>> =>
  embeddings.map(vectorOf)
