/** The other side of Chat Completions: a server reads requests and writes answers. OpenAI, API reference: chat. */
import { Either, ParseResult } from "effect"
import type { ChatRequest, ChatResponse, FinishReason, ToolCall } from "../../Chat.js"
import * as Chat from "../../Chat.js"
import type { ChatEvent } from "../../ChatEvent.js"
import type { Usage } from "../../Usage.js"
import type { Json } from "../json.js"
import { array, isRecord, record, records, string } from "../json.js"
import type { Frame, StreamEncoder, WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { readCall, readContent, readDetail, toolCallOf } from "./response.js"

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const readPart = (part: Json): unknown => {
  switch (part["type"]) {
    case "image_url": {
      const image = record(part, "image_url") ?? {}
      return { type: "image", url: image["url"], ...present({ detail: image["detail"] }) }
    }
    case "input_audio": {
      const audio = record(part, "input_audio") ?? {}
      return { type: "audio", url: `data:audio/${string(audio, "format") ?? ""};base64,${string(audio, "data") ?? ""}` }
    }
    case "file": {
      const file = record(part, "file") ?? {}
      return {
        type: "file",
        ...present({ url: file["file_data"], fileId: file["file_id"], filename: file["filename"] })
      }
    }
    default:
      return part
  }
}

/** The fields that are there. */
const present = (fields: Json): Json =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))

const readParts = (content: unknown): unknown =>
  Array.isArray(content) ? content.map((part: unknown) => (isRecord(part) ? readPart(part) : part)) : content

const readCalls = (message: Json): ReadonlyArray<ToolCall> =>
  records(message, "tool_calls").map((call, index) => toolCallOf(index, readCall(call)))

const readAssistant = (message: Json): unknown => {
  const { signature, text, thinking } = readContent(message)
  const plain = string(message, "reasoning_content") || thinking
  const thoughts = [
    ...(plain === "" ? [] : [{ type: "reasoning", text: plain, ...present({ signature }) }]),
    ...records(message, "reasoning_details").map((detail) => {
      const { provider: _, ...part } = readDetail(detail, "")
      return part
    })
  ]
  const toolCalls = readCalls(message)
  return {
    role: "assistant",
    content: thoughts.length === 0 ? text : [...thoughts, ...(text === "" ? [] : [Chat.text(text)])],
    ...(toolCalls.length === 0 ? {} : { toolCalls })
  }
}

const readMessage = (message: unknown): unknown => {
  if (!isRecord(message)) return message
  switch (message["role"]) {
    case "assistant":
      return readAssistant(message)
    case "tool":
      return { role: "tool", toolCallId: message["tool_call_id"], content: readParts(message["content"]) }
    case "user":
      return { role: "user", content: readParts(message["content"]), ...present({ name: message["name"] }) }
    default:
      return present({ role: message["role"], content: message["content"] })
  }
}

const readTool = (tool: Json): unknown => {
  const definition = record(tool, "function") ?? {}
  return present({
    name: definition["name"],
    description: definition["description"],
    parameters: definition["parameters"],
    strict: definition["strict"]
  })
}

const isFunction = (tool: unknown): tool is Json => isRecord(tool) && tool["type"] === "function"

const readToolChoice = (choice: unknown): unknown => {
  if (choice === "any") return "required"
  return isRecord(choice) ? { name: (record(choice, "function") ?? choice)["name"] } : choice
}

const readFormat = (format: unknown): unknown => {
  if (!isRecord(format)) return format
  if (format["type"] === "json_schema") return format["json_schema"]
  return format["type"] === "json_object" ? "json" : format["type"]
}

const readReasoning = (body: Json): unknown => {
  const wanted = record(body, "reasoning")
  const thinking = record(body, "thinking")
  const reasoning = present({
    effort: body["reasoning_effort"] ?? wanted?.["effort"],
    budgetTokens: wanted?.["max_tokens"] ?? thinking?.["budget_tokens"]
  })
  return Object.keys(reasoning).length === 0 ? undefined : reasoning
}

/** The fields that the vocabulary has words for. All others go through as they are. */
const known: ReadonlySet<string> = new Set([
  "messages",
  "model",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "response_format",
  "temperature",
  "top_p",
  "max_tokens",
  "max_completion_tokens",
  "stop",
  "seed",
  "random_seed",
  "reasoning",
  "reasoning_effort",
  "thinking",
  "user",
  "metadata",
  "stream",
  "stream_options"
])

const validate = ParseResult.validateEither(Chat.ChatRequest)

/** The wire's own words for what stands at a path of the vocabulary, as far as they differ. */
const wireWords: Readonly<Record<string, string>> = {
  toolCallId: "tool_call_id",
  toolCalls: "tool_calls",
  toolChoice: "tool_choice",
  parallelToolCalls: "parallel_tool_calls",
  responseFormat: "response_format",
  topP: "top_p",
  maxTokens: "max_tokens"
}

