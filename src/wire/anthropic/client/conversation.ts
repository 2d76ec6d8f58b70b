/** Encodes messages. Source: Anthropic, "Using the Messages API", "Handle tool calls", "Mid-conversation system messages". */
import { Either } from "effect"
import type {
  AssistantMessage,
  AssistantPart,
  DeveloperMessage,
  Message,
  ReasoningPart,
  SystemMessage,
  TextPart,
  ToolMessage,
  UserMessage
} from "../../../vocabulary/Chat.js"
import { text } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { string } from "../../json.js"
import type { PartWithNative } from "../../native.js"
import { mergeFields } from "../../native.js"
import { containerOf } from "../container.js"
import { partBlock } from "../parts.js"
import { callId } from "../toolCalls.js"
import type { Encoded } from "./content.js"
import { unsupported } from "../../requestFields.js"
import { cacheControlField, contentBlocks, isNotBlank, textBlock } from "./content.js"
import { native } from "../native.js"
import { isReasoningBlock } from "../reasoning.js"

/** The provider of a request, and what its server accepts. */
export interface Context {
  readonly provider: string
  readonly unsignedReasoning: boolean
  readonly systemInTurns: boolean
}

type Instruction = SystemMessage | DeveloperMessage

/** The blocks of one message. */
interface EncodedMessage {
  readonly role: "user" | "assistant" | "system"
  readonly blocks: ReadonlyArray<Json>
  /** Tool results, which precede all other blocks of their turn. */
  readonly results: ReadonlyArray<Json>
  /** Whether the content of the message is a string. */
  readonly plain: boolean
}

interface Turn {
  readonly role: "user" | "assistant"
  readonly blocks: Array<Json>
  readonly results: Array<Json>
  plain: boolean
  /** Instructions that take effect after this turn. */
  readonly system: Array<Json>
}

const textBlocks = (content: string | ReadonlyArray<TextPart>): ReadonlyArray<Json> =>
  (typeof content === "string" ? [text(content)] : content).map(textBlock).filter(isNotBlank)

const encodeUser = (message: UserMessage, { provider }: Context): Encoded<EncodedMessage> => {
  if (message.name !== undefined) return unsupported("name of a user message")
  const { content } = message
  return typeof content === "string"
    ? Either.right({ role: "user", blocks: textBlocks(content), results: [], plain: true })
    : Either.map(contentBlocks(content, provider), (blocks): EncodedMessage => ({
        role: "user",
        blocks,
        results: [],
        plain: false
      }))
}

const resultContent = (content: ToolMessage["content"], { provider }: Context): Encoded<Json> => {
  if (typeof content === "string") return Either.right(content === "" ? {} : { content })
  return Either.map(contentBlocks(content, provider), (blocks) => ({ content: blocks }))
}

const encodeTool = (message: ToolMessage, context: Context): Encoded<EncodedMessage> =>
  Either.map(resultContent(message.content, context), (content): EncodedMessage => ({
    role: "user",
    blocks: [],
    results: [
      native.encode(
        {
          type: "tool_result",
          tool_use_id: callId(message.toolCallId),
          ...content,
          ...(message.isError === undefined ? {} : { is_error: message.isError }),
          ...cacheControlField(message.cacheControl)
        },
        message
      )
    ],
    plain: false
  }))

/** Whether a reasoning part is sent back: only to the provider that made it. Anthropic rejects unsigned reasoning. */
const isSentBack = (part: ReasoningPart, context: Context): boolean =>
  native.isOwn(part, context.provider) &&
  (part.signature !== undefined || (context.unsignedReasoning && part.text !== ""))

/** The block with the native fields of its part that the provider can read. */
const withNative = (block: Json, part: PartWithNative, { provider }: Context): Json => {
  const fields = native.readableFields(part, provider)
  return fields === undefined ? block : mergeFields(block, fields)
}

/** The blocks of a part of an assistant message. A container is a field of the request. */
const partBlocks = (part: AssistantPart, context: Context): ReadonlyArray<Json> => {
  if (part.type === "provider") {
    const block = native.readableFields(part, context.provider)
    return block === undefined || containerOf(block) !== undefined ? [] : [block]
  }
  if (part.type === "reasoning" && !isSentBack(part, context)) return []
  const block = withNative(partBlock(part), part, context)
  if (!isNotBlank(block)) return []
  return [part.type === "text" ? { ...block, ...cacheControlField(part.cacheControl) } : block]
}

