/** Messages as turns. Anthropic, "Using the Messages API", "Handle tool calls", "Mid-conversation system messages". */
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
import { callBlock, callId } from "../toolCalls.js"
import type { Encoded } from "./content.js"
import { block, cacheMark, nativeBlock, textBlock, unsupported } from "./content.js"
import { native } from "../native.js"
import { isThought, thoughtBlock } from "../reasoning.js"

/** For whom a conversation is written. */
export interface Context {
  readonly provider: string
  readonly unsignedThoughts: boolean
  readonly systemInTurns: boolean
}

type Instruction = SystemMessage | DeveloperMessage

/** What one message has to say. `plain`: it was said as a string. */
interface Piece {
  readonly role: "user" | "assistant" | "system"
  readonly blocks: ReadonlyArray<Json>
  /** What tools returned stands before everything else in its turn. */
  readonly results: ReadonlyArray<Json>
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

/** The API refuses a text of nothing but blanks. */
const said = (block: Json): boolean => block["type"] !== "text" || (string(block, "text") ?? "").trim() !== ""

const texts = (content: string | ReadonlyArray<TextPart>): ReadonlyArray<Json> =>
  (typeof content === "string" ? [text(content)] : content).map(textBlock).filter(said)

const userPiece = (message: UserMessage): Encoded<Piece> => {
  if (message.name !== undefined) return unsupported("name of a user message")
  const { content } = message
  return typeof content === "string"
    ? Either.right({ role: "user", blocks: texts(content), results: [], plain: true })
    : Either.map(Either.all(content.map(block)), (blocks): Piece => ({
        role: "user",
        blocks: blocks.filter(said),
        results: [],
        plain: false
      }))
}

const resultContent = (content: ToolMessage["content"]): Encoded<Json> => {
  if (typeof content === "string") return Either.right(content === "" ? {} : { content })
  return Either.map(Either.all(content.map(block)), (blocks) => ({ content: blocks.filter(said) }))
}

const toolPiece = (message: ToolMessage): Encoded<Piece> =>
  Either.map(resultContent(message.content), (content): Piece => ({
    role: "user",
    blocks: [],
    results: [
      native.encode(
        {
          type: "tool_result",
          tool_use_id: callId(message.toolCallId),
          ...content,
          ...(message.isError === undefined ? {} : { is_error: message.isError }),
          ...cacheMark(message.cacheControl)
        },
        message
      )
    ],
    plain: false
  }))

/** Whether a thought goes back: only to the provider that thought it, or in whose protocol it was told. */
const isOwn = (part: ReasoningPart, context: Context): boolean =>
  (part.provider === context.provider || (part.provider === undefined && native.fieldsOf(part) !== undefined)) &&
  (part.signature !== undefined || (context.unsignedThoughts && part.text !== ""))

const partBlocks = (part: AssistantPart, context: Context): ReadonlyArray<Json> => {
  switch (part.type) {
    case "text":
      return [textBlock(part)].filter(said)
    case "reasoning":
      return isOwn(part, context) ? [thoughtBlock(part)] : []
    case "native":
      return [nativeBlock(part)]
  }
}

/** Thoughts stand before what was said; among blocks of tools that the provider ran itself everything stays where it was. */
const inOrder = (parts: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  parts.some((part) => part.type === "native")
    ? parts
    : [...parts.filter(({ type }) => type === "reasoning"), ...parts.filter(({ type }) => type !== "reasoning")]

/** Thoughts go back only before what followed from them. */
const assistantPiece = (message: AssistantMessage, context: Context): Piece => {
  const { content } = message
  const plain = typeof content === "string"
  const spoken = plain ? texts(content) : inOrder(content).flatMap((part) => partBlocks(part, context))
  const calls = (message.toolCalls ?? []).map(callBlock)
  return {
    role: "assistant",
    blocks: spoken.every(isThought) && calls.length === 0 ? [] : [...spoken, ...calls],
    results: [],
    plain: plain && calls.length === 0
  }
}

const pieceOf = (message: Message, context: Context): Encoded<Piece> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.right({ role: "system", blocks: texts(message.content), results: [], plain: false })
    case "user":
      return userPiece(message)
    case "assistant":
      return Either.right(assistantPiece(message, context))
    case "tool":
      return toolPiece(message)
  }
}

/** Neighbours of one role are one turn. An instruction waits for the end of the user's turn that it is in or before. */
const turnsOf = (pieces: ReadonlyArray<Piece>) => {
  const turns: Array<Turn> = []
  let waiting: Array<Json> = []
  for (const { blocks, plain, results, role } of pieces) {
    if (blocks.length === 0 && results.length === 0) continue
    const last = turns.at(-1)
    if (role === "system") {
      if (last?.role === "user") last.system.push(...blocks)
      else waiting.push(...blocks)
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
        system: role === "user" ? waiting : []
      })
      if (role === "user") waiting = []
    }
  }
  return { turns, homeless: waiting }
}

/** The words that the user is taken to have said where the conversation begins with the model, which the API refuses. */
const opening: Json = { role: "user", content: "(The conversation begins.)" }

/** The beginning of an answer must not end in blanks: the model goes on right behind it. */
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
  ...(turns[0]?.role === "assistant" ? [opening] : []),
  ...turns.flatMap((turn) => [
    { role: turn.role, content: contentOf(turn) },
    ...(context.systemInTurns && turn.system.length > 0 ? [{ role: "system", content: turn.system }] : [])
  ])
]

const isInstruction = (message: Message): message is Instruction =>
  message.role === "system" || message.role === "developer"

/** A conversation of nothing but instructions: the last of them is the question. */
const asked = (messages: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  if (!messages.every(isInstruction)) return messages
  const last = messages.at(-1)
  return last === undefined ? [] : [...messages.slice(0, -1), { role: "user", content: last.content }]
}

/** One instruction that was written as a string stays one. */
const systemOf = (instructions: ReadonlyArray<Instruction>, further: ReadonlyArray<Json>): Json => {
  const [first] = instructions
  if (instructions.length === 1 && further.length === 0 && typeof first?.content === "string") {
    return first.content.trim() === "" ? {} : { system: first.content }
  }
  const blocks = [...instructions.flatMap(({ content }) => texts(content)), ...further]
  return blocks.length === 0 ? {} : { system: blocks }
}

/** The conversation, as `system` and `messages`. */
export const conversation = (messages: ReadonlyArray<Message>, context: Context): Encoded<Json> => {
  const all = asked(messages)
  const start = all.findIndex((message) => !isInstruction(message))
  const instructions = all.slice(0, start).filter(isInstruction)
  return Either.map(Either.all(all.slice(start).map((message) => pieceOf(message, context))), (pieces) => {
    const { homeless, turns } = turnsOf(pieces)
    const early = context.systemInTurns ? homeless : [...turns.flatMap(({ system }) => system), ...homeless]
    return { ...systemOf(instructions, early), messages: messagesOf(withoutTrailingBlanks(turns), context) }
  })
}
