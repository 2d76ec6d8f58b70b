/** A question as Chat Completions writes it. OpenAI, API reference: chat/create. */
import { Array as Arr, Either } from "effect"
import type {
  AssistantMessage,
  ChatRequest,
  FilePart,
  Message,
  Reasoning,
  ReasoningPart,
  ToolCall,
  ToolDefinition,
  ToolMessage,
  UserPart
} from "../../Chat.js"
import { textOf } from "../../Chat.js"
import type { Json } from "../json.js"
import { isRecord } from "../json.js"
import type { Peer, WireFailure, WireRequest } from "../Wire.js"
import { encodeCall } from "./calls.js"
import type { Dialect } from "./dialect.js"
import { callMark, encodeDetail } from "./thoughts.js"

/** A field under the protocol's name, where there is a value. */
const named = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

const unsupported = (feature: string): Either.Either<never, WireFailure> =>
  Either.left({ _tag: "Unsupported", feature })

/** `data:audio/wav;base64,…` as its format and its bytes. */
const dataUrl = /^data:[^/;,]+\/([^;,]+)[^,]*;base64,(.*)$/is

/** OpenAI knows `wav` and `mp3`; the media types of both have other names too. */
const audioFormats: Readonly<Record<string, string>> = { mpeg: "mp3", "x-wav": "wav", wave: "wav", "vnd.wave": "wav" }

const filePart = (part: FilePart): Either.Either<Json, WireFailure> => {
  if (part.fileId !== undefined) {
    return Either.right({ type: "file", file: { file_id: part.fileId, ...named("filename", part.filename) } })
  }
  return part.url !== undefined && /^data:/i.test(part.url)
    ? Either.right({ type: "file", file: { filename: part.filename ?? "file", file_data: part.url } })
    : unsupported("file by URL")
}

const userPart = (part: UserPart): Either.Either<Json, WireFailure> => {
  switch (part.type) {
    case "text":
      return Either.right({ type: "text", text: part.text })
    case "image":
      return Either.right({ type: "image_url", image_url: { url: part.url, ...named("detail", part.detail) } })
    case "audio": {
      const [, format, data] = dataUrl.exec(part.url) ?? []
      if (format === undefined || data === undefined) {
        return unsupported(/^data:/i.test(part.url) ? "audio in another form than base64" : "audio by URL")
      }
      const known = audioFormats[format.toLowerCase()] ?? format.toLowerCase()
      return Either.right({ type: "input_audio", input_audio: { data, format: known } })
    }
    case "file":
      return filePart(part)
  }
}

const thinkingPart = (part: ReasoningPart): Json => ({
  type: "thinking",
  thinking: [{ type: "text", text: part.text }],
  ...named("signature", part.signature)
})

/** The thoughts as this provider may see them: of others' only the text, since the rest means nothing to it. */
const visible = (thoughts: ReadonlyArray<ReasoningPart>, peer: Peer): ReadonlyArray<ReasoningPart> =>
  thoughts
    .map((part): ReasoningPart => (part.provider === peer.provider ? part : { type: "reasoning", text: part.text }))
    .filter((part) => part.text !== "" || part.signature !== undefined)

const isThought = (part: { readonly type: string }): part is ReasoningPart => part.type === "reasoning"

/** The thoughts as a part of the message, under the dialect's name for them. */
const history = (parts: ReadonlyArray<ReasoningPart>, peer: Peer, dialect: Dialect): Json => {
  switch (dialect.history) {
    case "reasoning_content": {
      const text = parts.map((part) => part.text).join("")
      return text === "" ? {} : { reasoning_content: text }
    }
    case "reasoning_details": {
      const own = visible(
        parts.filter((part) => part.provider === peer.provider),
        peer
      )
      return own.length === 0 ? {} : { reasoning_details: own.map(encodeDetail) }
    }
    default:
      return {}
  }
}

/** A call with what must go back with it. Gemini, "OpenAI compatibility": thought signatures. */
const signedCall = (call: ToolCall, marks: ReadonlyArray<ReasoningPart>): Json => {
  const signature = marks.find((mark) => mark.id === call.id)?.signature
  return {
    ...encodeCall(call),
    ...(signature === undefined ? {} : { extra_content: { google: { thought_signature: signature } } })
  }
}

const assistant = (message: AssistantMessage, peer: Peer, dialect: Dialect): Json => {
  const [thoughts, marks] = Arr.partition(
    typeof message.content === "string" ? [] : message.content.filter(isThought),
    (part) => part.format === callMark && part.provider === peer.provider
  )
  const text = textOf(message.content)
  const calls = message.toolCalls ?? []
  const thinking = dialect.history === "thinking-parts" ? visible(thoughts, peer) : []
  const spoken = text === "" && calls.length > 0 ? null : text
  return {
    role: "assistant",
    content:
      thinking.length === 0
        ? spoken
        : [...thinking.map(thinkingPart), ...(text === "" ? [] : [{ type: "text", text }])],
    ...history(thoughts, peer, dialect),
    ...(calls.length > 0 ? { tool_calls: calls.map((call) => signedCall(call, marks)) } : {})
  }
}

const content = (parts: string | ReadonlyArray<UserPart>): Either.Either<string | ReadonlyArray<Json>, WireFailure> =>
  typeof parts === "string" ? Either.right(parts) : Either.all(parts.map(userPart))

