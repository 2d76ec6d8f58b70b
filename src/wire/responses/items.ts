/** Encodes items for both halves: the client's input and the server's output. */
import type {
  AssistantPart,
  ProviderPart,
  ReasoningPart,
  RefusalPart,
  TextPart,
  ToolCall
} from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { mergeFields } from "../native.js"
import type { ReadFields } from "./native.js"
import { isSameMessage, messageFieldsOf, nativeItem } from "./native.js"

export type Item = Json

/** A part of a message item. A provider part among them has a type that the vocabulary does not cover. */
export type ContentPart = TextPart | RefusalPart | ProviderPart

/** The parts of one item. */
export type Group =
  | { readonly kind: "message"; readonly parts: ReadonlyArray<ContentPart> }
  | { readonly kind: "reasoning"; readonly parts: ReadonlyArray<ReasoningPart> }
  | { readonly kind: "call"; readonly call: ToolCall }
  | { readonly kind: "other"; readonly item: Item }

type OpenGroup =
  | { readonly kind: "message"; readonly parts: Array<ContentPart> }
  | { readonly kind: "reasoning"; readonly parts: Array<ReasoningPart> }

/** Whether a reasoning part goes into the item of the one before it: encrypted reasoning is in the last part of an item. */
export const continuesReasoning = (last: ReasoningPart, part: { readonly id?: string }): boolean =>
  last.id === part.id && last.signature === undefined

/**
 * Groups adjacent parts that go into one item: texts and refusals of one message, or reasoning of one id. Empty texts without
 * native fields, and provider parts whose native fields `read` does not return, are left out.
 */
export const groupByItem = (parts: ReadonlyArray<AssistantPart>, read: ReadFields): ReadonlyArray<Group> => {
  const groups: Array<Group> = []
  let open: OpenGroup | undefined
  const push = (group: OpenGroup): void => {
    open = group
    groups.push(group)
  }
  for (const part of parts) {
    if (part.type === "reasoning") {
      const last = open?.kind === "reasoning" ? open.parts.at(-1) : undefined
      if (open?.kind === "reasoning" && last !== undefined && continuesReasoning(last, part)) open.parts.push(part)
      else push({ kind: "reasoning", parts: [part] })
      continue
    }
    if (part.type === "tool-call") {
      open = undefined
      groups.push({ kind: "call", call: part })
      continue
    }
    const item = nativeItem(part, read)
    if (item !== undefined) {
      open = undefined
      groups.push({ kind: "other", item })
      continue
    }
    const fields = read(part)
    if (fields === undefined && (part.type === "provider" || part.text === "")) continue
    const last = open?.kind === "message" ? open.parts.at(-1) : undefined
    const isSame = last !== undefined && isSameMessage(messageFieldsOf(read(last)), messageFieldsOf(fields))
    if (open?.kind === "message" && isSame) open.parts.push(part)
    else push({ kind: "message", parts: [part] })
  }
  return groups
}

/** The content of a message item; `blank` is what a text has unless its native fields have it. */
export const contentPart = (part: ContentPart, read: ReadFields, blank: Json): Item => {
  const { message: _, ...fields } = read(part) ?? {}
  switch (part.type) {
    case "text":
      return mergeFields({ type: "output_text", text: part.text, ...blank }, fields)
    case "refusal":
      return mergeFields({ type: "refusal", refusal: part.text }, fields)
    case "provider":
      return fields
  }
}

/** A message item; `fields` is what it has unless the native fields of its parts have it. */
export const messageItem = (parts: ReadonlyArray<ContentPart>, read: ReadFields, fields: Json, blank: Json): Item => ({
  type: "message",
  role: "assistant",
  ...fields,
  ...Object.assign({}, ...parts.map((part) => messageFieldsOf(read(part)))),
  content: parts.map((part) => contentPart(part, read, blank))
})

/** One item from the reasoning parts of one id. */
export const reasoningItem = (parts: ReadonlyArray<ReasoningPart>, read: ReadFields): Item => {
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
  return parts.reduce<Item>((merged, part) => mergeFields(merged, read(part) ?? {}), item)
}

export const callItem = (call: ToolCall, read: ReadFields): Item =>
  mergeFields(
    call.custom === true
      ? { type: "custom_tool_call", call_id: call.id, name: call.name, input: call.arguments }
      : {
          type: "function_call",
          call_id: call.id,
          name: call.name,
          arguments: call.arguments === "" ? "{}" : call.arguments
        },
    read(call) ?? {}
  )
