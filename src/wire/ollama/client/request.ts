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
import { reasoningOf, textOf, toolCallsOf } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, parseJson } from "../../json.js"
import { closestEffort, effortOf } from "../../effort.js"
import { unsupportedPart } from "../../native.js"
import { optional, parseDataUrl, unsupported } from "../../requestFields.js"
import { textField } from "../../textField.js"
import { encodeLogprobs, protocolFields, samplingFault } from "../../sampling.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"

type Encoded<A> = Either.Either<A, WireFailure>

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

const encodeImage = (url: string): Encoded<string> => {
  const inline = parseDataUrl(url)
  if (inline?.base64 === true) return Either.right(inline.data)
  return unsupported(/^data:/i.test(url) ? "image data other than base64" : "image by URL")
}

/** The images of a content as a field beside its text. */
const encodeImages = (content: string | ReadonlyArray<UserPart>): Encoded<Json> => {
  if (typeof content === "string") return Either.right({})
  const encodedImages: Array<string> = []
  for (const part of content) {
    if (part.type === "audio") return unsupported("audio input")
    if (part.type === "file") return unsupported("file input")
    // Parts of other protocols that an answer contained are left out. The others are Unsupported (`unsupportedPart`).
    if (part.type === "text" || part.type === "provider") continue
    const encoded = encodeImage(part.url)
    if (Either.isLeft(encoded)) return Either.left(encoded.left)
    encodedImages.push(encoded.right)
  }
  return Either.right(encodedImages.length === 0 ? {} : { images: encodedImages })
}

/** Arguments are an object in this protocol, so a truncated call cannot be encoded. */
const encodeCall = ({ arguments: text, custom, id, name }: ToolCall): Encoded<Json> => {
  if (custom === true) return unsupported("custom tool calls")
  const value = text === "" ? {} : parseJson(text)
  return isRecord(value)
    ? Either.right({ id, function: { name, arguments: value } })
    : unsupported("tool calls whose arguments are not a JSON object")
}

/**
 * A message has one thinking, one text and one list of calls: the order of the parts is kept within each of them. The thinking of
 * every turn is sent back, as docs.ollama.com/capabilities/tool-calling does in a loop of tools. The template of the model drops
 * what the model does not read.
 */
const encodeAssistant = ({ content }: AssistantMessage): Encoded<Json> => {
  const thinking = reasoningOf(content)
  return Either.map(Either.all(toolCallsOf(content).map(encodeCall)), (calls) => ({
    role: "assistant",
    content: textField(content),
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls })
  }))
}

/** Older servers find the call of a result by `tool_name`. */
const encodeResult = (message: ToolMessage, name: string | undefined): Encoded<Json> =>
  Either.map(encodeImages(message.content), (media) => ({
    role: "tool",
    content: textOf(message.content),
    ...media,
    ...optional("tool_name", name),
    tool_call_id: message.toolCallId
  }))

const encodeMessage = (message: Message, names: Map<string, string>): Encoded<Json> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.right({ role: "system", content: textOf(message.content) })
    case "user":
      return message.name === undefined
        ? Either.map(encodeImages(message.content), (media) => ({
            role: "user",
            content: textOf(message.content),
            ...media
          }))
        : unsupported("name of a user message")
    case "assistant":
      // A result belongs to the nearest call before it: generated ids repeat from answer to answer.
      for (const { id, name } of toolCallsOf(message.content)) names.set(id, name)
      return encodeAssistant(message)
    case "tool":
      return encodeResult(message, names.get(message.toolCallId))
  }
}

// -------------------------------------------------------------------------------------
// settings
// -------------------------------------------------------------------------------------

const encodeTool = (definition: ToolDefinition): Json => ({
  type: "function",
  function: {
    name: definition.name,
    ...optional("description", definition.description),
    parameters: definition.parameters ?? { type: "object", properties: {} }
  }
})

/** The setting of tool calls that the protocol has no field for. */
const unsupportedChoice = ({ parallelToolCalls, toolChoice }: ChatRequest): string | undefined => {
  if (toolChoice === "required") return "tool choice required"
  if (typeof toolChoice === "object") return "tool choice by name"
  return parallelToolCalls === false ? "parallel tool calls switched off" : undefined
}

const encodeFormat = (format: ResponseFormat | undefined): Json => {
  if (format === undefined || format === "text") return {}
  return { format: format === "json" ? "json" : format.schema }
}

/** Every version with levels of `think` has these three. */
const levels = ["low", "medium", "high"] as const

/** docs.ollama.com/capabilities/thinking: on, off, or a level, which models without levels take for on. */
const encodeThink = (reasoning: Reasoning): Json => {
  const { budgetTokens, summary } = reasoning
  const effort = effortOf(reasoning)
  if (effort === "none" || budgetTokens === 0) return { think: false }
  if (effort !== undefined) return { think: closestEffort(effort, levels) }
  return summary === undefined ? { think: true } : {}
}

const encodeOptions = (request: ChatRequest, dialect: Dialect): Json => {
  const extraOptions = request.extra?.["options"]
  const options = {
    ...dialect.options,
    ...optional("temperature", request.temperature),
    ...optional("top_p", request.topP),
    ...optional("top_k", request.topK),
    ...optional("frequency_penalty", request.frequencyPenalty),
    ...optional("presence_penalty", request.presencePenalty),
    ...optional("num_predict", request.maxTokens),
    ...(request.stop === undefined || request.stop.length === 0 ? {} : { stop: request.stop }),
    ...optional("seed", request.seed),
    ...(isRecord(extraOptions) ? extraOptions : {})
  }
  return Object.keys(options).length === 0 ? {} : { options }
}

/** Without a limit of the temperature. */
const limits = { sampling: protocolFields.ollama }

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { model: defaultModel, stream }: Peer & { readonly stream: boolean }
  ): Encoded<WireRequest> => {
    const feature = unsupportedChoice(request) ?? unsupportedPart(request)
    if (feature !== undefined) return unsupported(feature)
    const fault = samplingFault(request, limits)
    if (fault !== undefined) return Either.left(fault)
    const names = new Map<string, string>()
    return Either.map(Either.all(request.messages.map((message) => encodeMessage(message, names))), (messages) => {
      const { options: _, stream: __, tools: extraTools, ...extra } = request.extra ?? {}
      // The protocol has no tool choice: `none` sends no tools.
      const requestTools = request.toolChoice === "none" ? [] : (request.tools ?? []).map(encodeTool)
      const tools: ReadonlyArray<unknown> = Array.isArray(extraTools) ? [...requestTools, ...extraTools] : requestTools
      return {
        path: dialect.path,
        body: {
          model: request.model ?? defaultModel,
          messages,
          ...(tools.length === 0 ? {} : { tools }),
          ...encodeFormat(request.responseFormat),
          ...encodeLogprobs(request.logprobs),
          ...(request.reasoning === undefined ? {} : encodeThink(request.reasoning)),
          ...optional("keep_alive", dialect.keepAlive),
          ...encodeOptions(request, dialect),
          ...extra,
          // Servers stream by default.
          stream
        }
      }
    })
  }

/**
 * Older servers reject a level of `think` for all models except gpt-oss, whereas newer ones take it for "on". The message does
 * not contain the model, so requests to gpt-oss, which has levels, stay unchanged.
 */
export const dropUnsupportedField = (request: WireRequest, message: string): WireRequest | undefined => {
  const { model, think } = request.body
  return typeof think === "string" && /think value|invalid think/i.test(message) && !/gpt-?oss/i.test(String(model))
    ? { ...request, body: { ...request.body, think: true } }
    : undefined
}
