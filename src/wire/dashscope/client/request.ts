/** Encodes requests. alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope */
import { Either } from "effect"
import type {
  AssistantMessage,
  CacheControl,
  ChatRequest,
  FilePart,
  Message,
  ProviderPart,
  Reasoning,
  ResponseFormat,
  TextPart,
  ToolChoice,
  ToolDefinition,
  UserPart
} from "../../../vocabulary/Chat.js"
import { reasoningOf, text, textOf, toolCallsOf } from "../../../vocabulary/Chat.js"
import { encodePlainCall } from "../../chatCompletions/toolCalls.js"
import type { Json } from "../../json.js"
import { isRecord } from "../../json.js"
import { budgetOf } from "../../effort.js"
import { unsupportedPart } from "../../native.js"
import { optional, unsupported } from "../../requestFields.js"
import { isWrittenAsText } from "../../textField.js"
import { encodeSampling, protocolFields, samplingFault } from "../../sampling.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"

type Encoded<A> = Either.Either<A, WireFailure>

type Service = NonNullable<Dialect["service"]>

// -------------------------------------------------------------------------------------
// service
// -------------------------------------------------------------------------------------

/**
 * Names of models with image or audio input: those that contain the modality, and families that all have it ("Visual
 * understanding" and "Visual reasoning" in the documentation of Model Studio).
 */
const multimodalModels =
  /(?:^|[/-])(?:qvq|vl|ocr|audio|asr|omni)(?:$|[-.\d])|(?:^|\/)(?:qwen3\.[5-9]-(?!max)|kimi-k2\.[5-9])/i

const hasMedia = (message: Message): boolean =>
  typeof message.content !== "string" &&
  message.content.some((part) => part.type === "image" || part.type === "audio" || part.type === "file")

const serviceOf = (request: ChatRequest, model: string, dialect: Dialect): Service =>
  dialect.service ??
  (multimodalModels.test(model) || request.messages.some(hasMedia) ? "multimodal-generation" : "text-generation")

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

/** alibabacloud.com/help/en/model-studio/context-cache: always five minutes, so `ttl` is not sent. */
const cacheControlField = (cacheControl: CacheControl | undefined): Json =>
  cacheControl === undefined ? {} : { cache_control: { type: "ephemeral" } }

const video = /^data:video\/|^https?:[^?#]*\.(?:mp4|m4v|mov|avi|mkv|webm|flv|wmv)(?:[?#]|$)/i

/** Only videos are supported, recognised by media type or file extension; documents need other services. */
const encodeFile = (part: FilePart): Encoded<Json> => {
  if (part.fileId !== undefined) return unsupported("file by id")
  return part.url !== undefined && video.test(part.url) ? Either.right({ video: part.url }) : unsupported("file input")
}

const encodePart = (part: Exclude<UserPart, ProviderPart>): Encoded<Json> => {
  switch (part.type) {
    case "text":
      return Either.right({ text: part.text, ...cacheControlField(part.cacheControl) })
    case "image":
      return Either.right({ image: part.url, ...cacheControlField(part.cacheControl) })
    case "audio":
      return Either.right({ audio: part.url })
    case "file":
      return encodeFile(part)
  }
}

const hasCacheControl = (part: UserPart): boolean => part.type === "text" && part.cacheControl !== undefined

/** Parts in the multimodal service. A string in the text service, unless a part has cache control. */
const encodeContent = (content: string | ReadonlyArray<UserPart>, service: Service): Encoded<unknown> => {
  if (typeof content === "string" && service === "text-generation") return Either.right(content)
  // Parts of other protocols that an answer contained are left out. The others are Unsupported (`unsupportedPart`).
  const parts = typeof content === "string" ? [text(content)] : content.filter((part) => part.type !== "provider")
  return Either.map(Either.all(parts.map(encodePart)), (encoded) => {
    if (service === "multimodal-generation") return encoded
    return parts.some(hasCacheControl)
      ? encoded.map((part) => ("text" in part ? { type: "text", ...part } : part))
      : textOf(parts)
  })
}

/** The texts of a message; a refusal is written as one, since the protocol has no field for it. */
const textsOf = (content: AssistantMessage["content"]): string | ReadonlyArray<TextPart> => {
  if (typeof content === "string") return content
  const texts = content.filter(isWrittenAsText).map((part) => (part.type === "text" ? part : text(part.text)))
  return texts.length === 0 ? "" : texts
}

/** A message has one content, one reasoning and one list of calls: the order of the parts is kept within each of them. */
const encodeAssistant = ({ content }: AssistantMessage, service: Service): Encoded<Json> => {
  const calls = toolCallsOf(content)
  if (calls.some((call) => call.custom === true)) return unsupported("custom tool calls")
  const reasoning = reasoningOf(content)
  return Either.map(encodeContent(textsOf(content), service), (encoded) => ({
    role: "assistant",
    content: encoded,
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call, index) => ({ ...encodePlainCall(call), index })) })
  }))
}