const wirePath = (path: ReadonlyArray<PropertyKey>): string =>
  path
    .map((step, index) =>
      typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${wireWords[String(step)] ?? String(step)}`
    )
    .join("")

export const decodeRequest = (
  body: unknown
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const tools = array(body, "tools") ?? []
  const stop = body["stop"]
  const others = tools.filter((tool) => !isFunction(tool))
  const unknownFields = Object.entries(body).filter(([field, value]) => !known.has(field) && value !== null)
  const extra = { ...Object.fromEntries(unknownFields), ...(others.length === 0 ? {} : { tools: others }) }
  const candidate: unknown = {
    messages: array(body, "messages")?.map(readMessage) ?? body["messages"],
    ...present({
      model: body["model"],
      tools: tools.some(isFunction) ? tools.filter(isFunction).map(readTool) : undefined,
      toolChoice: readToolChoice(body["tool_choice"]),
      parallelToolCalls: body["parallel_tool_calls"],
      responseFormat: readFormat(body["response_format"]),
      temperature: body["temperature"],
      topP: body["top_p"],
      maxTokens: body["max_completion_tokens"] ?? body["max_tokens"],
      stop: typeof stop === "string" ? [stop] : stop,
      seed: body["seed"] ?? body["random_seed"],
      reasoning: readReasoning(body),
      user: body["user"],
      metadata: body["metadata"],
      extra: Object.keys(extra).length === 0 ? undefined : extra
    })
  }
  return Either.mapBoth(validate(candidate), {
    onLeft: (issue) => {
      const [fault] = ParseResult.ArrayFormatter.formatIssueSync(issue)
      return malformed(wirePath(fault?.path ?? []), fault?.message ?? "")
    },
    onRight: (request) => ({ request, stream: body["stream"] === true })
  })
}

// -------------------------------------------------------------------------------------
// answers
// -------------------------------------------------------------------------------------

const finishReasons: Readonly<Record<FinishReason, string>> = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter",
  other: "stop"
}

const usageOf = (usage: Usage): Json => ({
  prompt_tokens: usage.inputTokens,
  completion_tokens: usage.outputTokens,
  total_tokens: usage.totalTokens,
  prompt_tokens_details: { cached_tokens: usage.cachedInputTokens, cache_write_tokens: usage.cacheWriteTokens },
  completion_tokens_details: { reasoning_tokens: usage.reasoningTokens }
})

const callOf = (call: ToolCall): Json =>
  call.type === "custom"
    ? { id: call.id, type: "custom", custom: { name: call.name, input: call.arguments } }
    : { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }

export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { annotations, audio, choices, logprobs, ...rest } = response.providerMetadata
  return {
    id: response.id,
    object: "chat.completion",
    created: 0,
    model: response.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: response.text === "" && response.toolCalls.length > 0 ? null : response.text,
          refusal: response.refusal === "" ? null : response.refusal,
          ...(response.reasoning === "" ? {} : { reasoning_content: response.reasoning }),
          ...(response.toolCalls.length === 0 ? {} : { tool_calls: response.toolCalls.map(callOf) }),
          ...present({ annotations, audio })
        },
        ...present({ logprobs }),
        finish_reason: response.rawFinishReason || finishReasons[response.finishReason]
      },
      ...(Array.isArray(choices) ? choices : [])
    ],
    ...rest,
    ...(response.usage.estimated ? {} : { usage: usageOf(response.usage) })
  }
}

/** The chunks that say what the events say: `request` tells whether the client wants the usage. */
export const encodeStream = (request: Json): StreamEncoder => {
  const wantsUsage = (record(request, "stream_options") ?? {})["include_usage"] === true
  const named = new Set<number>()
  let head: Json = {}
  let begun = false

  const frame = (body: Json): Frame => ({ data: JSON.stringify({ ...head, ...body }) })

  const chunk = (delta: Json, finish: string | null = null): Frame => {
    const first = begun ? {} : { role: "assistant", content: "" }
    begun = true
    return frame({ choices: [{ index: 0, delta: { ...first, ...delta }, finish_reason: finish }] })
  }

  return {
    push: (event: ChatEvent): ReadonlyArray<Frame> => {
      switch (event._tag) {
        case "Start":
          head = { id: event.id, object: "chat.completion.chunk", created: 0, model: event.model }
          return [chunk({})]
        case "TextDelta":
          return [chunk({ content: event.text })]
        case "ReasoningDelta":
          return event.text === "" ? [] : [chunk({ reasoning_content: event.text })]
        case "RefusalDelta":
          return [chunk({ refusal: event.text })]
        case "ToolCallDelta": {
          const isFirst = !named.has(event.index)
          named.add(event.index)
          const call = { name: event.name, arguments: event.argumentsDelta }
          return [
            chunk({
              tool_calls: [
                isFirst
                  ? { index: event.index, id: event.id, type: "function", function: call }
                  : { index: event.index, function: { arguments: event.argumentsDelta } }
              ]
            })
          ]
        }
        case "ToolCallEnd":
          return []
        case "Finish":
          return [
            chunk({}, event.rawReason || finishReasons[event.reason]),
            ...(wantsUsage ? [frame({ choices: [], usage: usageOf(event.usage) })] : []),
            { data: "[DONE]" }
          ]
      }
    }
  }
}

export const encodeError = (error: {
  readonly status: number
  readonly message: string
  readonly code?: string
  readonly type?: string
}): Record<string, unknown> => ({
  error: {
    message: error.message,
    type: error.type ?? (error.status >= 500 ? "server_error" : "invalid_request_error"),
    param: null,
    code: error.code ?? null
  }
})
