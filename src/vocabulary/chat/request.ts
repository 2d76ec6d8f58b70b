/** The request of a chat call. Exported by `Chat`. */
import { Schema } from "effect"
import { JsonObject, LogitBias, StringRecord } from "./fields.js"
import { Message } from "./messages.js"
import { ToolChoice, ToolDefinition } from "./tools.js"

/**
 * JSON that conforms to a JSON Schema, as the format of the response.
 *
 * @since 0.2.0
 * @category request
 */
export interface JsonSchemaFormat extends Schema.Schema.Type<typeof jsonSchemaFormatSchema> {}

const jsonSchemaFormatSchema = Schema.Struct({
  name: Schema.NonEmptyString,
  /** JSON Schema of the response. */
  schema: JsonObject,
  description: Schema.optionalWith(Schema.String, { exact: true }),
  /** Whether the provider enforces the schema exactly. The provider's default when absent. */
  strict: Schema.optionalWith(Schema.Boolean, { exact: true })
})

/**
 * @since 0.2.0
 * @category request
 */
export const JsonSchemaFormat: Schema.Schema<JsonSchemaFormat> = jsonSchemaFormatSchema

/**
 * The format of the response: free text, any JSON, or JSON that conforms to a schema.
 *
 * @since 0.1.0
 * @category request
 */
export const ResponseFormat = Schema.Union(Schema.Literal("text", "json"), JsonSchemaFormat).annotations({
  identifier: "ResponseFormat"
})

/**
 * @since 0.1.0
 * @category request
 */
export type ResponseFormat = typeof ResponseFormat.Type

/**
 * How much a reasoning model reasons.
 *
 * @since 0.1.0
 * @category request
 */
export interface Reasoning extends Schema.Schema.Type<typeof reasoningSchema> {}

const reasoningSchema = Schema.Struct({
  effort: Schema.optionalWith(Schema.Literal("none", "minimal", "low", "medium", "high", "xhigh", "max"), {
    exact: true
  }),
  /** The maximum number of reasoning tokens, for providers that take a number instead of an `effort`. */
  budgetTokens: Schema.optionalWith(Schema.Int.pipe(Schema.nonNegative()), { exact: true }),
  /** Requests a summary of the reasoning, for providers that do not return it in full. */
  summary: Schema.optionalWith(Schema.Literal("auto", "concise", "detailed"), { exact: true })
}).annotations({ identifier: "Reasoning" })

/**
 * @since 0.1.0
 * @category request
 */
export const Reasoning: Schema.Schema<Reasoning> = reasoningSchema

const penalty = Schema.Finite.pipe(Schema.between(-2, 2))

/**
 * A request to a model. Only `messages` is required; the provider's defaults hold for absent fields.
 *
 * The ranges are those that all providers share. A client also checks those of its provider, such as a temperature of at most 1
 * at Anthropic, and fails with `UnsupportedError` on a field that the provider does not have.
 *
 * @since 0.1.0
 * @category request
 */
export interface ChatRequest extends Schema.Schema.Type<typeof chatRequestSchema> {}

const chatRequestSchema = Schema.Struct({
  messages: Schema.Array(Message).pipe(Schema.minItems(1)),
  /** Overrides the model of the `LLM` for this request. */
  model: Schema.optionalWith(Schema.NonEmptyString, { exact: true }),
  tools: Schema.optionalWith(Schema.Array(ToolDefinition), { exact: true }),
  toolChoice: Schema.optionalWith(ToolChoice, { exact: true }),
  /** Whether the model can make several tool calls in one response. */
  parallelToolCalls: Schema.optionalWith(Schema.Boolean, { exact: true }),
  responseFormat: Schema.optionalWith(ResponseFormat, { exact: true }),
  temperature: Schema.optionalWith(Schema.Finite.pipe(Schema.nonNegative()), { exact: true }),
  topP: Schema.optionalWith(Schema.Finite.pipe(Schema.between(0, 1)), { exact: true }),
  /** The model chooses each token from the `topK` most likely ones. */
  topK: Schema.optionalWith(Schema.Int.pipe(Schema.nonNegative()), { exact: true }),
  /** Lowers the likelihood of tokens with each occurrence in the text so far. From -2 to 2; 0 has no effect. */
  frequencyPenalty: Schema.optionalWith(penalty, { exact: true }),
  /** Lowers the likelihood of tokens that occur in the text so far. From -2 to 2; 0 has no effect. */
  presencePenalty: Schema.optionalWith(penalty, { exact: true }),
  /** Added to the logits of tokens, by the token's id in the tokenizer of the model. From -100 (never) to 100 (always). */
  logitBias: Schema.optionalWith(LogitBias, { exact: true }),
  /**
   * Requests the log probabilities of the output tokens: `true` for those of the chosen tokens, a number for those of as many
   * alternatives at each position as well (at most 20). The answer has them in the provider's form: in
   * `providerMetadata`, and of Responses in `native.responses` of each text part.
   */
  logprobs: Schema.optionalWith(Schema.Union(Schema.Boolean, Schema.Int.pipe(Schema.between(0, 20))), { exact: true }),
  /** The maximum number of output tokens, reasoning included. */
  maxTokens: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  /** Texts at which the model stops generating. */
  stop: Schema.optionalWith(Schema.Array(Schema.NonEmptyString), { exact: true }),
  seed: Schema.optionalWith(Schema.Int, { exact: true }),
  reasoning: Schema.optionalWith(Reasoning, { exact: true }),
  /** A stable identifier of your end user, for the provider's abuse detection. */
  user: Schema.optionalWith(Schema.String, { exact: true }),
  metadata: Schema.optionalWith(StringRecord, { exact: true }),
  /**
   * Fields that are sent to the provider unchanged. They override fields of this request, except that `tools` is appended to its
   * tools: use it for a provider's built-in tools such as web search. A field that is `undefined` is not sent.
   */
  extra: Schema.optionalWith(JsonObject, { exact: true })
}).annotations({ identifier: "ChatRequest" })

/**
 * @since 0.1.0
 * @category request
 */
export const ChatRequest: Schema.Schema<ChatRequest> = chatRequestSchema

/**
 * Types of `ChatRequest`.
 *
 * @since 0.1.0
 * @category request
 */
export declare namespace ChatRequest {
  /** A request with its messages. */
  export interface Messages extends ChatRequest {
    readonly prompt?: never
    readonly system?: never
  }

  /**
   * The fields of a request beside its prompt.
   *
   * @since 0.2.0
   */
  export interface Options extends Omit<Messages, "messages" | "system"> {
    /** The text of a system message before the prompt. */
    readonly system?: string
    readonly messages?: never
  }

  /**
   * A request with one user message, instead of a list of messages.
   *
   * @since 0.2.0
   */
  export interface Prompt extends Omit<Options, "prompt"> {
    /** The text of the user message. */
    readonly prompt: string
  }

  /** The argument of `chat`. A string is one user message. */
  export type Input = string | Messages | Prompt
}
