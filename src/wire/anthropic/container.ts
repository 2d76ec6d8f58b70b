/**
 * The container in which the provider runs code. An answer has it beside its content, and the rest of the turn must name it again:
 * after a pause, and while client tools that the code has called are open. In the vocabulary it is a provider part without a type.
 * Source: Anthropic, "Code execution tool", "Programmatic tool calling", "Using Agent Skills with the API".
 */
import type { AssistantPart, Message, ProviderPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, record, string } from "../json.js"
import { native } from "./native.js"

export const containerPart = (container: Json, provider: string): ProviderPart => native.part({ container }, provider)

/** The container of a provider part with these native fields; undefined when the part is a block. */
export const containerOf = (fields: Json): Json | undefined =>
  fields["type"] === undefined ? record(fields, "container") : undefined

/** The last container among these parts; with a provider, among those that it can read. */
export const lastContainer = (parts: ReadonlyArray<AssistantPart>, provider?: string): Json | undefined => {
  for (const part of parts.toReversed()) {
    if (part.type !== "provider") continue
    const fields = provider === undefined ? native.fieldsOf(part) : native.readableFields(part, provider)
    const container = fields === undefined ? undefined : containerOf(fields)
    if (container !== undefined) return container
  }
  return undefined
}

/** The container of the open turn. That of an earlier one can have expired, which fails the request. */
const openId = (messages: ReadonlyArray<Message>, provider: string): string | undefined => {
  for (const { content, role } of messages.toReversed()) {
    if (role === "user") return undefined
    if (role !== "assistant" || typeof content === "string") continue
    const container = lastContainer(content, provider)
    if (container !== undefined) return string(container, "id")
  }
  return undefined
}

/**
 * The field `container` of a request, `requested` is its value in `extra`. An object there, such as one with `skills`, gets the id of
 * the container of the open turn if it has none. Without skills the API accepts only a string.
 */
export const containerField = (messages: ReadonlyArray<Message>, provider: string, requested: unknown): Json => {
  if (requested !== undefined && !isRecord(requested)) return { container: requested }
  const id = openId(messages, provider)
  if (id === undefined) return requested === undefined ? {} : { container: requested }
  return { container: requested === undefined ? id : { id, ...requested } }
}
