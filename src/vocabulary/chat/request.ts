/** What is asked. Public by way of `Chat`. */
import { Schema } from "effect"
import { JsonObject } from "./fields.js"
import { Message } from "./messages.js"
import { ToolChoice, ToolDefinition } from "./tools.js"

/**
 * The shape of the answer: free text, any JSON, or JSON that fits a schema.
 *
 * @since 0.1.0
 * @category request
 */
export const ResponseFormat = Schema.Union(
  Schema.Literal("text", "json"),
  Schema.Struct({
    name: Schema.NonEmptyString,
    /** JSON Schema of the answer. */
    schema: JsonObject,
    description: Schema.optionalWith(Schema.String, { exact: true }),
    /** Hold the model to the schema exactly. The provider's default where absent. */
    strict: Schema.optionalWith(Schema.Boolean, { exact: true })
  })
).annotations({ identifier: "ResponseFormat" })

/**
 * @since 0.1.0
 * @category request
 */
export type ResponseFormat = typeof ResponseFormat.Type

/**
 * How much a model that can think should do so.
 *
 * @since 0.1.0
 * @category request
 */
export const Reasoning = Schema.Struct({
  effort: Schema.optionalWith(Schema.Literal("none", "minimal", "low", "medium", "high", "xhigh"), { exact: true }),
  /** The most tokens to think with, for providers that count instead of grading. */
  budgetTokens: Schema.optionalWith(Schema.Int.pipe(Schema.nonNegative()), { exact: true }),
  /** Ask for a summary of the thoughts, for providers that do not show them whole. */
  summary: Schema.optionalWith(Schema.Literal("auto", "concise", "detailed"), { exact: true })
}).annotations({ identifier: "Reasoning" })

/**
 * @since 0.1.0
 * @category request
 */
export type Reasoning = typeof Reasoning.Type

/**
 * One question to a model. Everything but the messages is optional, and what is absent is the provider's default.
 *
 * @since 0.1.0
 * @category request
 */
export const ChatRequest = Schema.Struct({
  messages: Schema.Array(Message).pipe(Schema.minItems(1)),
  /** Overrides the model of the `LLM` for this request. */
  model: Schema.optionalWith(Schema.NonEmptyString, { exact: true }),
  tools: Schema.optionalWith(Schema.Array(ToolDefinition), { exact: true }),
  toolChoice: Schema.optionalWith(ToolChoice, { exact: true }),
  /** Whether the model may ask for several calls in one answer. */
  parallelToolCalls: Schema.optionalWith(Schema.Boolean, { exact: true }),
  responseFormat: Schema.optionalWith(ResponseFormat, { exact: true }),
  temperature: Schema.optionalWith(Schema.Finite.pipe(Schema.nonNegative()), { exact: true }),
  topP: Schema.optionalWith(Schema.Finite.pipe(Schema.between(0, 1)), { exact: true }),
  /** The most tokens the answer may have, thinking included. */
  maxTokens: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  /** Texts at which the model stops. */
  stop: Schema.optionalWith(Schema.Array(Schema.NonEmptyString), { exact: true }),
  seed: Schema.optionalWith(Schema.Int, { exact: true }),
  reasoning: Schema.optionalWith(Reasoning, { exact: true }),
  /** A stable name of your end user, for the provider's abuse detection. */
  user: Schema.optionalWith(Schema.String, { exact: true }),
  metadata: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { exact: true }),
  /**
   * Fields sent to the provider as they are, over whatever the vocabulary says. `tools` is appended instead: that is how
   * a provider's own tools (web search and the like) are asked for. A field that is `undefined` is not sent.
   */
  extra: Schema.optionalWith(JsonObject, { exact: true })
}).annotations({ identifier: "ChatRequest" })

/**
 * @since 0.1.0
 * @category request
 */
export type ChatRequest = typeof ChatRequest.Type

/**
 * What goes with the schema of the same name.
 *
 * @since 0.1.0
 * @category request
 */
export declare namespace ChatRequest {
  /** What `chat` takes: a bare string is one user message. */
  export type Input = string | typeof ChatRequest.Encoded
}
