/** Items as both halves write them: the client in its input, the server in its output. */
import type { AssistantPart, ReasoningPart, ToolCall, UserPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord } from "../json.js"
import { native } from "./native.js"

export type Item = Json

/** The item that a part is, where it is one. */
export const itemOf = (part: AssistantPart | UserPart): Item | undefined => {
  const item = part.type === "native" ? native.fieldsOf(part)?.["item"] : undefined
  return isRecord(item) ? item : undefined
}

/** Thoughts with the same id are the pieces of one item. */
export const reasoningItem = (parts: ReadonlyArray<ReasoningPart>): Item => {
  const id = parts[0]?.id
  const sealed = parts.find((part) => part.signature !== undefined)?.signature
  const shown = parts.filter((part) => part.text !== "")
  const content = shown.filter((part) => part.format === "reasoning.text")
  const summary = shown.filter((part) => part.format !== "reasoning.text")
  const item = {
    type: "reasoning",
    ...(id === undefined ? {} : { id }),
    summary: summary.map(({ text }) => ({ type: "summary_text", text })),
    ...(content.length === 0 ? {} : { content: content.map(({ text }) => ({ type: "reasoning_text", text })) }),
    ...(sealed === undefined ? {} : { encrypted_content: sealed })
  }
  return parts[0] === undefined ? item : native.encode(item, parts[0])
}

export const callItem = (call: ToolCall): Item =>
  native.encode(
    call.type === "custom"
      ? { type: "custom_tool_call", call_id: call.id, name: call.name, input: call.arguments }
      : {
          type: "function_call",
          call_id: call.id,
          name: call.name,
          arguments: call.arguments === "" ? "{}" : call.arguments
        },
    call
  )

/** Whether both parts are of one item. */
const goesOn = (last: AssistantPart, part: AssistantPart): boolean => {
  if (itemOf(last) !== undefined || itemOf(part) !== undefined) return false
  return part.type === "reasoning"
    ? last.type === "reasoning" && last.id === part.id && last.signature === undefined
    : last.type !== "reasoning"
}

/** Neighbours that go into one item: texts, and the pieces of one thought. */
export const runs = (parts: ReadonlyArray<AssistantPart>): ReadonlyArray<ReadonlyArray<AssistantPart>> => {
  const result: Array<Array<AssistantPart>> = []
  for (const part of parts) {
    const run = result[result.length - 1]
    const last = run?.[run.length - 1]
    if (run !== undefined && last !== undefined && goesOn(last, part)) run.push(part)
    else result.push([part])
  }
  return result
}
