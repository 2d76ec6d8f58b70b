/** Tools that the model can call. Exported by `Chat`. */
import { Schema } from "effect"
import { JsonObject, native, NonEmptyId } from "./fields.js"
import { CacheControl } from "./parts.js"

/**
 * A function that the model can call.
 *
 * @since 0.1.0
 * @category tools
 */
export interface ToolDefinition extends Schema.Schema.Type<typeof toolDefinitionSchema> {}

const toolDefinitionSchema = Schema.Struct({
  name: Schema.String.pipe(Schema.pattern(/^[a-zA-Z0-9_.-]{1,128}$/)),
  description: Schema.optionalWith(Schema.String, { exact: true }),
  /** JSON Schema of the arguments, an object schema. Absent for a function without arguments. */
  parameters: Schema.optionalWith(JsonObject, { exact: true }),
  /** Whether the provider enforces the schema exactly. The provider's default when absent. */
  strict: Schema.optionalWith(Schema.Boolean, { exact: true }),
  cacheControl: Schema.optionalWith(CacheControl, { exact: true }),
  native
}).annotations({ identifier: "ToolDefinition" })

/**
 * @since 0.1.0
 * @category tools
 */
export const ToolDefinition: Schema.Schema<ToolDefinition> = toolDefinitionSchema

/**
 * A tool call that the model requests.
 *
 * `arguments` is the unchanged text of the model: JSON in nearly every case, never empty (`{}` when there are no arguments), and
 * truncated when the response reached its token limit. Decode it with `Schema.parseJson`.
 *
 * @since 0.1.0
 * @category tools
 */
export interface ToolCall extends Schema.Schema.Type<typeof toolCallSchema> {}

const toolCallSchema = Schema.Struct({
  id: NonEmptyId,
  name: Schema.NonEmptyString,
  arguments: Schema.String,
  /** `custom`: `arguments` is free text, which some providers support. Absent for a function with JSON arguments. */
  type: Schema.optionalWith(Schema.Literal("custom"), { exact: true }),
  native
}).annotations({ identifier: "ToolCall" })

/**
 * @since 0.1.0
 * @category tools
 */
export const ToolCall: Schema.Schema<ToolCall> = toolCallSchema

/**
 * Whether and which tool the model calls: `auto` (the model decides), `none`, `required` (at least one), or the one named.
 *
 * @since 0.1.0
 * @category tools
 */
export const ToolChoice = Schema.Union(
  Schema.Literal("auto", "none", "required"),
  Schema.Struct({ name: Schema.NonEmptyString })
).annotations({ identifier: "ToolChoice" })

/**
 * @since 0.1.0
 * @category tools
 */
export type ToolChoice = typeof ToolChoice.Type
