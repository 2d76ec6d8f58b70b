/**
 * Tools of OpenAI that the client runs, for providers that have only functions. A tool whose input is free text (`custom`, such as Codex's
 * `apply_patch`) is a function with one text, and the local shell of Responses (`local_shell`) is a function with a command. Their calls come back
 * as calls of these tools. Sources: OpenAI, API reference, chat/create and responses/create; "Local shell".
 */
import { Effect, Stream } from "effect"
import type { Service as LLMService } from "../../call/model.js"
import { wrap } from "../../call/wrap.js"
import type {
  AssistantPart,
  ChatRequest,
  ChatResponse,
  Message,
  ToolCall,
  ToolDefinition,
  UserPart
} from "../../vocabulary/Chat.js"
import { withContent } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { Json } from "../../wire/json.js"
import { isRecord, parseJson, record, string } from "../../wire/json.js"
import { native, nativeItem } from "../../wire/responses/native.js"

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

const customFunction = (fields: Json): ToolDefinition => ({
  name: nameOf(fields),
  description: descriptionOf(fields),
  parameters: {
    type: "object",
    properties: { input: { type: "string", description: "The input of the tool, as plain text." } },
    required: ["input"],
    additionalProperties: false
  }
})

const shellName = "local_shell"

const isShell = (tool: unknown): boolean => isRecord(tool) && tool["type"] === shellName

/** The fields of an action of the shell, which the client runs. */
const shellFunction: ToolDefinition = {
  name: shellName,
  description: "Runs a command in the local shell of the user, and returns its output.",
  parameters: {
    type: "object",
    properties: {
      command: { type: "array", items: { type: "string" }, description: "The command and its arguments." },
      working_directory: { type: "string", description: "Where the command runs." },
      timeout_ms: { type: "integer", description: "The longest time that it runs, in milliseconds." },
      env: { type: "object", additionalProperties: { type: "string" }, description: "Environment variables." }
    },
    required: ["command"],
    additionalProperties: false
  }
}

/** The item of a call of the shell, or of its output; undefined for any other part. */
const shellItem = (part: AssistantPart | UserPart | undefined, type: string): Json | undefined => {
  const item = part === undefined ? undefined : nativeItem(part)
  return item?.["type"] === type ? item : undefined
}

const callIdOf = (item: Json): string => string(item, "call_id") ?? string(item, "id") ?? ""

/** The `call_id` of each call of the shell, by the `id` of its item. */
const shellCallIds = (messages: ReadonlyArray<Message>): ReadonlyMap<string, string> =>
  new Map(
    messages.flatMap(({ content, role }) =>
      role !== "assistant" || typeof content === "string"
        ? []
        : content.flatMap((part) => {
            const item = shellItem(part, "local_shell_call")
            return item === undefined ? [] : [[string(item, "id") ?? "", callIdOf(item)] as const]
          })
    )
  )

const partAsFunction = (part: AssistantPart, isCustomKept: boolean): AssistantPart => {
  const item = shellItem(part, "local_shell_call")
  if (item !== undefined) {
    const { type: _, ...action } = record(item, "action") ?? {}
    return { type: "tool-call", id: callIdOf(item), name: shellName, arguments: JSON.stringify(action) }
  }
  if (part.type !== "tool-call" || part.custom !== true || isCustomKept) return part
  const { custom: _, ...call } = part
  return { ...call, arguments: JSON.stringify({ input: part.arguments }) }
}

/** The same message where nothing in it changes. */
const messageWithFunctions = (
  message: Message,
  isCustomKept: boolean,
  callIds: ReadonlyMap<string, string>
): Message => {
  if (typeof message.content === "string") return message
  if (message.role === "user") {
    const output = shellItem(message.content[0], "local_shell_call_output")
    if (output === undefined) return message
    // An output names its call by `call_id`, or by the `id` of its item, which is all that the API description has.
    const id = callIdOf(output)
    return { role: "tool", toolCallId: callIds.get(id) ?? id, content: string(output, "output") ?? "" }
  }
  if (message.role !== "assistant") return message
  const content = message.content.map((part) => partAsFunction(part, isCustomKept))
  return content.every((part, index) => part === message.content[index]) ? message : { ...message, content }
}

/** The tools that are functions in a request, by their names. */
export type Translated = ReadonlyMap<string, "custom" | "shell">

export const noneTranslated: Translated = new Map()

export interface WithFunctions {
  readonly request: ChatRequest
  readonly translated: Translated
}

