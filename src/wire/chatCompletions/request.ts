/** A question as Chat Completions writes it. OpenAI, API reference: chat/create. */
import { Array as Arr, Either } from "effect"
import type {
  AssistantMessage,
  ChatRequest,
  FilePart,
  Message,
  ReasoningPart,
  ToolCall,
  ToolMessage,
  UserPart
} from "../../Chat.js"
import { textOf } from "../../Chat.js"
import type { Peer, WireFailure, WireRequest } from "../Wire.js"
import type { Dialect } from "./dialect.js"

type Json = Record<string, unknown>

const unsupported = (feature: string): Either.Either<never, WireFailure> =>
  Either.left({ _tag: "Unsupported", feature })

/** `data:audio/wav;base64,…` as its format and its bytes. */
const dataUrl = /^data:[^/;,]+\/([^;,]+)[^,]*,(.*)$/is

const audioFormats: Readonly<Record<string, string>> = { mpeg: "mp3", "x-wav": "wav", wave: "wav" }

const filePart = (part: FilePart): Either.Either<Json, WireFailure> => {
  if (part.fileId !== undefined) return Either.right({ type: "file", file: { file_id: part.fileId } })
  return part.url !== undefined && part.url.startsWith("data:")
    ? Either.right({ type: "file", file: { filename: part.filename ?? "file", file_data: part.url } })
    : unsupported("file by URL")
}

const userPart = (part: UserPart): Either.Either<Json, WireFailure> => {
  switch (part.type) {
    case "text":
      return Either.right({ type: "text", text: part.text })
    case "image":
      return Either.right({
        type: "image_url",
        image_url: { url: part.url, ...(part.detail === undefined ? {} : { detail: part.detail }) }
      })
    case "audio": {
      const [, format, data] = dataUrl.exec(part.url) ?? []
      return format === undefined || data === undefined
        ? unsupported("audio by URL")
        : Either.right({ type: "input_audio", input_audio: { data, format: audioFormats[format] ?? format } })
    }
    case "file":
      return filePart(part)
  }
}

const toolCall = (call: ToolCall): Json =>
  call.type === "custom"
    ? { id: call.id, type: "custom", custom: { name: call.name, input: call.arguments } }
    : { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }

/** OpenRouter, "Reasoning tokens": the details of the thoughts, as they were sent. */
const reasoningDetail = (part: ReasoningPart, index: number): Json => {
  const format = part.format ?? "reasoning.text"
  const content =
    format === "reasoning.encrypted"
      ? { data: part.signature ?? "" }
      : format === "reasoning.summary"
        ? { summary: part.text }
        : { text: part.text, ...(part.signature === undefined ? {} : { signature: part.signature }) }
  return { type: format, index, ...content, ...(part.id === undefined ? {} : { id: part.id }) }
}

const thinkingPart = (part: ReasoningPart): Json => ({
  type: "thinking",
  thinking: [{ type: "text", text: part.text }],
  ...(part.signature === undefined ? {} : { signature: part.signature })
})

const assistant = (message: AssistantMessage, peer: Peer, dialect: Dialect): Json => {
  const parts = typeof message.content === "string" ? [] : message.content
  const thoughts = parts.filter(
    (part): part is ReasoningPart => part.type === "reasoning" && part.provider === peer.provider
  )
  const text = textOf(message.content)
  const calls = message.toolCalls ?? []
  const spoken = text === "" && calls.length > 0 ? null : text
  return {
    role: "assistant",
    content:
      dialect.history === "thinking-parts" && thoughts.length > 0
        ? [...thoughts.map(thinkingPart), ...(text === "" ? [] : [{ type: "text", text }])]
        : spoken,
    ...(dialect.history === "reasoning_content" && thoughts.length > 0
      ? { reasoning_content: thoughts.map((part) => part.text).join("") }
      : {}),
    ...(dialect.history === "reasoning_details" && thoughts.length > 0
      ? { reasoning_details: thoughts.map(reasoningDetail) }
      : {}),
    ...(calls.length > 0 ? { tool_calls: calls.map(toolCall) } : {})
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
        ...(message.name === undefined ? {} : { name: message.name })
      }))
    case "assistant":
      return Either.right(assistant(message, peer, dialect))
    case "tool":
      return toolMessage(message)
  }
}

