/** Decodes requests. alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import { decodeToolCalls } from "../../../wire/chatCompletions/toolCalls.js"
import type { Json } from "../../../wire/json.js"
import { array, isRecord, pick, nonEmpty, withoutNulls, record, records, string } from "../../../wire/json.js"
import type { FieldNames } from "../../../wire/decodedRequest.js"
import { fieldPath, pathBelow, validatedRequest } from "../../../wire/decodedRequest.js"
import type { Address, WireFailure } from "../../../wire/Wire.js"
import { malformed } from "../../../wire/Wire.js"
import { decodeLogprobs, unpairedTop } from "../../../wire/sampling.js"

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

const readPart = (part: unknown): unknown => {
  if (!isRecord(part)) return part
  const cacheControl = part["cache_control"] === undefined ? {} : { cacheControl: {} }
  if (part["image"] !== undefined) return { type: "image", url: part["image"], ...cacheControl }
  if (part["audio"] !== undefined) return { type: "audio", url: part["audio"] }
  if (part["video"] !== undefined) return { type: "file", url: part["video"] }
  return part["text"] === undefined ? part : { type: "text", text: part["text"], ...cacheControl }
}

/** Reads content. A single text without cache control becomes a string. */
const readContent = (content: unknown): unknown => {
  if (!Array.isArray(content)) return content ?? ""
  const parts: ReadonlyArray<unknown> = content.map(readPart)
  const [only] = parts
  return parts.length === 1 && isRecord(only) && only["type"] === "text" && only["cacheControl"] === undefined
    ? only["text"]
    : parts
}

const isCall = (call: unknown): boolean => isRecord(call) && Boolean(string(record(call, "function") ?? {}, "name"))

/** The calls of a message. Invalid ones stay among its parts, so that the validation reports them. */
const readCalls = (message: Json): ReadonlyArray<unknown> => {
  const calls: unknown = message["tool_calls"] ?? []
  if (!Array.isArray(calls)) return [{ type: "tool-call" }]
  return calls.every(isCall)
    ? decodeToolCalls(records(message, "tool_calls"))
    : calls.map((call: unknown) => ({ ...(isRecord(call) ? call : {}), type: "tool-call" }))
}

/** Reads the fields of a message in the order in which the model generates them: reasoning, content, calls. */
const readAssistant = (message: Json): unknown => {
  const thinking = string(message, "reasoning_content") ?? ""
  const content = readContent(message["content"])
  const calls = readCalls(message)
  const parts: unknown = typeof content !== "string" ? content : content === "" ? [] : [Chat.text(content)]
  return {
    role: "assistant",
    content:
      (thinking === "" && calls.length === 0) || !Array.isArray(parts)
        ? content
        : [...(thinking === "" ? [] : [{ type: "reasoning", text: thinking }]), ...parts, ...calls]
  }
}

const readMessage = (message: unknown): unknown => {
  if (!isRecord(message)) return message
  const content = readContent(message["content"])
  switch (message["role"]) {
    case "assistant":
      return readAssistant(message)
    case "tool":
      return { role: "tool", toolCallId: message["tool_call_id"], content }
    default:
      return { role: message["role"], content }
  }
}

/** Reads `messages`, or the `prompt` of older clients. */
const readMessages = (input: Json): unknown =>
  array(input, "messages")?.map(readMessage) ??
  (typeof input["prompt"] === "string" ? [Chat.user(input["prompt"])] : (input["messages"] ?? []))

// -------------------------------------------------------------------------------------
// parameters
// -------------------------------------------------------------------------------------

const isFunction = (tool: unknown): tool is Json => isRecord(tool) && record(tool, "function") !== undefined

const readTool = (tool: Json): Json => pick(record(tool, "function") ?? {}, ["name", "description", "parameters"])

const readChoice = (choice: unknown): unknown => {
  const definition = isRecord(choice) ? record(choice, "function") : undefined
  return definition === undefined ? choice : { name: definition["name"] }
}

const readFormat = (format: unknown): unknown => {
  if (!isRecord(format)) return format
  switch (format["type"]) {
    case "text":
      return "text"
    case "json_object":
      return "json"
    default:
      return withoutNulls(record(format, "json_schema") ?? {})
  }
}

const readThinking = (enabled: unknown, budget: unknown): unknown => {
  if (enabled === false) return { effort: "none" }
  return enabled === true || (budget !== undefined && budget !== null)
    ? withoutNulls({ budgetTokens: budget })
    : enabled
}

// -------------------------------------------------------------------------------------
// paths of failures
// -------------------------------------------------------------------------------------

const fieldNames: FieldNames = {
  maxTokens: "max_tokens",
  parallelToolCalls: "parallel_tool_calls",
  presencePenalty: "presence_penalty",
  reasoning: "enable_thinking",
  responseFormat: "response_format",
  toolCallId: "tool_call_id",
  toolCalls: "tool_calls",
  toolChoice: "tool_choice",
  topK: "top_k",
  topP: "top_p"
}

const wirePath = (path: ReadonlyArray<PropertyKey>): string => {
  const parent = path[0] === "messages" ? "input" : path[0] === "model" ? "" : "parameters"
  return `${parent}${pathBelow(path, fieldNames)}`.replace(/^\./, "")
}

/** Either of two headers requests a stream. */
const wantsStream = (headers: Address["headers"]): boolean =>
  headers["x-dashscope-sse"] === "enable" || String(headers["accept"] ?? "").includes("text/event-stream")

export const decodeRequest = (
  body: unknown,
  address?: Address
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const input = record(body, "input")
  if (input === undefined) return Either.left(malformed("input", body["input"] ?? null))
  const {
    enable_thinking: enabled,
    incremental_output: _,
    logprobs,
    max_tokens: maxTokens,
    parallel_tool_calls: parallelToolCalls,
    presence_penalty: presencePenalty,
    response_format: format,
    result_format: __,
    seed,
    stop,
    temperature,
    thinking_budget: budget,
    tool_choice: toolChoice,
    tools,
    top_k: topK,
    top_logprobs: topLogprobs,
    top_p: topP,
    ...otherParameters
  } = record(body, "parameters") ?? {}
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) {
    return Either.left(malformed("parameters.tools", tools))
  }
  const listed: ReadonlyArray<unknown> = Array.isArray(tools) ? tools : []
  const others = listed.filter((tool) => !isFunction(tool))
  const candidate = withoutNulls({
    model: body["model"],
    messages: readMessages(input),
    tools: others.length < listed.length ? listed.filter(isFunction).map(readTool) : undefined,
    toolChoice: readChoice(toolChoice),
    parallelToolCalls,
    responseFormat: readFormat(format),
    temperature,
    topP,
    topK,
    presencePenalty,
    logprobs: decodeLogprobs(logprobs, topLogprobs),
    maxTokens,
    stop: typeof stop === "string" ? [stop] : stop,
    seed,
    reasoning: readThinking(enabled, budget),
    extra: nonEmpty(
      withoutNulls({
        ...otherParameters,
        top_logprobs: unpairedTop(logprobs, topLogprobs),
        tools: others.length === 0 ? undefined : others
      })
    )
  })
  return validatedRequest(candidate, wantsStream(address?.headers ?? {}), (path, message) =>
    malformed(wirePath(fieldPath(candidate, path)), message)
  )
}
