/** What protocols with one text, one reasoning and one list of calls a message keep of a content. */
import * as FastCheck from "fast-check"
import type { AssistantPart, ProviderPart } from "../../src/vocabulary/Chat.js"
import { text, toolCall } from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"

/** The parts in their order without the fields of one protocol. Refusals are texts; empty texts and provider parts are left out. */
export const plainParts = (content: ReadonlyArray<AssistantPart>, provider?: string): ReadonlyArray<AssistantPart> =>
  content.flatMap((part): ReadonlyArray<AssistantPart> => {
    switch (part.type) {
      case "text":
      case "refusal":
        return part.text === "" ? [] : [text(part.text)]
      case "reasoning":
        return part.text === ""
          ? []
          : [{ type: "reasoning", text: part.text, ...(provider === undefined ? {} : { provider }) }]
      case "tool-call":
        return [toolCall(part.id, part.name, part.arguments)]
      case "provider":
        return []
    }
  })

const joinAdjacent = (content: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  content.reduce<ReadonlyArray<AssistantPart>>((joined, part) => {
    const last = joined.at(-1)
    return (part.type === "text" && last?.type === "text") || (part.type === "reasoning" && last?.type === "reasoning")
      ? [...joined.slice(0, -1), { ...last, text: last.text + part.text }]
      : [...joined, part]
  }, [])

const fields: ReadonlyArray<AssistantPart["type"]> = ["reasoning", "text", "tool-call"]

/** The parts of a stream: in their order, with adjacent texts and adjacent reasoning joined. */
export const inStreamOrder = (content: ReadonlyArray<AssistantPart>, provider?: string): ReadonlyArray<AssistantPart> =>
  joinAdjacent(plainParts(content, provider))

/** The parts of a whole message: one reasoning, one text and the calls, each with the order of its parts. */
export const inOneField = (content: ReadonlyArray<AssistantPart>, provider?: string): ReadonlyArray<AssistantPart> => {
  const parts = plainParts(content, provider)
  return joinAdjacent(fields.flatMap((type) => parts.filter((part) => part.type === type)))
}

const foreignPart: FastCheck.Arbitrary<ProviderPart> = FastCheck.record({
  type: FastCheck.constant("provider" as const),
  native: FastCheck.constant({ other: { type: "server_tool_use", id: "srv_1" } }),
  provider: FastCheck.constantFrom("acme", "other")
})

/** Puts provider parts that answers of other protocols contained anywhere into a content. */
export const foreignParts = FastCheck.array(FastCheck.tuple(FastCheck.nat(8), foreignPart), { maxLength: 2 }).map(
  (parts) => (content: ReadonlyArray<AssistantPart>) =>
    parts.reduce<ReadonlyArray<AssistantPart>>((all, [at, part]) => all.toSpliced(at, 0, part), content)
)

const isEnd = (event: ChatEvent): boolean => event._tag === "ToolCallEnd"

/** The events with adjacent ends of tool calls in reverse order. */
export const withReversedEnds = (events: ReadonlyArray<ChatEvent>): ReadonlyArray<ChatEvent> => {
  const start = events.findIndex(isEnd)
  if (start < 0) return events
  const after = events.slice(start).findIndex((event) => !isEnd(event))
  const end = after < 0 ? events.length : start + after
  return [...events.slice(0, start), ...events.slice(start, end).toReversed(), ...withReversedEnds(events.slice(end))]
}