const toolMessage = (message: ToolMessage): Either.Either<Json, WireFailure> =>
  Either.map(content(message.content), (content) => ({ role: "tool", tool_call_id: message.toolCallId, content }))

const message = (message: Message, peer: Peer, dialect: Dialect): Either.Either<Json, WireFailure> => {
  switch (message.role) {
    case "system":
      return Either.right({ role: "system", content: message.content })
    case "developer":
      return Either.right({ role: dialect.developerRole, content: message.content })
    case "user":
      return Either.map(content(message.content), (content) => ({
        role: "user",
        content,
        ...named("name", message.name)
      }))
    case "assistant":
      return Either.right(assistant(message, peer, dialect))
    case "tool":
      return toolMessage(message)
  }
}

const tool = (definition: ToolDefinition): Json => ({
  type: "function",
  function: {
    name: definition.name,
    ...named("description", definition.description),
    parameters: definition.parameters ?? { type: "object", properties: {} },
    ...named("strict", definition.strict)
  }
})

const toolChoice = (choice: NonNullable<ChatRequest["toolChoice"]>, dialect: Dialect): unknown =>
  typeof choice === "object"
    ? { type: "function", function: { name: choice.name } }
    : choice === "required"
      ? dialect.toolChoiceRequired
      : choice

const responseFormat = (format: NonNullable<ChatRequest["responseFormat"]>): Json => {
  if (format === "text") return { type: "text" }
  if (format === "json") return { type: "json_object" }
  return { type: "json_schema", json_schema: { ...format } }
}

/** Only what asks for thinking; a wish for a summary alone has no word here. */
const reasoning = ({ budgetTokens, effort, summary }: Reasoning, dialect: Dialect): Json => {
  if (effort === undefined && budgetTokens === undefined && summary !== undefined) return {}
  switch (dialect.reasoning) {
    case "effort":
      return named("reasoning_effort", effort)
    case "object":
      return {
        reasoning:
          budgetTokens !== undefined && effort !== "none"
            ? { max_tokens: budgetTokens }
            : effort === undefined
              ? { enabled: true }
              : { effort }
      }
    case "thinking":
      return effort === "none" || budgetTokens === 0
        ? { thinking: { type: "disabled" } }
        : {
            thinking: { type: "enabled", ...named("budget_tokens", budgetTokens) },
            ...named("reasoning_effort", effort)
          }
    case "enable_thinking":
      return effort === "none" || budgetTokens === 0
        ? { enable_thinking: false }
        : { enable_thinking: true, ...named("thinking_budget", budgetTokens) }
    case "none":
      return {}
  }
}

/** The question for usage, whatever else is wished of the stream. Outside of streams servers refuse the field. */
const streamOptions = (wished: unknown, stream: boolean, dialect: Dialect): Json => {
  if (!stream) return {}
  const options = {
    ...(dialect.streamUsage ? { include_usage: true } : {}),
    ...(isRecord(wished) ? wished : {})
  }
  return Object.keys(options).length === 0 ? {} : { stream_options: options }
}

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { model: fallback, provider, stream }: Peer & { readonly stream: boolean }
  ): Either.Either<WireRequest, WireFailure> => {
    if (typeof request.responseFormat === "object" && !dialect.jsonSchema) return unsupported("JSON Schema output")
    const model = request.model ?? fallback
    const peer = { provider, model }
    return Either.map(Either.all(request.messages.map((each) => message(each, peer, dialect))), (messages) => {
      const { stream: _, stream_options: wished, tools: furtherTools, ...extra } = request.extra ?? {}
      const tools = Arr.appendAll((request.tools ?? []).map(tool), Array.isArray(furtherTools) ? furtherTools : [])
      return {
        path: dialect.path.replace("{model}", encodeURIComponent(model)),
        body: {
          model,
          messages,
          ...(tools.length > 0 ? { tools } : {}),
          ...(request.toolChoice === undefined ? {} : { tool_choice: toolChoice(request.toolChoice, dialect) }),
          ...named("parallel_tool_calls", request.parallelToolCalls),
          ...(request.responseFormat === undefined ? {} : { response_format: responseFormat(request.responseFormat) }),
          ...named("temperature", request.temperature),
          ...named("top_p", request.topP),
          ...named(dialect.maxTokensField, request.maxTokens),
          ...(request.stop !== undefined && request.stop.length > 0 ? { stop: request.stop } : {}),
          ...named(dialect.seedField, request.seed),
          ...(request.reasoning === undefined ? {} : reasoning(request.reasoning, dialect)),
          ...named("user", request.user),
          ...named("metadata", request.metadata),
          ...extra,
          ...(stream ? { stream: true } : {}),
          ...streamOptions(wished, stream, dialect)
        }
      }
    })
  }

/**
 * Servers older than `stream_options` complain of it by name. Model Studio's open Qwen3 think unless told otherwise, but not
 * in a whole answer: asked for one, they want to be told ("parameter.enable_thinking must be set to false for non-streaming
 * calls").
 */
export const withoutRefused = (request: WireRequest, complaint: string): WireRequest | undefined => {
  if (/enable_thinking.{0,40}non-streaming/i.test(complaint)) {
    return request.body["stream"] === true || request.body["enable_thinking"] !== undefined
      ? undefined
      : { ...request, body: { ...request.body, enable_thinking: false } }
  }
  if (!("stream_options" in request.body) || !/stream_options|include_usage/i.test(complaint)) return undefined
  const { stream_options: _, ...body } = request.body
  return { ...request, body }
}
