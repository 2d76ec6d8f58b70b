/** Decodes requests. OpenAI, API reference: chat/create. */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { array, ifUnknownFields, isRecord, nonEmpty, withoutNulls, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { FieldNames } from "../../decodedRequest.js"
import { validatedRequest, pathBelow, valueAt } from "../../decodedRequest.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { decodeLogprobs, unpairedTop } from "../../sampling.js"
import { native } from "../native.js"
import { withTools } from "./functions.js"
import { entryIndex, invalidCalls, readMessage } from "./messages.js"

// -------------------------------------------------------------------------------------
// settings
// -------------------------------------------------------------------------------------

const isFunction = (tool: unknown): tool is Json => isRecord(tool) && tool["type"] === "function"

const definitionFields = knownFields(["type"], { function: ["name", "description", "parameters", "strict"] })

const readTool = (tool: Json): unknown => {
  const definition = record(tool, "function") ?? {}
  return {
    name: definition["name"],
    ...withoutNulls({
      description: definition["description"],
      parameters: definition["parameters"],
      strict: definition["strict"]
    }),
    ...native.decode(tool, definitionFields)
  }
}

/** A decoded field: its value in the vocabulary, and the unchanged field for `extra` when the vocabulary does not cover it. */
interface Decoded {
  readonly value?: unknown
  readonly extra?: unknown
}

const readTools = (tools: unknown): Decoded => {
  if (!Array.isArray(tools)) return { value: tools }
  const others = tools.filter((tool) => !isFunction(tool))
  return {
    ...(tools.some(isFunction) ? { value: tools.filter(isFunction).map(readTool) } : {}),
    ...(others.length === 0 ? {} : { extra: others })
  }
}

const readToolChoice = (choice: unknown): Decoded => {
  if (choice === "any") return { value: "required" }
  if (!isRecord(choice)) return { value: choice }
  return choice["type"] === "function" ? { value: { name: record(choice, "function")?.["name"] } } : { extra: choice }
}

const schemaFields = ["name", "description", "schema", "strict"]

const readFormat = (format: unknown): Decoded => {
  if (!isRecord(format)) return { value: format }
  switch (format["type"]) {
    case "text":
      return { value: "text" }
    case "json_object":
      return { value: "json" }
    case "json_schema": {
      const schema = record(format, "json_schema")
      if (schema !== undefined && schema["schema"] === undefined) return { extra: format }
      const hasOtherFields =
        (ifUnknownFields(format, ["type", "json_schema"]) ?? ifUnknownFields(schema, schemaFields)) !== undefined
      return { value: withoutNulls(schema ?? {}), ...(hasOtherFields ? { extra: format } : {}) }
    }
    default:
      return { extra: format }
  }
}

/** Reads the reasoning fields of all dialects. Objects with more than effort and budget also stay in `extra`, unchanged. */
const readReasoning = (body: Json): Decoded & { readonly thinking?: unknown } => {
  const { effort, enabled, max_tokens: budget, ...otherFields } = record(body, "reasoning") ?? {}
  const { budget_tokens: thinkingBudget, type, ...otherThinking } = record(body, "thinking") ?? {}
  const off = enabled === false || type === "disabled" || body["enable_thinking"] === false
  const value = withoutNulls({
    effort: body["reasoning_effort"] ?? effort ?? (off ? "none" : undefined),
    budgetTokens: budget ?? thinkingBudget ?? body["thinking_budget"]
  })
  const on = enabled === true || type === "enabled" || type === "adaptive" || body["enable_thinking"] === true
  return {
    ...(on || Object.keys(value).length > 0 ? { value } : {}),
    ...(Object.keys(otherFields).length > 0 ? { extra: body["reasoning"] } : {}),
    ...(Object.keys(otherThinking).length > 0 ? { thinking: body["thinking"] } : {})
  }
}

/** Stream options without `include_usage`: `encodeStream` reads it from the body, and the client's half sets its own. */
const streamOptions = (options: unknown): unknown => {
  if (!isRecord(options)) return undefined
  const { include_usage: _, ...others } = options
  return nonEmpty(others)
}

/** The fields that the vocabulary covers. All others become `extra`. */
const vocabularyFields: ReadonlySet<string> = new Set([
  "messages",
  "model",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "response_format",
  "temperature",
  "top_p",
  "top_k",
  "frequency_penalty",
  "presence_penalty",
  "logit_bias",
  "logprobs",
  "top_logprobs",
  "max_tokens",
  "max_completion_tokens",
  "stop",
  "seed",
  "random_seed",
  "reasoning",
  "reasoning_effort",
  "thinking",
  "enable_thinking",
  "thinking_budget",
  "user",
  "metadata",
  "stream",
  "stream_options"
])

// -------------------------------------------------------------------------------------
// paths of failures
// -------------------------------------------------------------------------------------

const fieldNames: FieldNames = {
  toolCallId: "tool_call_id",
  toolChoice: "tool_choice",
  parallelToolCalls: "parallel_tool_calls",
  responseFormat: "response_format",
  topP: "top_p",
  topK: "top_k",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty",
  logitBias: "logit_bias",
  maxTokens: "max_tokens"
}

/** Levels of the protocol that the vocabulary does not have. */
const insertedNames: ReadonlyArray<readonly [RegExp, string]> = [
  [/^tools\[\d+\](?=\.)/, "$&.function"],
  [/^tool_choice(?=\.)/, "$&.function"],
  [/^response_format(?=\.)/, "$&.json_schema"],
  [/^reasoning\.effort$/, "reasoning_effort"]
]

/** The path of a field in an entry of the content, by the field of its part and the type of the entry. */
const entryPaths: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  url: { image_url: "image_url.url", input_audio: "input_audio", file: "file.file_data" },
  text: { refusal: "refusal" }
}

