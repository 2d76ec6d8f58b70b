/** Functions that the model may ask to have called. Public by way of `Chat`. */
import { Schema } from "effect"
import { JsonObject, native, NonEmptyId } from "./fields.js"
import { CacheControl } from "./parts.js"

/**
 * A function that the model may ask to have called.
 *
 * @since 0.1.0
 * @category tools
 */
export const ToolDefinition = Schema.Struct({
  name: Schema.String.pipe(Schema.pattern(/^[a-zA-Z0-9_.-]{1,128}$/)),
  description: Schema.optionalWith(Schema.String, { exact: true }),
  /** JSON Schema of the arguments, an object schema. Absent: the function takes none. */
  parameters: Schema.optionalWith(JsonObject, { exact: true }),
  /** Ask the provider to hold the model to the schema exactly. The provider's default where absent. */
  strict: Schema.optionalWith(Schema.Boolean, { exact: true }),
  cacheControl: Schema.optionalWith(CacheControl, { exact: true }),
  native
}).annotations({ identifier: "ToolDefinition" })

/**
 * @since 0.1.0
 * @category tools
 */
export type ToolDefinition = typeof ToolDefinition.Type

/**
 * A call that the model asks for.
 *
 * `arguments` is the text as the model wrote it: JSON in nearly every case, never empty (`{}` stands for no arguments),
 * and cut off where the answer hit its token limit. Decode it with `Schema.parseJson`.
 *
 * @since 0.1.0
 * @category tools
 */
export const ToolCall = Schema.Struct({
  id: NonEmptyId,
  name: Schema.NonEmptyString,
  arguments: Schema.String,
  /** `custom`: `arguments` is free text, as some providers let a tool take. Absent: a function with JSON arguments. */
  type: Schema.optionalWith(Schema.Literal("custom"), { exact: true }),
  native
}).annotations({ identifier: "ToolCall" })

/**
 * @since 0.1.0
 * @category tools
 */
export type ToolCall = typeof ToolCall.Type

/**
 * Whether and which tool the model calls: as it likes, not at all, at least one, or the one named.
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
