/** Encodes requests. docs.ollama.com/api/chat */
import { Either } from "effect"
import type {
  AssistantMessage,
  ChatRequest,
  Message,
  Reasoning,
  ResponseFormat,
  ToolCall,
  ToolDefinition,
  ToolMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import { textOf } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, parseJson } from "../../json.js"
import { foreignPart, unsupportedPart } from "../../native.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"

type Encoded<A> = Either.Either<A, WireFailure>

const named = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

const unsupported = (feature: string): Encoded<never> => Either.left({ _tag: "Unsupported", feature })

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

const image = (url: string): Encoded<string> => {
  const base64 = /^data:[^,]*;base64,([^]*)$/i.exec(url)?.[1]
  if (base64 !== undefined) return Either.right(base64)
  return unsupported(/^data:/i.test(url) ? "image in another form than base64" : "image by URL")
}

/** The images of a content as a field beside its text. */
const images = (content: string | ReadonlyArray<UserPart>): Encoded<Json> => {
  if (typeof content === "string") return Either.right({})
  const found: Array<string> = []
  for (const part of content) {
    if (part.type === "audio") return unsupported("audio input")
    if (part.type === "file") return unsupported("file input")
    if (part.type === "native") return unsupported(foreignPart)
    if (part.type === "text") continue
    const encoded = image(part.url)
    if (Either.isLeft(encoded)) return Either.left(encoded.left)
    found.push(encoded.right)
  }
  return Either.right(found.length === 0 ? {} : { images: found })
}

/** Arguments are an object in this protocol, so a truncated call cannot be encoded. */
const call = ({ arguments: text, id, name, type }: ToolCall): Encoded<Json> => {
  if (type === "custom") return unsupported("custom tool calls")
  const value = text === "" ? {} : parseJson(text)
  return isRecord(value)
    ? Either.right({ id, function: { name, arguments: value } })
    : unsupported("tool calls whose arguments are not a JSON object")
}

const assistant = (message: AssistantMessage): Encoded<Json> => {
  const thinking =
    typeof message.content === "string"
      ? ""
      : message.content.map((part) => (part.type === "reasoning" ? part.text : "")).join("")
  return Either.map(Either.all((message.toolCalls ?? []).map(call)), (calls) => ({
    role: "assistant",
    content: textOf(message.content),
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls })
  }))
}

/** Older servers find the call of a result by `tool_name`. */
const toolMessage = (message: ToolMessage, name: string | undefined): Encoded<Json> =>
  Either.map(images(message.content), (media) => ({
    role: "tool",
    content: textOf(message.content),
    ...media,
    ...named("tool_name", name),
    tool_call_id: message.toolCallId
  }))

const encodeMessage = (message: Message, names: Map<string, string>): Encoded<Json> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.right({ role: "system", content: textOf(message.content) })
    case "user":
      return message.name === undefined
        ? Either.map(images(message.content), (media) => ({ role: "user", content: textOf(message.content), ...media }))
        : unsupported("name of a user message")
    case "assistant":
      // A result belongs to the nearest call before it: generated ids repeat from answer to answer.
      for (const { id, name } of message.toolCalls ?? []) names.set(id, name)
      return assistant(message)
    case "tool":
      return toolMessage(message, names.get(message.toolCallId))
  }
}

// -------------------------------------------------------------------------------------
// settings
// -------------------------------------------------------------------------------------

const encodeTool = (definition: ToolDefinition): Json => ({
  type: "function",
  function: {
    name: definition.name,
    ...named("description", definition.description),
    parameters: definition.parameters ?? { type: "object", properties: {} }
  }
})

/** The setting of tool calls that the protocol has no field for. */
const unsupportedChoice = ({ parallelToolCalls, toolChoice }: ChatRequest): string | undefined => {
  if (toolChoice === "required") return "tool choice required"
  if (typeof toolChoice === "object") return "tool choice by name"
  return parallelToolCalls === false ? "parallel tool calls switched off" : undefined
}

const format = (wanted: ResponseFormat | undefined): Json => {
  if (wanted === undefined || wanted === "text") return {}
  return { format: wanted === "json" ? "json" : wanted.schema }
}

/** Every version with levels of `think` has these three. */
const levels = { minimal: "low", low: "low", medium: "medium", high: "high", xhigh: "high" } as const

/** docs.ollama.com/capabilities/thinking: on, off, or a level, which models without levels take for on. */
const think = ({ budgetTokens, effort, summary }: Reasoning): Json => {
  if (effort === "none" || budgetTokens === 0) return { think: false }
  if (effort !== undefined) return { think: levels[effort] }
  return budgetTokens === undefined && summary !== undefined ? {} : { think: true }
}

const encodeOptions = (request: ChatRequest, dialect: Dialect): Json => {
  const further = request.extra?.["options"]
  const options = {
    ...dialect.options,
    ...named("temperature", request.temperature),
    ...named("top_p", request.topP),
    ...named("num_predict", request.maxTokens),
    ...(request.stop === undefined || request.stop.length === 0 ? {} : { stop: request.stop }),
    ...named("seed", request.seed),
    ...(isRecord(further) ? further : {})
  }
  return Object.keys(options).length === 0 ? {} : { options }
}

export const encodeRequest =
  (dialect: Dialect) =>
  (request: ChatRequest, { model: fallback, stream }: Peer & { readonly stream: boolean }): Encoded<WireRequest> => {
    const missing = unsupportedChoice(request) ?? unsupportedPart(request)
    if (missing !== undefined) return unsupported(missing)
    const names = new Map<string, string>()
    return Either.map(Either.all(request.messages.map((message) => encodeMessage(message, names))), (messages) => {
      const { options: _, stream: __, tools: furtherTools, ...extra } = request.extra ?? {}
      // The protocol has no tool choice: `none` sends no tools.
      const own = request.toolChoice === "none" ? [] : (request.tools ?? []).map(encodeTool)
      const tools: ReadonlyArray<unknown> = Array.isArray(furtherTools) ? [...own, ...furtherTools] : own
      return {
        path: dialect.path,
        body: {
          model: request.model ?? fallback,
          messages,
          ...(tools.length === 0 ? {} : { tools }),
          ...format(request.responseFormat),
          ...(request.reasoning === undefined ? {} : think(request.reasoning)),
          ...named("keep_alive", dialect.keepAlive),
          ...encodeOptions(request, dialect),
          ...extra,
          // Servers stream by default.
          stream
        }
      }
    })
  }

/**
 * Older servers reject a level of `think` for all models except gpt-oss, whereas newer ones take it for "on". The message does not
 * contain the model, so requests to gpt-oss, which has levels, stay unchanged.
 */
export const withoutRefused = (request: WireRequest, complaint: string): WireRequest | undefined => {
  const { model, think: wanted } = request.body
  return typeof wanted === "string" && /think value|invalid think/i.test(complaint) && !/gpt-?oss/i.test(String(model))
    ? { ...request, body: { ...request.body, think: true } }
    : undefined
}
