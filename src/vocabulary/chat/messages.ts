/** Messages of a conversation, by role. Exported by `Chat`. */
import { Schema } from "effect"
import { native, NonEmptyId } from "./fields.js"
import type { ToolCall } from "./parts.js"
import { AssistantPart, CacheControl, FilePart, ImagePart, ProviderPart, TextPart, text, UserPart } from "./parts.js"

const SystemContent = Schema.Union(Schema.String, Schema.Array(TextPart))

/**
 * Instructions for the model.
 *
 * @since 0.1.0
 * @category messages
 */
export interface SystemMessage extends Schema.Schema.Type<typeof systemMessageSchema> {}

const systemMessageSchema = Schema.Struct({
  role: Schema.Literal("system"),
  content: SystemContent,
  native
}).annotations({ identifier: "SystemMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export const SystemMessage: Schema.Schema<SystemMessage> = systemMessageSchema

/**
 * OpenAI's newer form of a system message. Other providers receive it as a system message.
 *
 * @since 0.1.0
 * @category messages
 */
export interface DeveloperMessage extends Schema.Schema.Type<typeof developerMessageSchema> {}

const developerMessageSchema = Schema.Struct({
  role: Schema.Literal("developer"),
  content: SystemContent,
  native
}).annotations({ identifier: "DeveloperMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export const DeveloperMessage: Schema.Schema<DeveloperMessage> = developerMessageSchema

/**
 * A message of the user.
 *
 * @since 0.1.0
 * @category messages
 */
export interface UserMessage extends Schema.Schema.Type<typeof userMessageSchema> {}

const userMessageSchema = Schema.Struct({
  role: Schema.Literal("user"),
  content: Schema.Union(Schema.String, Schema.Array(UserPart)),
  name: Schema.optionalWith(Schema.String, { exact: true }),
  native
}).annotations({ identifier: "UserMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export const UserMessage: Schema.Schema<UserMessage> = userMessageSchema

/**
 * An earlier response of the model: a text, or its parts in order. `Chat.toMessage` makes one from a response.
 *
 * @since 0.1.0
 * @category messages
 */
export interface AssistantMessage extends Schema.Schema.Type<typeof assistantMessageSchema> {}

const assistantMessageSchema = Schema.Struct({
  role: Schema.Literal("assistant"),
  content: Schema.Union(Schema.String, Schema.Array(AssistantPart)),
  native
}).annotations({ identifier: "AssistantMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export const AssistantMessage: Schema.Schema<AssistantMessage> = assistantMessageSchema

/**
 * The result of the tool call with the id `toolCallId`.
 *
 * @since 0.1.0
 * @category messages
 */
export interface ToolMessage extends Schema.Schema.Type<typeof toolMessageSchema> {}

const toolMessageSchema = Schema.Struct({
  role: Schema.Literal("tool"),
  toolCallId: NonEmptyId,
  content: Schema.Union(Schema.String, Schema.Array(Schema.Union(TextPart, ImagePart, FilePart, ProviderPart))),
  /** Whether the tool failed. Sent to providers that have a field for it; others receive only the content. */
  isError: Schema.optionalWith(Schema.Boolean, { exact: true }),
  cacheControl: Schema.optionalWith(CacheControl, { exact: true }),
  native
}).annotations({ identifier: "ToolMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export const ToolMessage: Schema.Schema<ToolMessage> = toolMessageSchema

/**
 * A message of any role.
 *
 * @since 0.1.0
 * @category messages
 */
export type Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage

/**
 * @since 0.1.0
 * @category messages
 */
export const Message: Schema.Schema<Message> = Schema.Union(
  SystemMessage,
  DeveloperMessage,
  UserMessage,
  AssistantMessage,
  ToolMessage
)

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

/**
 * Makes a system message.
 *
 * @example
 * ```ts
 * import { Chat, LLM } from "effect-llm"
 *
 * const program = LLM.chat({ messages: [Chat.system("Answer in one word."), Chat.user("The capital of France?")] })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const system = (content: string): SystemMessage => ({ role: "system", content })

/**
 * Makes a user message from a text or from parts.
 *
 * @example
 * ```ts
 * import { Chat, LLM } from "effect-llm"
 *
 * const text = LLM.chat({ messages: [Chat.user("The capital of France?")] })
 *
 * const image = LLM.chat({
 *   messages: [Chat.user([Chat.text("What is in this image?"), Chat.image("https://example.com/cat.png")])]
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const user = (content: string | ReadonlyArray<UserPart>): UserMessage => ({ role: "user", content })

/**
 * Makes an assistant message from the model's text or parts, with tool calls after them.
 *
 * @example
 * ```ts
 * import { Chat } from "effect-llm"
 *
 * const examples = [Chat.user("2 + 2?"), Chat.assistant("4"), Chat.user("3 + 3?")]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const assistant = (
  content: string | ReadonlyArray<AssistantPart>,
  toolCalls: ReadonlyArray<ToolCall> = []
): AssistantMessage => ({
  role: "assistant",
  content:
    toolCalls.length === 0
      ? content
      : [...(typeof content !== "string" ? content : content === "" ? [] : [text(content)]), ...toolCalls]
})

/**
 * Makes a tool message with the result of a tool call.
 *
 * `call` is the call, or its id. Every call of an answer needs a result in the next request. `LLM.runTools` does this by itself.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Chat, LLM } from "effect-llm"
 *
 * const tools = [{ name: "today", parameters: { type: "object", properties: {} } }]
 *
 * const program = Effect.gen(function* () {
 *   const messages = [Chat.user("What day is it?")]
 *   const answer = yield* LLM.chat({ messages, tools })
 *   const results = answer.toolCalls.map((call) => Chat.toolResult(call, "Tuesday"))
 *   return yield* LLM.chat({ messages: [...messages, Chat.toMessage(answer), ...results], tools })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolResult = (call: ToolCall | string, content: string): ToolMessage => ({
  role: "tool",
  toolCallId: typeof call === "string" ? call : call.id,
  content
})
