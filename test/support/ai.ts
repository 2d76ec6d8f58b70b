/** Values of `@effect/ai` for tests: one module, since Effect 4 has other shapes. */
import * as AiError from "@effect/ai/AiError"
import * as EmbeddingModel from "@effect/ai/EmbeddingModel"
import type * as Response from "@effect/ai/Response"
import { Effect, Layer, Option } from "effect"

/** The end of an answer of three tokens to two. */
export const finish: Response.FinishPartEncoded = {
  type: "finish",
  reason: "stop",
  usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 }
}

/** The end of an answer whose tokens the provider does not count. */
export const finishWithoutUsage: Response.FinishPartEncoded = {
  ...finish,
  usage: { inputTokens: undefined, outputTokens: undefined, totalTokens: undefined }
}

export const inputTokensOf = ({ inputTokens }: Response.Usage): number | undefined => inputTokens

/** The error of an answer of the provider with this status. */
export const responseError = (status: number, headers: Record<string, string>, body: unknown): AiError.AiError =>
  new AiError.HttpResponseError({
    module: "Test",
    method: "generateText",
    reason: "StatusCode",
    request: { method: "POST", url: "", urlParams: [], hash: Option.none(), headers: {} },
    response: { status, headers },
    body: JSON.stringify(body)
  })

/** The error of an answer that a model wrote wrongly. */
export const malformedOutput: AiError.AiError = new AiError.MalformedOutput({
  module: "Test",
  method: "generateText",
  description: "Not JSON"
})

/** What went wrong, by the class of the error. */
export const reasonOf = (error: AiError.AiError): "rate limit" | "invalid request" | "malformed output" | "other" => {
  switch (error._tag) {
    case "HttpResponseError":
      return error.response.status === 429 ? "rate limit" : "other"
    case "MalformedInput":
      return "invalid request"
    case "MalformedOutput":
      return "malformed output"
    default:
      return "other"
  }
}

/** A model whose vectors have the length of their text. */
export const lengths: Layer.Layer<EmbeddingModel.EmbeddingModel> = Layer.effect(
  EmbeddingModel.EmbeddingModel,
  EmbeddingModel.make({
    embedMany: (texts) => Effect.succeed(texts.map((text, index) => ({ index, embeddings: [text.length] })))
  })
)

export const vectorOf = (vector: ReadonlyArray<number>): ReadonlyArray<number> => vector

export const vectorsOf = (vectors: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<ReadonlyArray<number>> =>
  vectors
