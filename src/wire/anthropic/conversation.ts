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
} from "../../Chat.js"
import { text } from "../../Chat.js"
import type { Json } from "../json.js"
import { string } from "../json.js"
import { callBlock, callId } from "./calls.js"
import type { Encoded } from "./content.js"
import { block, cacheMark, textBlock, unsupported } from "./content.js"
import { thoughtBlock } from "./thoughts.js"

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
      {
        type: "tool_result",
        tool_use_id: callId(message.toolCallId),
        ...content,
        ...(message.isError === undefined ? {} : { is_error: message.isError }),
        ...cacheMark(message.cacheControl)
      }
    ],
    plain: false
  }))

const isThought = (part: AssistantPart): part is ReasoningPart => part.type === "reasoning"

const isText = (part: AssistantPart): part is TextPart => part.type === "text"

/** Thoughts go back only to the provider that thought them, and only before what followed from them. */
const assistantPiece = (message: AssistantMessage, context: Context): Piece => {
  const { content } = message
  const plain = typeof content === "string"
  const spoken = texts(plain ? content : content.filter(isText))
  const calls = (message.toolCalls ?? []).map(callBlock)
  const thoughts = plain
    ? []
    : content.filter(
        (part): part is ReasoningPart =>
          isThought(part) &&
          part.provider === context.provider &&
          (part.signature !== undefined || (context.unsignedThoughts && part.text !== ""))
      )
  return {
    role: "assistant",
    blocks: spoken.length === 0 && calls.length === 0 ? [] : [...thoughts.map(thoughtBlock), ...spoken, ...calls],
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