/** The API rejects a message whose last block is reasoning: "The final block in an assistant message cannot be `thinking`". */
const withoutLastReasoning = (blocks: ReadonlyArray<Json>): ReadonlyArray<Json> =>
  blocks.slice(0, blocks.findLastIndex((block) => !isReasoningBlock(block)) + 1)

const encodeAssistant = ({ content }: AssistantMessage, context: Context): EncodedMessage => {
  const plain = typeof content === "string"
  const blocks = plain ? textBlocks(content) : content.flatMap((part) => partBlocks(part, context))
  return { role: "assistant", blocks: withoutLastReasoning(blocks), results: [], plain }
}

const encodeMessage = (message: Message, context: Context): Encoded<EncodedMessage> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.right({ role: "system", blocks: textBlocks(message.content), results: [], plain: false })
    case "user":
      return encodeUser(message, context)
    case "assistant":
      return Either.right(encodeAssistant(message, context))
    case "tool":
      return encodeTool(message, context)
  }
}

/** Joins adjacent messages of one role. An instruction is placed after the current user turn, or else after the next one. */
const turnsOf = (messages: ReadonlyArray<EncodedMessage>) => {
  const turns: Array<Turn> = []
  let pending: Array<Json> = []
  for (const { blocks, plain, results, role } of messages) {
    if (blocks.length === 0 && results.length === 0) continue
    const last = turns.at(-1)
    if (role === "system") {
      if (last?.role === "user") last.system.push(...blocks)
      else pending.push(...blocks)
    } else if (last?.role === role) {
      last.blocks.push(...blocks)
      last.results.push(...results)
      last.plain = false
    } else {
      turns.push({
        role,
        blocks: [...blocks],
        results: [...results],
        plain,
        system: role === "user" ? pending : []
      })
      if (role === "user") pending = []
    }
  }
  return { turns, pending }
}

/** Inserted before a conversation that begins with the model, which the API rejects. */
const openingMessage: Json = { role: "user", content: "(The conversation begins.)" }

/** A prefilled answer must not end in whitespace: the model continues directly after it. */
const withoutTrailingBlanks = (turns: ReadonlyArray<Turn>): ReadonlyArray<Turn> => {
  const turn = turns.at(-1)
  const last = turn?.blocks.at(-1)
  if (turn?.role !== "assistant" || last?.["type"] !== "text") return turns
  const text = (string(last, "text") ?? "").trimEnd()
  return [...turns.slice(0, -1), { ...turn, blocks: [...turn.blocks.slice(0, -1), { ...last, text }] }]
}

const contentOf = ({ blocks, plain, results }: Turn): unknown =>
  plain && blocks.length === 1 && results.length === 0 ? blocks[0]?.["text"] : [...results, ...blocks]

const messagesOf = (turns: ReadonlyArray<Turn>, context: Context): ReadonlyArray<Json> => [
  ...(turns[0]?.role === "assistant" ? [openingMessage] : []),
  ...turns.flatMap((turn) => [
    { role: turn.role, content: contentOf(turn) },
    ...(context.systemInTurns && turn.system.length > 0 ? [{ role: "system", content: turn.system }] : [])
  ])
]

const isInstruction = (message: Message): message is Instruction =>
  message.role === "system" || message.role === "developer"

/** In a conversation of instructions only, the last one becomes the user message. */
const withUserMessage = (messages: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  if (!messages.every(isInstruction)) return messages
  const last = messages.at(-1)
  return last === undefined ? [] : [...messages.slice(0, -1), { role: "user", content: last.content }]
}

/** A single instruction that is a string stays a string. */
const systemOf = (instructions: ReadonlyArray<Instruction>, later: ReadonlyArray<Json>): Json => {
  const [first] = instructions
  if (instructions.length === 1 && later.length === 0 && typeof first?.content === "string") {
    return first.content.trim() === "" ? {} : { system: first.content }
  }
  const blocks = [...instructions.flatMap(({ content }) => textBlocks(content)), ...later]
  return blocks.length === 0 ? {} : { system: blocks }
}

/** Encodes the conversation as `system` and `messages`. */
export const conversation = (messages: ReadonlyArray<Message>, context: Context): Encoded<Json> => {
  const all = withUserMessage(messages)
  const start = all.findIndex((message) => !isInstruction(message))
  const instructions = all.slice(0, start).filter(isInstruction)
  return Either.map(Either.all(all.slice(start).map((message) => encodeMessage(message, context))), (encoded) => {
    const { pending, turns } = turnsOf(encoded)
    const later = context.systemInTurns ? pending : [...turns.flatMap(({ system }) => system), ...pending]
    return { ...systemOf(instructions, later), messages: messagesOf(withoutTrailingBlanks(turns), context) }
  })
}
