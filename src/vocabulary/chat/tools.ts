/** Tools that the model can call. Exported by `Chat`. */
import { Schema } from "effect"
import { JsonObject, native } from "./fields.js"
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
