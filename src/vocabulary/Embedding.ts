/**
 * The types of an embedding call: a request with texts, and a response with one vector for each, in the same order.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const { embeddings } = yield* LLM.embed(["a cat", "a dog"])
 *   return embeddings.map((vector) => vector.length)
 * })
 * ```
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import * as Arbitraries from "./arbitraries.js"
import { Attempt } from "./attempt.js"
import { JsonObject } from "./chat/fields.js"
import { Cost } from "./cost.js"
import { Usage } from "./Usage.js"

/**
 * What the vectors are used for, for providers whose vectors depend on it: Cohere's and Voyage's `input_type`, Gemini's
 * `taskType`, DashScope's `text_type`. It is not sent to other providers.
 *
 * @since 0.1.0
 * @category request
 */
export const Purpose = Schema.Literal("query", "document", "similarity", "classification", "clustering").annotations({
  identifier: "EmbeddingPurpose"
})

/**
 * @since 0.1.0
 * @category request
 */
export type Purpose = typeof Purpose.Type

const isTokens = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.length > 0 && value.every((token) => Number.isInteger(token) && token >= 0)

/**
 * A text as tokens of the model's own tokenizer. Accepted by OpenAI and some compatible providers; other providers fail with an
 * `UnsupportedError`.
 *
 * @since 0.1.0
 * @category request
 */
// A declaration and not an array schema: an input can have a million tokens, and each must cost no more than a comparison.
export const Tokens = Schema.declare(isTokens, {
  identifier: "EmbeddingTokens",
  ...Arbitraries.tokens
})

/**
 * @since 0.1.0
 * @category request
 */
export type Tokens = typeof Tokens.Type

/**
 * The input of one vector: a text, or its tokens.
 *
 * @since 0.1.0
 * @category request
 */
export const Embeddable = Schema.Union(Schema.String, Tokens)

/**
 * @since 0.1.0
 * @category request
 */
export type Embeddable = typeof Embeddable.Type

/**
 * The texts to embed, in any number: they are split into as many requests as the provider's limits require.
 *
 * @since 0.1.0
 * @category request
 */
export interface EmbeddingRequest extends Schema.Schema.Type<typeof embeddingRequestSchema> {}

const embeddingRequestSchema = Schema.Struct({
  input: Schema.Array(Embeddable).pipe(Schema.minItems(1)),
  /** Overrides the model of the `LLM` for this request. */
  model: Schema.optionalWith(Schema.NonEmptyString, { exact: true }),
  /** Length of a vector, for models that can shorten vectors. The model's default when absent. */
  dimensions: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  purpose: Schema.optionalWith(Purpose, { exact: true }),
  /** How the provider encodes the vectors on the wire; the result is the same. @default base64 for providers that support it */
  encoding: Schema.optionalWith(Schema.Literal("float", "base64"), { exact: true }),
  /** A stable identifier of your end user, for the provider's abuse detection. */
  user: Schema.optionalWith(Schema.String, { exact: true }),
  /** Fields that are sent to the provider unchanged. They override fields of this request. */
  extra: Schema.optionalWith(JsonObject, { exact: true })
}).annotations({ identifier: "EmbeddingRequest" })

/**
 * @since 0.1.0
 * @category request
 */
export const EmbeddingRequest: Schema.Schema<EmbeddingRequest> = embeddingRequestSchema

/**
 * Types of `EmbeddingRequest`.
 *
 * @since 0.1.0
 * @category request
 */
export declare namespace EmbeddingRequest {
  /** The argument of `embed`. A string or a list of strings is the `input`. */
  export type Input = string | ReadonlyArray<string> | EmbeddingRequest
}

/**
 * The vectors of a request: one for each text, in the order of the texts.
 *
 * @since 0.1.0
 * @category response
 */
export interface EmbeddingResponse extends Schema.Schema.Type<typeof embeddingResponseSchema> {}

const embeddingResponseSchema = Schema.Struct({
  provider: Schema.String,
  /** The model that the provider reports; the requested model when it reports none. */
  model: Schema.String,
  embeddings: Schema.Array(Schema.Array(Schema.Number)),
  /** The sum of all requests that the texts were split into. */
  usage: Usage,
  /** The cost of the vectors. Absent when the price is unknown or no pricing (`Pricing.middleware()`) is used. */
  cost: Schema.optionalWith(Cost, { exact: true }),
  /** Time from the first request to the end of the last response, in milliseconds. */
  latency: Schema.Number,
  /** Every attempt of this call, in the order of the batches. */
  attempts: Schema.Array(Attempt),
  /** Number of vectors from an `EmbeddingCache`; `usage` and `attempts` cover the others only. Absent when there are none. */
  cachedTexts: Schema.optionalWith(Schema.Int, { exact: true })
}).annotations({ identifier: "EmbeddingResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export const EmbeddingResponse: Schema.Schema<EmbeddingResponse> = embeddingResponseSchema
