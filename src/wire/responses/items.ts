/** Encodes items for both halves: the client's input and the server's output. */
import type { AssistantPart, ReasoningPart, ToolCall, UserPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord } from "../json.js"
import { native } from "./native.js"

export type Item = Json

/** The item in a native part; undefined for every other part. */
export const nativeItem = (part: AssistantPart | UserPart): Item | undefined => {
  const item = part.type === "provider" ? native.fieldsOf(part)?.["item"] : undefined
  return isRecord(item) ? item : undefined
}

/** One item from the reasoning parts of one id. */
export const reasoningItem = (parts: ReadonlyArray<ReasoningPart>): Item => {
  const id = parts[0]?.id
  const signature = parts.find((part) => part.signature !== undefined)?.signature
  const visible = parts.filter((part) => part.text !== "")
  const content = visible.filter((part) => part.format === "reasoning.text")
  const summary = visible.filter((part) => part.format !== "reasoning.text")
  const item = {
    type: "reasoning",
    ...(id === undefined ? {} : { id }),
    summary: summary.map(({ text }) => ({ type: "summary_text", text })),
    ...(content.length === 0 ? {} : { content: content.map(({ text }) => ({ type: "reasoning_text", text })) }),
    ...(signature === undefined ? {} : { encrypted_content: signature })
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

/** Whether adjacent parts belong to one item. */
const isSameItem = (last: AssistantPart, part: AssistantPart): boolean => {
  if (nativeItem(last) !== undefined || nativeItem(part) !== undefined) return false
  return part.type === "reasoning"
    ? last.type === "reasoning" && last.id === part.id && last.signature === undefined
    : last.type !== "reasoning"
}

/** Groups adjacent parts that go into one item: texts, or reasoning of one id. */
export const groupByItem = (parts: ReadonlyArray<AssistantPart>): ReadonlyArray<ReadonlyArray<AssistantPart>> => {
  const groups: Array<Array<AssistantPart>> = []
  for (const part of parts) {
    const group = groups.at(-1)
    const last = group?.at(-1)
    if (group !== undefined && last !== undefined && isSameItem(last, part)) group.push(part)
    else groups.push([part])
  }
  return groups
}
