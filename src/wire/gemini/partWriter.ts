/** Encodes the parts of an assistant message in their order. Clients use it for requests, servers for answers and streams. */
import type { AssistantPart, ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"
import { mergeFields } from "../native.js"
import { native } from "./native.js"

export interface PartOptions {
  readonly callIds: boolean
  /** The provider that reads the parts. A server has none: a client stores what it cannot read, and sends it back. */
  readonly provider?: string
}

/** The arguments as an object. Free text, and JSON that is truncated or not an object, becomes the field `input`. */
const argsOf = ({ arguments: text, custom }: ToolCall): Json => {
  const args = custom === true ? undefined : parseJson(text === "" ? "{}" : text)
  return isRecord(args) ? args : { input: text }
}

const withSignature = (part: Json, signature: string | undefined): Json =>
  signature === undefined ? part : { ...part, thoughtSignature: signature }

const withFields = (part: Json, fields: Json | undefined): Json =>
  fields === undefined ? part : mergeFields(part, fields)

/** Undefined for a part that is not sent: reasoning and provider parts of other providers, and parts without content. */
export const encodePart = (part: AssistantPart, options: PartOptions): Json | undefined => {
  const readable = options.provider === undefined || native.isOwn(part, options.provider)
  const fields = readable ? native.fieldsOf(part) : undefined
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text === "" && fields === undefined ? undefined : withFields({ text: part.text }, fields)
    case "reasoning":
      return !readable || (part.text === "" && part.signature === undefined && fields === undefined)
        ? undefined
        : withFields(withSignature({ text: part.text, thought: true }, part.signature), fields)
    case "tool-call": {
      const functionCall = { ...(options.callIds ? { id: part.id } : {}), name: part.name, args: argsOf(part) }
      return withFields(withSignature({ functionCall }, readable ? part.signature : undefined), fields)
    }
    case "provider":
      return fields
  }
}

export const encodeParts = (content: ReadonlyArray<AssistantPart>, options: PartOptions): ReadonlyArray<Json> =>
  content.flatMap((part) => {
    const encoded = encodePart(part, options)
    return encoded === undefined ? [] : [encoded]
  })
