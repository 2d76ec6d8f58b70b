/** Who says what in a conversation. Public by way of `Chat`. */
import { Schema } from "effect"
import { native, NonEmptyId } from "./fields.js"
import { AssistantPart, CacheControl, FilePart, ImagePart, NativePart, TextPart, UserPart } from "./parts.js"
import { ToolCall } from "./tools.js"

const SystemContent = Schema.Union(Schema.String, Schema.Array(TextPart))

/**
 * What the model is told beforehand.
 *
 * @since 0.1.0
 * @category messages
 */
export const SystemMessage = Schema.Struct({
  role: Schema.Literal("system"),
  content: SystemContent,
  native
}).annotations({ identifier: "SystemMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type SystemMessage = typeof SystemMessage.Type

/**
 * OpenAI's newer name of a system message. Elsewhere it is sent as one.
 *
 * @since 0.1.0
 * @category messages
 */
export const DeveloperMessage = Schema.Struct({
  role: Schema.Literal("developer"),
  content: SystemContent,
  native
}).annotations({ identifier: "DeveloperMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type DeveloperMessage = typeof DeveloperMessage.Type

/**
 * What the user says.
 *
 * @since 0.1.0
 * @category messages
 */
export const UserMessage = Schema.Struct({
  role: Schema.Literal("user"),
  content: Schema.Union(Schema.String, Schema.Array(UserPart)),
  name: Schema.optionalWith(Schema.String, { exact: true }),
  native
}).annotations({ identifier: "UserMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type UserMessage = typeof UserMessage.Type

/**
 * What the model said before. Made from an answer by `Chat.toMessage`.
 *
 * @since 0.1.0
 * @category messages
 */
export const AssistantMessage = Schema.Struct({
  role: Schema.Literal("assistant"),
  content: Schema.Union(Schema.String, Schema.Array(AssistantPart)),
  toolCalls: Schema.optionalWith(Schema.Array(ToolCall), { exact: true }),
  native
}).annotations({ identifier: "AssistantMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type AssistantMessage = typeof AssistantMessage.Type

/**
 * What a tool returned for the call with the id `toolCallId`.
 *
 * @since 0.1.0
 * @category messages
 */
export const ToolMessage = Schema.Struct({
  role: Schema.Literal("tool"),
  toolCallId: NonEmptyId,
  content: Schema.Union(Schema.String, Schema.Array(Schema.Union(TextPart, ImagePart, FilePart, NativePart))),
  /** The tool failed. Providers that have a mark for it get it; the others read the content alone. */
  isError: Schema.optionalWith(Schema.Boolean, { exact: true }),
  cacheControl: Schema.optionalWith(CacheControl, { exact: true }),
  native
}).annotations({ identifier: "ToolMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type ToolMessage = typeof ToolMessage.Type

/**
 * One thing that was said, by whomever.
 *
 * @since 0.1.0
 * @category messages
 */
export const Message = Schema.Union(SystemMessage, DeveloperMessage, UserMessage, AssistantMessage, ToolMessage)

/**
 * @since 0.1.0
 * @category messages
 */
export type Message = typeof Message.Type

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

/**
 * A system message.
 *
 * @since 0.1.0
 * @category constructors
 */
export const system = (content: string): SystemMessage => ({ role: "system", content })

/**
 * A user message: a text, or parts.
 *
 * @since 0.1.0
 * @category constructors
 */
export const user = (content: string | ReadonlyArray<UserPart>): UserMessage => ({ role: "user", content })

/**
 * An assistant message: what the model said, and what it called.
 *
 * @since 0.1.0
 * @category constructors
 */
export const assistant = (content: string, toolCalls?: ReadonlyArray<ToolCall>): AssistantMessage => ({
  role: "assistant",
  content,
  ...(toolCalls === undefined ? {} : { toolCalls })
})

/**
 * What a tool returned for a call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolResult = (call: ToolCall | string, content: string): ToolMessage => ({
  role: "tool",
  toolCallId: typeof call === "string" ? call : call.id,
  content
})