/** The path with the index of an entry of a message's content in place of that of its part. */
const withEntryIndex = (path: ReadonlyArray<PropertyKey>, body: Json): ReadonlyArray<PropertyKey> => {
  const [messages, position, content, index] = path
  return messages === "messages" && content === "content" && typeof index === "number"
    ? path.with(3, entryIndex(valueAt(body, [messages, position ?? 0]), index))
    : path
}

const wirePath = (pathOfPart: ReadonlyArray<PropertyKey>, body: Json): string => {
  const path = withEntryIndex(pathOfPart, body)
  const byType = entryPaths[String(path.at(-1))]
  const entry = byType === undefined ? undefined : valueAt(body, path.slice(0, -1))
  const field = isRecord(entry) ? byType?.[string(entry, "type") ?? ""] : undefined
  const steps = field === undefined ? path : [...path.slice(0, -1), field]
  const plain = pathBelow(steps, fieldNames).slice(1)
  return insertedNames.reduce((renamed, [pattern, replacement]) => renamed.replace(pattern, replacement), plain)
}

export const decodeRequest = (
  received: unknown
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(received)) return Either.left(malformed("", received))
  const body = withTools(received)
  const stop = body["stop"]
  const tools = readTools(body["tools"])
  const toolChoice = readToolChoice(body["tool_choice"])
  const format = readFormat(body["response_format"])
  const reasoning = readReasoning(body)
  const extra = withoutNulls({
    ...Object.fromEntries(Object.entries(body).filter(([field]) => !vocabularyFields.has(field))),
    tools: tools.extra,
    tool_choice: toolChoice.extra,
    response_format: format.extra,
    top_logprobs: unpairedTop(body["logprobs"], body["top_logprobs"]),
    stream_options: streamOptions(body["stream_options"]),
    reasoning: reasoning.extra,
    thinking: reasoning.thinking
  })
  const invalid = invalidCalls(array(body, "messages") ?? [])
  if (invalid !== undefined) return Either.left(malformed(invalid, "expected calls of tools with a name"))
  const candidate: unknown = {
    messages: array(body, "messages")?.map(readMessage) ?? body["messages"],
    ...withoutNulls({
      model: body["model"],
      tools: tools.value,
      toolChoice: toolChoice.value,
      parallelToolCalls: body["parallel_tool_calls"],
      responseFormat: format.value,
      temperature: body["temperature"],
      topP: body["top_p"],
      topK: body["top_k"],
      frequencyPenalty: body["frequency_penalty"],
      presencePenalty: body["presence_penalty"],
      logitBias: body["logit_bias"],
      logprobs: decodeLogprobs(body["logprobs"], body["top_logprobs"]),
      maxTokens: body["max_completion_tokens"] ?? body["max_tokens"],
      stop: typeof stop === "string" ? [stop] : stop,
      seed: body["seed"] ?? body["random_seed"],
      reasoning: reasoning.value,
      user: body["user"],
      metadata: body["metadata"]
    }),
    ...withoutNulls({ extra: nonEmpty(extra) })
  }
  return validatedRequest(candidate, body["stream"] === true, (path, message) =>
    malformed(wirePath(path, body), message)
  )
}
