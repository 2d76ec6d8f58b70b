/** Encodes requests. alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope */
import { Either } from "effect"
import type {
  AssistantMessage,
  CacheControl,
  ChatRequest,
  FilePart,
  Message,
  Reasoning,
  ResponseFormat,
  ToolChoice,
  ToolDefinition,
  UserPart
} from "../../../vocabulary/Chat.js"
import { text, textOf } from "../../../vocabulary/Chat.js"
import { plainCall } from "../../chatCompletions/toolCalls.js"
import type { Json } from "../../json.js"
import { isRecord } from "../../json.js"
import { foreignPart, unsupportedPart } from "../../native.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"

type Encoded<A> = Either.Either<A, WireFailure>

type Service = NonNullable<Dialect["service"]>

const named = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

const unsupported = (feature: string): Encoded<never> => Either.left({ _tag: "Unsupported", feature })

// -------------------------------------------------------------------------------------
// service
// -------------------------------------------------------------------------------------

/**
 * Names of models with image or audio input: those that contain the modality, and families that all have it ("Visual understanding"
 * and "Visual reasoning" in the documentation of Model Studio).
 */
const seeing = /(?:^|[/-])(?:qvq|vl|ocr|audio|asr|omni)(?:$|[-.\d])|(?:^|\/)(?:qwen3\.[5-9]-(?!max)|kimi-k2\.[5-9])/i

const holdsMedia = (message: Message): boolean =>
  typeof message.content !== "string" &&
  message.content.some((part) => part.type === "image" || part.type === "audio" || part.type === "file")

const serviceOf = (request: ChatRequest, model: string, dialect: Dialect): Service =>
  dialect.service ??
  (seeing.test(model) || request.messages.some(holdsMedia) ? "multimodal-generation" : "text-generation")

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

/** alibabacloud.com/help/en/model-studio/context-cache: always five minutes, so `ttl` is not sent. */
const mark = (cacheControl: CacheControl | undefined): Json =>
  cacheControl === undefined ? {} : { cache_control: { type: "ephemeral" } }

const film = /^data:video\/|^https?:[^?#]*\.(?:mp4|m4v|mov|avi|mkv|webm|flv|wmv)(?:[?#]|$)/i

/** Only videos are supported, recognised by media type or file extension; documents need other services. */
const filePart = (part: FilePart): Encoded<Json> => {
  if (part.fileId !== undefined) return unsupported("file by id")
  return part.url !== undefined && film.test(part.url) ? Either.right({ video: part.url }) : unsupported("file input")
}

const mediaPart = (part: UserPart): Encoded<Json> => {
  switch (part.type) {
    case "text":
      return Either.right({ text: part.text, ...mark(part.cacheControl) })
    case "image":
      return Either.right({ image: part.url, ...mark(part.cacheControl) })
    case "audio":
      return Either.right({ audio: part.url })
    case "file":
      return filePart(part)
    case "native":
      return unsupported(foreignPart)
  }
}

const isMarked = (part: UserPart): boolean => part.type === "text" && part.cacheControl !== undefined

/** Parts in the multimodal service. A string in the text service, unless a part has cache control. */
const content = (parts: string | ReadonlyArray<UserPart>, service: Service): Encoded<unknown> => {
  if (service === "multimodal-generation") {
    return Either.all((typeof parts === "string" ? [text(parts)] : parts).map(mediaPart))
  }
  if (typeof parts === "string") return Either.right(parts)
  return Either.map(Either.all(parts.map(mediaPart)), (encoded) =>
    parts.some(isMarked) ? encoded.map((part) => ("text" in part ? { type: "text", ...part } : part)) : textOf(parts)
  )
}

const assistant = (message: AssistantMessage, service: Service): Encoded<Json> => {
  const calls = message.toolCalls ?? []
  if (calls.some((call) => call.type === "custom")) return unsupported("custom tool calls")
  const thoughts =
    typeof message.content === "string"
      ? ""
      : message.content.map((part) => (part.type === "reasoning" ? part.text : "")).join("")
  const spoken =
    typeof message.content === "string" ? message.content : message.content.filter((part) => part.type === "text")
  return Either.map(content(spoken, service), (encoded) => ({
    role: "assistant",
    content: encoded,
    ...(thoughts === "" ? {} : { reasoning_content: thoughts }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call, index) => ({ ...plainCall(call), index })) })
  }))
}

