/**
 * The vocabulary of embeddings: texts in, one vector for each, in the same order.
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
import { Attempt } from "./Attempt.js"
import { Cost } from "./Cost.js"
import { Usage } from "./Usage.js"

/**
 * What the vectors are for, told to providers that make them differently for each: Cohere's and Voyage's `input_type`,
 * Gemini's `taskType`, DashScope's `text_type`. The others do not see it.
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
 * A text as the tokens that the model's own tokenizer makes of it. OpenAI's embeddings take them, as do some of those who follow
 * them; elsewhere they are an `UnsupportedError`.
 *
 * @since 0.1.0
 * @category request
 */
// There may be a million of them: declared, and not an array of integers, so that each costs a comparison.
export const Tokens = Schema.declare(isTokens, { identifier: "EmbeddingTokens" })

/**
 * @since 0.1.0
 * @category request
 */
export type Tokens = typeof Tokens.Type

/**
 * What has a vector: a text, or the tokens of one.
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
 * Texts to embed. However many there are, they are sent in as many requests as the provider's limits ask for.
 *
 * @since 0.1.0
 * @category request
 */
export const EmbeddingRequest = Schema.Struct({
  input: Schema.Array(Embeddable).pipe(Schema.minItems(1)),
  /** Overrides the model of the `LLM` for this request. */
  model: Schema.optionalWith(Schema.NonEmptyString, { exact: true }),
  /** How many numbers a vector has, for models that can shorten them. */
  dimensions: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  purpose: Schema.optionalWith(Purpose, { exact: true }),
  /** How the vectors travel. They are read the same. @default base64 where the provider is known to have it */
  encoding: Schema.optionalWith(Schema.Literal("float", "base64"), { exact: true }),
  /** A stable name of your end user, for the provider's abuse detection. */
  user: Schema.optionalWith(Schema.String, { exact: true }),
  /** Fields sent to the provider as they are, over whatever the vocabulary says. */
  extra: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Unknown }), { exact: true })
}).annotations({ identifier: "EmbeddingRequest" })

/**
 * @since 0.1.0
 * @category request
 */
export type EmbeddingRequest = typeof EmbeddingRequest.Type

/**
 * What goes with the schema of the same name.
 *
 * @since 0.1.0
 * @category request
 */
export declare namespace EmbeddingRequest {
  /** What `embed` takes: a bare string or a list of them is the `input`. */
  export type Input = string | ReadonlyArray<string> | typeof EmbeddingRequest.Encoded
}

/**
 * The vectors of a request, one a text, in the order of the texts.
 *
 * @since 0.1.0
 * @category response
 */
export const EmbeddingResponse = Schema.Struct({
  provider: Schema.String,
  /** The model that answered, in the provider's words; the one asked for where it does not say. */
  model: Schema.String,
  embeddings: Schema.Array(Schema.Array(Schema.Number)),
  /** Added up over all requests it took. */
  usage: Usage,
  /** What the vectors cost; absent where no price is known, or nobody asked for it with `Pricing.make()`. */
  cost: Schema.optionalWith(Cost, { exact: true }),
  /** From the first request until the last answer was complete, in milliseconds. */
  latency: Schema.Number,
  /** Every attempt made for this answer, in the order of their batches. */
  attempts: Schema.Array(Attempt),
  /** How many of the vectors were kept from earlier calls; `usage` and `attempts` tell of the others. Absent where none. */
  cachedTexts: Schema.optionalWith(Schema.Int, { exact: true })
}).annotations({ identifier: "EmbeddingResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export type EmbeddingResponse = typeof EmbeddingResponse.Type