const encodeMessage = (message: Message, service: Service): Encoded<Json> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.map(encodeContent(message.content, service), (encoded) => ({ role: "system", content: encoded }))
    case "user":
      return message.name === undefined
        ? Either.map(encodeContent(message.content, service), (encoded) => ({ role: "user", content: encoded }))
        : unsupported("name of a user message")
    case "assistant":
      return encodeAssistant(message, service)
    case "tool":
      return Either.map(encodeContent(message.content, service), (encoded) => ({
        role: "tool",
        content: encoded,
        tool_call_id: message.toolCallId
      }))
  }
}

// -------------------------------------------------------------------------------------
// parameters
// -------------------------------------------------------------------------------------

const encodeTool = (definition: ToolDefinition): Json => ({
  type: "function",
  function: {
    name: definition.name,
    ...optional("description", definition.description),
    parameters: definition.parameters ?? { type: "object", properties: {} }
  }
})

const encodeToolChoice = (choice: ToolChoice | undefined): unknown =>
  typeof choice === "object" ? { type: "function", function: { name: choice.name } } : choice

const encodeFormat = (format: ResponseFormat): Json => {
  if (format === "text") return { type: "text" }
  return format === "json" ? { type: "json_object" } : { type: "json_schema", json_schema: { ...format } }
}

/** alibabacloud.com/help/en/model-studio/deep-thinking: on or off, and a token budget. An effort is its budget. */
const encodeReasoning = (reasoning: Reasoning): Json => {
  const budget = budgetOf(reasoning)
  if (reasoning.effort === "none" || budget === 0) return { enable_thinking: false }
  if (budget === undefined && reasoning.summary !== undefined) return {}
  return { enable_thinking: true, ...optional("thinking_budget", budget) }
}

/** A temperature below 2, and at most five alternatives of a token. */
const limits = { sampling: protocolFields.dashscope, maxTemperature: 2, maxLogprobs: 5 }

const encodeParameters = (request: ChatRequest, stream: boolean, dialect: Dialect): Json => {
  const { stream: _, tools: extraTools, ...extra } = request.extra ?? {}
  const requestTools = (request.tools ?? []).map(encodeTool)
  const tools: ReadonlyArray<unknown> = Array.isArray(extraTools) ? [...requestTools, ...extraTools] : requestTools
  return {
    result_format: "message",
    ...(stream && dialect.incremental ? { incremental_output: true } : {}),
    ...(tools.length === 0 ? {} : { tools }),
    ...optional("tool_choice", encodeToolChoice(request.toolChoice)),
    ...optional("parallel_tool_calls", request.parallelToolCalls),
    ...(request.responseFormat === undefined ? {} : { response_format: encodeFormat(request.responseFormat) }),
    ...optional("temperature", request.temperature),
    ...optional("top_p", request.topP),
    ...encodeSampling(request, limits),
    ...optional("max_tokens", request.maxTokens),
    ...(request.stop === undefined || request.stop.length === 0 ? {} : { stop: request.stop }),
    ...optional("seed", request.seed),
    ...(request.reasoning === undefined ? {} : encodeReasoning(request.reasoning)),
    ...extra
  }
}

/** The header that requests a stream. */
const streamHeaders = { "x-dashscope-sse": "enable" } as const

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { model: defaultModel, stream }: Peer & { readonly stream: boolean }
  ): Encoded<WireRequest> => {
    if (request.toolChoice === "required") return unsupported("tool choice required")
    const feature = unsupportedPart(request)
    if (feature !== undefined) return unsupported(feature)
    const fault = samplingFault(request, limits)
    if (fault !== undefined) return Either.left(fault)
    const model = request.model ?? defaultModel
    const service = serviceOf(request, model, dialect)
    return Either.map(
      Either.all(request.messages.map((message) => encodeMessage(message, service))),
      (messages): WireRequest => ({
        path: `/services/aigc/${service}/generation`,
        ...(stream ? { headers: streamHeaders } : {}),
        body: { model, input: { messages }, parameters: encodeParameters(request, stream, dialect) }
      })
    )
  }

/**
 * The open Qwen3 models reason by default but reject that without streaming ("parameter.enable_thinking must be set to false for
 * non-streaming calls"). A request that asks for reasoning keeps its error.
 */
export const dropUnsupportedField = (request: WireRequest, message: string): WireRequest | undefined => {
  const { parameters } = request.body
  return /enable_thinking.{0,40}non-streaming/i.test(message) &&
    request.headers === undefined &&
    isRecord(parameters) &&
    parameters["enable_thinking"] === undefined
    ? { ...request, body: { ...request.body, parameters: { ...parameters, enable_thinking: false } } }
    : undefined
}
