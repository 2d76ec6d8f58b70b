/** Alternating turns, for providers that require them. Perplexity: "user or tool message(s) should alternate with assistant". */
import type {
  AssistantMessage,
  AssistantPart,
  Message,
  TextPart,
  UserMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import { text, textOf } from "../../../vocabulary/Chat.js"

const toParts = <Part>(content: string | ReadonlyArray<Part>): ReadonlyArray<Part | TextPart> =>
  typeof content !== "string" ? content : content === "" ? [] : [text(content)]

/** Both contents in order, with `between` between their parts; two strings with an empty line between them. */
const joinContents = <Part>(
  first: string | ReadonlyArray<Part>,
  second: string | ReadonlyArray<Part>,
  between: ReadonlyArray<TextPart> = []
): string | ReadonlyArray<Part | TextPart> =>
  typeof first === "string" && typeof second === "string"
    ? [first, second].filter((value) => value !== "").join("\n\n")
    : [...toParts(first), ...between, ...toParts(second)]

/** The native fields of both messages, by protocol. */
const joinNative = (first: Message, second: Message): Pick<Message, "native"> => {
  const all = { ...first.native, ...second.native }
  const wires = Object.keys(all)
  return wires.length === 0
    ? {}
    : { native: Object.fromEntries(wires.map((wire) => [wire, { ...first.native?.[wire], ...second.native?.[wire] }])) }
}

const joinUser = (first: UserMessage, second: UserMessage): UserMessage => ({
  role: "user",
  content: joinContents<UserPart>(first.content, second.content),
  ...(first.name === undefined || first.name !== second.name ? {} : { name: first.name }),
  ...joinNative(first, second)
})

/** The texts of an assistant message become one text, so an empty line separates those of the two messages. */
const joinAssistant = (first: AssistantMessage, second: AssistantMessage): AssistantMessage => ({
  role: "assistant",
  content: joinContents<AssistantPart>(
    first.content,
    second.content,
    textOf(first.content) === "" || textOf(second.content) === "" ? [] : [text("\n\n")]
  ),
  ...joinNative(first, second)
})

const joinMessages = (before: Message | undefined, message: Message): Message | undefined => {
  if (before?.role === "user" && message.role === "user") return joinUser(before, message)
  if (before?.role === "assistant" && message.role === "assistant") return joinAssistant(before, message)
  return undefined
}

const isInstruction = ({ role }: Message): boolean => role === "system" || role === "developer"

/** The system and developer messages, then the turns. Consecutive user messages become one, and so do assistant messages. */
export const alternateTurns = (messages: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  const turns: Array<Message> = []
  for (const message of messages.filter((each) => !isInstruction(each))) {
    const joinedTurn = joinMessages(turns.at(-1), message)
    if (joinedTurn === undefined) turns.push(message)
    else turns[turns.length - 1] = joinedTurn
  }
  return [...messages.filter(isInstruction), ...turns]
}