const tool = (definition: NonNullable<ChatRequest["tools"]>[number]): Json => ({
  type: "function",
  function: {
    name: definition.name,
    ...(definition.description === undefined ? {} : { description: definition.description }),
    parameters: definition.parameters ?? { type: "object", properties: {} },
    ...(definition.strict === undefined ? {} : { strict: definition.strict })
  }
})

const toolChoice = (choice: NonNullable<ChatRequest["toolChoice"]>, dialect: Dialect): unknown =>
  typeof choice === "object"
    ? { type: "function", function: { name: choice.name } }
    : choice === "required"
      ? dialect.toolChoiceRequired
      : choice

const responseFormat = (format: NonNullable<ChatRequest["responseFormat"]>, dialect: Dialect): Json => {
  if (format === "text") return { type: "text" }
  if (format === "json" || !dialect.jsonSchema) return { type: "json_object" }
  return { type: "json_schema", json_schema: { ...format } }
}

const reasoning = (wanted: NonNullable<ChatRequest["reasoning"]>, dialect: Dialect): Json => {
  const { budgetTokens, effort } = wanted
  switch (dialect.reasoning) {
    case "effort":
      return effort === undefined ? {} : { reasoning_effort: effort }
    case "object":
      return {
        reasoning: {
          ...(effort === undefined ? {} : { effort }),
          ...(budgetTokens === undefined ? {} : { max_tokens: budgetTokens })
        }
      }
    case "thinking":
      return {
        thinking: {
          type: effort === "none" || budgetTokens === 0 ? "disabled" : "enabled",
          ...(budgetTokens === undefined || budgetTokens === 0 ? {} : { budget_tokens: budgetTokens })
        }
      }
    case "none":
      return {}
  }
}

/** A field under the protocol's name, where the request has it. */
const named = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

export const encodeRequest =
  (dialect: Dialect) =>
  (request: ChatRequest, options: Peer & { readonly stream: boolean }): Either.Either<WireRequest, WireFailure> =>
    Either.map(Either.all(request.messages.map((each) => message(each, options, dialect))), (messages) => {
      const { tools: extraTools, ...extra } = request.extra ?? {}
      const tools = Arr.appendAll((request.tools ?? []).map(tool), Array.isArray(extraTools) ? extraTools : [])
      return {
        path: dialect.path.replace("{model}", encodeURIComponent(options.model)),
        body: {
          model: options.model,
          messages,
          ...(tools.length > 0 ? { tools } : {}),
          ...(request.toolChoice === undefined ? {} : { tool_choice: toolChoice(request.toolChoice, dialect) }),
          ...named("parallel_tool_calls", request.parallelToolCalls),
          ...(request.responseFormat === undefined
            ? {}
            : { response_format: responseFormat(request.responseFormat, dialect) }),
          ...named("temperature", request.temperature),
          ...named("top_p", request.topP),
          ...named(dialect.maxTokensField, request.maxTokens),
          ...named("stop", request.stop),
          ...named(dialect.seedField, request.seed),
          ...(request.reasoning === undefined ? {} : reasoning(request.reasoning, dialect)),
          ...named("user", request.user),
          ...named("metadata", request.metadata),
          ...(options.stream ? { stream: true } : {}),
          ...(options.stream && dialect.streamUsage ? { stream_options: { include_usage: true } } : {}),
          ...extra
        }
      }
    })

/** Servers older than the option complain of it by name. */
export const withoutRefused = (request: WireRequest, complaint: string): WireRequest | undefined => {
  if (!("stream_options" in request.body) || !/stream_options|include_usage/i.test(complaint)) return undefined
  const { stream_options: _, ...body } = request.body
  return { ...request, body }
}