/** A request whose custom tools and local shell, and their earlier calls, are functions. A provider with custom tools keeps them. */
export const asFunctions = (request: ChatRequest, isCustomKept: boolean): WithFunctions => {
  const custom = isCustomKept
    ? []
    : tools(request)
        .map(fieldsOf)
        .filter((fields) => fields !== undefined)
  // Calls of a function with the name of the shell could not be told from those of the shell.
  const hasShell = tools(request).some(isShell) && !(request.tools ?? []).some(({ name }) => name === shellName)
  const callIds = shellCallIds(request.messages)
  const messages = request.messages.map((message) => messageWithFunctions(message, isCustomKept, callIds))
  const others = tools(request).filter(
    (tool) => (isCustomKept || fieldsOf(tool) === undefined) && !(hasShell && isShell(tool))
  )
  const choice = isCustomKept ? undefined : fieldsOf(request.extra?.["tool_choice"])
  const functions = [...custom.map(customFunction), ...(hasShell ? [shellFunction] : [])]
  if (functions.length === 0 && messages.every((message, index) => message === request.messages[index])) {
    return { request, translated: noneTranslated }
  }
  const changes = {
    tools: others.length === 0 ? undefined : others,
    ...(choice === undefined ? {} : { tool_choice: undefined })
  }
  return {
    request: {
      ...withExtra(request, changes),
      messages,
      ...(functions.length === 0 ? {} : { tools: [...(request.tools ?? []), ...functions] }),
      ...(choice === undefined ? {} : { toolChoice: { name: nameOf(choice) } })
    },
    translated: new Map([
      ...custom.map((fields): [string, "custom"] => [nameOf(fields), "custom"]),
      ...(hasShell ? [[shellName, "shell"] as const] : [])
    ])
  }
}

/** A custom tool as the other protocol of OpenAI has it; other tools as they are. */
export const toolFor = (tool: unknown, wire: string): unknown => {
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
const customCall = (call: ToolCall): ToolCall => {
  const json = parseJson(call.arguments)
  const input = isRecord(json) ? string(json, "input") : undefined
  return { ...call, custom: true, arguments: input ?? call.arguments }
}

/** The item of a call of the shell; the call itself where the model did not follow the schema. */
const shellCall = (call: ToolCall): AssistantPart => {
  const action = parseJson(call.arguments)
  if (!isRecord(action) || !Array.isArray(action["command"])) return call
  return native.part({
    item: {
      type: "local_shell_call",
      id: `lsh_${call.id}`,
      call_id: call.id,
      status: "completed",
      action: { env: {}, ...action, type: "exec" }
    }
  })
}

const restoredCall = (translated: Translated, call: ToolCall): AssistantPart => {
  const kind = translated.get(call.name)
  return kind === undefined ? call : kind === "custom" ? customCall(call) : shellCall(call)
}

const restoredAnswer = (translated: Translated, response: ChatResponse): ChatResponse =>
  withContent(
    response,
    response.content.map((part) => (part.type === "tool-call" ? restoredCall(translated, part) : part))
  )

/**
 * Arguments are JSON until their end, so a call of a custom tool begins in its place, and its input comes whole. A call of the shell is one item:
 * it comes at its end, and what begins after it waits for it.
 */
const restoredEvents = (translated: Translated) => {
  const open = new Set<number>()
  let shell: number | undefined
  let waiting: Array<ChatEvent> = []

  const restored = (event: ChatEvent): ReadonlyArray<ChatEvent> => {
    if (event._tag === "ToolCallDelta" && (translated.has(event.name) || open.has(event.index))) {
      if (open.has(event.index)) return []
      open.add(event.index)
      if (translated.get(event.name) === "custom") return [{ ...event, argumentsDelta: "" }]
      shell = event.index
      return []
    }
    if (event._tag !== "ToolCallEnd") return [event]
    const part = restoredCall(translated, event.call)
    if (part.type === "provider") return [{ _tag: "ProviderPart", index: event.index, part }]
    return [part.type === "tool-call" ? { ...event, call: part } : event]
  }

  const push = (event: ChatEvent): ReadonlyArray<ChatEvent> => {
    if (shell === undefined) return restored(event)
    if (event._tag === "ToolCallEnd" && event.index === shell) {
      shell = undefined
      const later = waiting
      waiting = []
      return [...restored(event), ...later.flatMap(push)]
    }
    if (!("index" in event && event.index === shell)) waiting.push(event)
    return []
  }
  return push
}

/** The model, whose calls of these functions are those of the tools. */
export const restoring = (llm: LLMService, translated: Translated): LLMService =>
  translated.size === 0
    ? llm
    : wrap(llm, {
        chat: (request) => Effect.map(llm.chat(request), (response) => restoredAnswer(translated, response)),
        chatStream: (request) =>
          Stream.suspend(() => Stream.flattenIterables(Stream.map(llm.chatStream(request), restoredEvents(translated))))
      })
