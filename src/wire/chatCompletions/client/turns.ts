/** Alternating turns, for providers that require them. Perplexity: "user or tool message(s) should alternate with assistant". */
import type { AssistantMessage, AssistantPart, Message, UserMessage, UserPart } from "../../../vocabulary/Chat.js"
import { text } from "../../../vocabulary/Chat.js"

const partsOf = <Part>(content: string | ReadonlyArray<Part>, part: (words: string) => Part): ReadonlyArray<Part> =>
  typeof content !== "string" ? content : content === "" ? [] : [part(content)]

/** Both contents; two strings with an empty line between them. */
const joined = <Part>(
  one: string | ReadonlyArray<Part>,
  other: string | ReadonlyArray<Part>,
  part: (words: string) => Part
): string | ReadonlyArray<Part> =>
  typeof one === "string" && typeof other === "string"
    ? [one, other].filter((words) => words !== "").join("\n\n")
    : [...partsOf(one, part), ...partsOf(other, part)]

/** The native fields of both messages, by protocol. */
const joinedNative = (one: Message, other: Message): Pick<Message, "native"> => {
  const all = { ...one.native, ...other.native }
  const wires = Object.keys(all)
  return wires.length === 0
    ? {}
    : { native: Object.fromEntries(wires.map((wire) => [wire, { ...one.native?.[wire], ...other.native?.[wire] }])) }
}

const joinedUser = (one: UserMessage, other: UserMessage): UserMessage => ({
  role: "user",
  content: joined<UserPart>(one.content, other.content, text),
  ...(one.name === undefined || one.name !== other.name ? {} : { name: one.name }),
  ...joinedNative(one, other)
})

const joinedAssistant = (one: AssistantMessage, other: AssistantMessage): AssistantMessage => {
  const toolCalls = [...(one.toolCalls ?? []), ...(other.toolCalls ?? [])]
  return {
    role: "assistant",
    content: joined<AssistantPart>(one.content, other.content, text),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    ...joinedNative(one, other)
  }
}

const merged = (before: Message | undefined, message: Message): Message | undefined => {
  if (before?.role === "user" && message.role === "user") return joinedUser(before, message)
  if (before?.role === "assistant" && message.role === "assistant") return joinedAssistant(before, message)
  return undefined
}

const instructs = ({ role }: Message): boolean => role === "system" || role === "developer"

/** The system and developer messages, then the turns. Consecutive user messages become one, and so do assistant messages. */
export const alternating = (messages: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  const turns: Array<Message> = []
  for (const message of messages.filter((each) => !instructs(each))) {
    const one = merged(turns.at(-1), message)
    if (one === undefined) turns.push(message)
    else turns[turns.length - 1] = one
  }
  return [...messages.filter(instructs), ...turns]
}
