/**
 * Tools whose input is free text (OpenAI's `custom` tools, such as Codex's `apply_patch`), for providers that have only functions: each is a
 * function with one text, and its calls come back as calls of the custom tool. Sources: OpenAI, API reference, chat/create and responses/create.
 */
import { Effect, Stream } from "effect"
import type { Service as LLMService } from "../../call/model.js"
import { wrap } from "../../call/wrap.js"
import type { AssistantPart, ChatRequest, ChatResponse, Message, ToolCall } from "../../vocabulary/Chat.js"
import { withContent } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { Json } from "../../wire/json.js"
import { isRecord, parseJson, record, string } from "../../wire/json.js"

/** A custom tool in either protocol: Chat Completions has its fields in an object. */
const fieldsOf = (tool: unknown): Json | undefined => {
  if (!isRecord(tool) || tool["type"] !== "custom") return undefined
  const fields = record(tool, "custom") ?? tool
  return typeof fields["name"] === "string" ? fields : undefined
}

const tools = ({ extra }: ChatRequest): ReadonlyArray<unknown> =>
  Array.isArray(extra?.["tools"]) ? extra["tools"] : []

const withExtra = ({ extra = {}, ...request }: ChatRequest, changes: Json): ChatRequest => {
  const changed = Object.fromEntries(
    Object.entries({ ...extra, ...changes }).filter(([, value]) => value !== undefined)
  )
  return Object.keys(changed).length === 0 ? request : { ...request, extra: changed }
}

const nameOf = (fields: Json): string => string(fields, "name") ?? ""

/** The grammar of the input is a part of the description: a function cannot enforce it. */
const descriptionOf = (fields: Json): string => {
  const format = record(fields, "format")
  const grammar = record(format ?? {}, "grammar") ?? format
  const definition = string(grammar ?? {}, "definition")
  return [
    string(fields, "description") ?? "",
    ...(definition === undefined
      ? []
      : [`The input must match this grammar (${string(grammar ?? {}, "syntax") ?? "lark"}):\n${definition}`])
  ].join("\n\n")
}

const functionOf = (fields: Json): NonNullable<ChatRequest["tools"]>[number] => ({
  name: nameOf(fields),
  description: descriptionOf(fields),
  parameters: {
    type: "object",
    properties: { input: { type: "string", description: "The input of the tool, as plain text." } },
    required: ["input"],
    additionalProperties: false
  }
})

const callAsFunction = (part: AssistantPart): AssistantPart => {
  if (part.type !== "tool-call" || part.custom !== true) return part
  const { custom: _, ...call } = part
  return { ...call, arguments: JSON.stringify({ input: part.arguments }) }
}

const hasCustomCalls = ({ content, role }: Message): boolean =>
  role === "assistant" &&
  typeof content !== "string" &&
  content.some((part) => part.type === "tool-call" && part.custom === true)

const messageWithFunctions = (message: Message): Message =>
  message.role === "assistant" && typeof message.content !== "string"
    ? { ...message, content: message.content.map(callAsFunction) }
    : message

export interface WithFunctions {
  readonly request: ChatRequest
  /** The names of the custom tools that are functions in the request. */
  readonly names: ReadonlySet<string>
}

/** A request whose custom tools, and their earlier calls, are functions. */
export const asFunctions = (request: ChatRequest): WithFunctions => {
  const custom = tools(request)
    .map(fieldsOf)
    .filter((fields) => fields !== undefined)
  if (custom.length === 0 && !request.messages.some(hasCustomCalls)) return { request, names: new Set() }
  const messages = request.messages.map(messageWithFunctions)
  const others = tools(request).filter((tool) => fieldsOf(tool) === undefined)
  const choice = fieldsOf(request.extra?.["tool_choice"])
  const changes = {
    tools: others.length === 0 ? undefined : others,
    ...(choice === undefined ? {} : { tool_choice: undefined })
  }
  return {
    request: {
      ...withExtra(request, changes),
      messages,
      ...(custom.length === 0 ? {} : { tools: [...(request.tools ?? []), ...custom.map(functionOf)] }),
      ...(choice === undefined ? {} : { toolChoice: { name: nameOf(choice) } })
    },
    names: new Set(custom.map(nameOf))
  }
}

/** A custom tool as the other protocol of OpenAI has it; other tools as they are. */
export const translated = (tool: unknown, wire: string): unknown => {
  const fields = fieldsOf(tool)
  if (fields === undefined) return tool
  const { type: _, ...own } = fields
  const format = record(own, "format")
  const grammar = record(format ?? {}, "grammar")
  if (wire === "chat-completions") {
    const { type, ...rest } = format ?? {}
    return {
      type: "custom",
      custom: { ...own, ...(type === "grammar" && grammar === undefined ? { format: { type, grammar: rest } } : {}) }
    }
  }
  return { type: "custom", ...own, ...(grammar === undefined ? {} : { format: { type: "grammar", ...grammar } }) }
}

// -------------------------------------------------------------------------------------
// answers
// -------------------------------------------------------------------------------------

/** The input of a call; the arguments themselves where the model did not follow the schema. */
const callOf = (call: ToolCall): ToolCall => {
  const json = parseJson(call.arguments)
  const input = isRecord(json) ? string(json, "input") : undefined
  return { ...call, custom: true, arguments: input ?? call.arguments }
}

const restoredAnswer = (names: ReadonlySet<string>, response: ChatResponse): ChatResponse =>
  withContent(
    response,
    response.content.map((part) =>
      part.type === "tool-call" && names.has(part.name) ? { ...part, ...callOf(part) } : part
    )
  )

/** Arguments are JSON until their end, so a call begins in its place, and its input comes whole. */
const restoredEvents = (names: ReadonlySet<string>) => {
  const open = new Set<number>()
  return (event: ChatEvent): ReadonlyArray<ChatEvent> => {
    if (event._tag === "ToolCallDelta" && (names.has(event.name) || open.has(event.index))) {
      if (open.has(event.index)) return []
      open.add(event.index)
      return [{ ...event, argumentsDelta: "" }]
    }
    return event._tag === "ToolCallEnd" && names.has(event.call.name)
      ? [{ ...event, call: callOf(event.call) }]
      : [event]
  }
}

/** The model, whose calls of these functions are those of custom tools. */
export const restoring = (llm: LLMService, names: ReadonlySet<string>): LLMService =>
  names.size === 0
    ? llm
    : wrap(llm, {
        chat: (request) => Effect.map(llm.chat(request), (response) => restoredAnswer(names, response)),
        chatStream: (request) => Stream.suspend(() => Stream.mapConcat(llm.chatStream(request), restoredEvents(names)))
      })
