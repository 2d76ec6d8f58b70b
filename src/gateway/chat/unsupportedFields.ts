/**
 * What the vocabulary has no word for: fields of a request, and fields and parts inside of its messages and tools. Where the same
 * protocol is spoken to the provider they go through as they are. Elsewhere they would mean something else or nothing: those that
 * change what is asked are refused, and of the others the client is told that they were left out.
 */
import { Either } from "effect"
import type { ChatRequest, Native } from "../../vocabulary/Chat.js"
import type { Json } from "../../wire/json.js"
import { record, string } from "../../wire/json.js"
import type * as Problem from "../http/error.js"
import type { Protocol } from "./model.js"

/** Without these the answer would be one to another question. */
const essential: ReadonlySet<string> = new Set([
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

interface Beyond {
  /** The fields, by where they stand. */
  readonly fields: ReadonlySet<string>
  /** A field or a part that is refused. */
  readonly refused: string | undefined
}

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0

/** What kind of thing a part is in its protocol; some parts are items of their own. */
const kindOf = (part: Json): string => string(record(part, "item") ?? part, "type") ?? "part of a message"

/** What is said inside of messages and tools in the words of the client's protocol. */
const inside = ({ messages, tools = [] }: ChatRequest, { ownInside, wire: { name } }: Protocol): Beyond => {
  const fields = new Set<string>()
  let refused: string | undefined
  const note = (place: string, said: { readonly native?: Native }): void => {
    for (const [field, value] of Object.entries(said.native?.[name] ?? {})) {
      if (ownInside.has(field) || isEmpty(value)) continue
      if (essential.has(field)) refused ??= field
      fields.add(`${place}.${field}`)
    }
  }
  for (const message of messages) {
    note("messages", message)
    if (message.role === "assistant") for (const call of message.toolCalls ?? []) note("messages.tool_calls", call)
    if (typeof message.content === "string") continue
    for (const part of message.content) {
      if (part.type === "native") refused ??= kindOf(part.native[name] ?? {})
      else note("messages.content", part)
    }
  }
  for (const tool of tools) note("tools", tool)
  return { fields, refused }
}

export interface Translated {
  readonly request: ChatRequest
  /** The fields that were left out. */
  readonly dropped: ReadonlyArray<string>
}

/** `spoken`: the name of the wire that the provider is spoken to with. */
export const translate = (
  request: ChatRequest,
  protocol: Protocol,
  spoken: string
): Either.Either<Translated, Problem.Problem> => {
  if (spoken === protocol.wire.name) return Either.right({ request, dropped: [] })
  const { extra = {}, ...known } = request
  const fields = Object.keys(extra).filter((field) => extra[field] !== undefined)
  const within = inside(known, protocol)
  const refused = fields.find((field) => essential.has(field)) ?? within.refused
  return refused === undefined
    ? Either.right({
        request: known,
        dropped: [...fields.filter((field) => !protocol.own.has(field)), ...within.fields]
      })
    : Either.left({
        status: 400,
        code: "unsupported",
        message: `The model that was asked speaks another protocol, which has nothing for '${refused}' as it was given.`,
        param: refused
      })
}

/** Tells of what was left out, in a header. */
export const header = (dropped: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  dropped.length === 0
    ? {}
    : {
        "x-effect-llm-dropped": dropped
          .map((field) => encodeURIComponent(field))
          .join(", ")
          .slice(0, 1000)
      }
