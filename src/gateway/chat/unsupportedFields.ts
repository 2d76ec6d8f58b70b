/**
 * Fields and parts of a request that the vocabulary cannot express, at the top level and inside messages and tools. They are sent
 * unchanged to a provider of the same protocol. For any other provider, essential fields are refused, and the others are dropped
 * and listed in a response header.
 */
import { Either, Struct } from "effect"
import type { ChatRequest, Native } from "../../vocabulary/Chat.js"
import type { Json } from "../../wire/json.js"
import { record, string } from "../../wire/json.js"
import { fieldsOf, samplingFields } from "../../wire/sampling.js"
import type { SamplingField } from "../../wire/Wire.js"
import type * as HttpErrors from "../http/error.js"
import type { Protocol } from "./model.js"

/** Fields that change what is requested, so that an answer without them would be wrong. */
const essentialFields: ReadonlySet<string> = new Set([
  "tools",
  "tool_choice",
  "previous_response_id",
  "conversation",
  "prompt",
  "background",
  "modalities",
  "audio",
  "functions",
  "function_call",
  "container",
  "mcp_servers",
  "context_management",
  "prefix"
])

interface NestedFields {
  /** The fields by their paths, such as `messages.content.vendor_part`. */
  readonly fields: ReadonlySet<string>
  /** The first field or part that is refused. */
  readonly refused: string | undefined
}

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0

/** The type of a part in its protocol; some parts are items of their own. */
const partType = (part: Json): string => string(record(part, "item") ?? part, "type") ?? "part of a message"

/** The fields and parts inside messages and tools that only the client's protocol has. */
const nestedFields = (
  { messages, tools = [] }: ChatRequest,
  { ignorableNested, wire: { name } }: Protocol
): NestedFields => {
  const fields = new Set<string>()
  let refused: string | undefined
  const collect = (place: string, source: { readonly native?: Native }): void => {
    for (const [field, value] of Object.entries(source.native?.[name] ?? {})) {
      if (ignorableNested.has(field) || isEmpty(value)) continue
      if (essentialFields.has(field)) refused ??= field
      fields.add(`${place}.${field}`)
    }
  }
  for (const message of messages) {
    collect("messages", message)
    if (typeof message.content === "string") continue
    for (const part of message.content) {
      if (part.type === "provider") refused ??= partType(part.native[name] ?? {})
      else collect(part.type === "tool-call" ? "messages.tool_calls" : "messages.content", part)
    }
  }
  for (const tool of tools) collect("tools", tool)
  return { fields, refused }
}

/** The settings of the choice of tokens that the provider's protocol does not have, by the names of the client's protocols. */
const unsupportedSettings = (request: ChatRequest, providerWire: string): ReadonlyMap<SamplingField, string> => {
  const supported = fieldsOf(providerWire)
  const unsupported = samplingFields.filter((field) => request[field] !== undefined && !supported.includes(field))
  return new Map(unsupported.map((field) => [field, field.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)]))
}

export interface SupportedRequest {
  readonly request: ChatRequest
  /** The paths of the fields that were dropped. */
  readonly dropped: ReadonlyArray<string>
}

/** `providerWire` is the name of the wire of the model's provider. */
export const drop = (
  request: ChatRequest,
  protocol: Protocol,
  providerWire: string
): Either.Either<SupportedRequest, HttpErrors.HttpError> => {
  if (providerWire === protocol.wire.name) return Either.right({ request, dropped: [] })
  const settings = unsupportedSettings(request, providerWire)
  const { extra = {}, ...fitting } = request
  const supported = Struct.omit(fitting, ...settings.keys())
  const fields = Object.keys(extra).filter((field) => extra[field] !== undefined)
  const nested = nestedFields(supported, protocol)
  const refused = fields.find((field) => essentialFields.has(field)) ?? nested.refused
  return refused === undefined
    ? Either.right({
        request: supported,
        dropped: [...settings.values(), ...fields.filter((field) => !protocol.ignorable.has(field)), ...nested.fields]
      })
    : Either.left({
        status: 400,
        code: "unsupported",
        message: `The provider of this model uses another protocol, which has no equivalent of '${refused}'. Remove it, or use another model.`,
        param: refused
      })
}

/** The response header that lists the dropped fields. */
export const droppedHeader = (dropped: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  dropped.length === 0
    ? {}
    : {
        "x-effect-llm-dropped": dropped
          // A lone surrogate, which a name can contain in JSON, has no encoding.
          .map((field) => encodeURIComponent(field.replace(/\p{Surrogate}/gu, "\ufffd")))
          .join(", ")
          .slice(0, 1000)
      }