const encodeMessage = (message: Message, service: Service): Encoded<Json> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.map(content(message.content, service), (encoded) => ({ role: "system", content: encoded }))
    case "user":
      return message.name === undefined
        ? Either.map(content(message.content, service), (encoded) => ({ role: "user", content: encoded }))
        : unsupported("name of a user message")
    case "assistant":
      return assistant(message, service)
    case "tool":
      return Either.map(content(message.content, service), (encoded) => ({
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
    ...named("description", definition.description),
    parameters: definition.parameters ?? { type: "object", properties: {} }
  }
})

const choice = (wanted: ToolChoice | undefined): unknown =>
  typeof wanted === "object" ? { type: "function", function: { name: wanted.name } } : wanted

const format = (wanted: ResponseFormat): Json => {
  if (wanted === "text") return { type: "text" }
  return wanted === "json" ? { type: "json_object" } : { type: "json_schema", json_schema: { ...wanted } }
}

/** alibabacloud.com/help/en/model-studio/deep-thinking: on or off, and a token budget. There are no levels of effort. */
const thinking = ({ budgetTokens, effort, summary }: Reasoning): Json => {
  if (effort === "none" || budgetTokens === 0) return { enable_thinking: false }
  if (effort === undefined && budgetTokens === undefined && summary !== undefined) return {}
  return { enable_thinking: true, ...named("thinking_budget", budgetTokens) }
}

const parameters = (request: ChatRequest, stream: boolean, dialect: Dialect): Json => {
  const { stream: _, tools: furtherTools, ...extra } = request.extra ?? {}
  const own = (request.tools ?? []).map(encodeTool)
  const tools: ReadonlyArray<unknown> = Array.isArray(furtherTools) ? [...own, ...furtherTools] : own
  return {
    result_format: "message",
    ...(stream && dialect.incremental ? { incremental_output: true } : {}),
    ...(tools.length === 0 ? {} : { tools }),
    ...named("tool_choice", choice(request.toolChoice)),
    ...named("parallel_tool_calls", request.parallelToolCalls),
    ...(request.responseFormat === undefined ? {} : { response_format: format(request.responseFormat) }),
    ...named("temperature", request.temperature),
    ...named("top_p", request.topP),
    ...named("max_tokens", request.maxTokens),
    ...(request.stop === undefined || request.stop.length === 0 ? {} : { stop: request.stop }),
    ...named("seed", request.seed),
    ...(request.reasoning === undefined ? {} : thinking(request.reasoning)),
    ...extra
  }
}

/** The header that requests a stream. */
export const streaming = { "x-dashscope-sse": "enable" } as const

export const encodeRequest =
  (dialect: Dialect) =>
  (request: ChatRequest, { model: fallback, stream }: Peer & { readonly stream: boolean }): Encoded<WireRequest> => {
    if (request.toolChoice === "required") return unsupported("tool choice required")
    const lacks = unsupportedPart(request)
    if (lacks !== undefined) return unsupported(lacks)
    const model = request.model ?? fallback
    const service = serviceOf(request, model, dialect)
    return Either.map(
      Either.all(request.messages.map((message) => encodeMessage(message, service))),
      (messages): WireRequest => ({
        path: `/services/aigc/${service}/generation`,
        ...(stream ? { headers: streaming } : {}),
        body: { model, input: { messages }, parameters: parameters(request, stream, dialect) }
      })
    )
  }

/**
 * The open Qwen3 models reason by default but reject that without streaming ("parameter.enable_thinking must be set to false for
 * non-streaming calls"). A request that asks for reasoning keeps its error.
 */
export const withoutRefused = (request: WireRequest, complaint: string): WireRequest | undefined => {
  const { parameters: settings } = request.body
  return /enable_thinking.{0,40}non-streaming/i.test(complaint) &&
    request.headers === undefined &&
    isRecord(settings) &&
    settings["enable_thinking"] === undefined
    ? { ...request, body: { ...request.body, parameters: { ...settings, enable_thinking: false } } }
    : undefined
}
