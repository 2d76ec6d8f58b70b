/** Encodes requests. OpenAI, API reference: chat/create. */
import { Array as Arr, Either } from "effect"
import type { ChatRequest, Reasoning, ResponseFormat, ToolDefinition } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord } from "../../json.js"
import { strictly } from "../../schema/strict.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { named, unsupported } from "../fields.js"
import { native } from "../native.js"
import { encodeMessages } from "./messages.js"
import { isThinking, reasoning } from "./reasoningEffort.js"

/** Whether the model must call a tool. */
const mustCall = ({ toolChoice }: ChatRequest): boolean => toolChoice === "required" || typeof toolChoice === "object"

/** The feature of a request that the provider does not have. */
const lacking = (request: ChatRequest, dialect: Dialect): string | undefined => {
  const { messages, responseFormat, tools = [] } = request
  if (responseFormat === "json" && !dialect.jsonObject) return "JSON output without a schema"
  if (typeof responseFormat === "object" && !dialect.jsonSchema) return "JSON Schema output"
  if (!dialect.names && messages.some((each) => each.role === "user" && each.name !== undefined)) {
    return "name of a user message"
  }
  if (tools.length > 0 && !dialect.tools) return "tools"
  const foreign = native.unsupported(request)
  if (foreign !== undefined) return foreign
  if (!mustCall(request) || dialect.toolChoices === "all") return undefined
  if (dialect.toolChoices === "auto") return "required tool calls"
  return request.reasoning !== undefined && isThinking(request.reasoning)
    ? "required tool calls with reasoning"
    : undefined
}

const tool = (definition: ToolDefinition): Json => {
  const { description, name, parameters = { type: "object", properties: {} }, strict } = definition
  const held = strictly(parameters, strict)
  const written = {
    type: "function",
    function: { name, ...named("description", description), parameters: held.schema, ...named("strict", held.strict) }
  }
  return native.encode(written, definition)
}

const choiceOf = (choice: ChatRequest["toolChoice"], dialect: Dialect): unknown =>
  typeof choice === "object"
    ? { type: "function", function: { name: choice.name } }
    : choice === "required"
      ? dialect.toolChoiceRequired
      : choice

/** The tools and the tool choice. A dialect that only has `auto` sends no tools for `none`. */
const toolsOf = ({ extra, toolChoice, tools = [] }: ChatRequest, dialect: Dialect): Json => {
  const further = extra?.["tools"]
  if (dialect.toolChoices === "auto" && toolChoice === "none") return {}
  const all = Arr.appendAll(tools.map(tool), Array.isArray(further) ? further : [])
  return {
    ...(all.length > 0 ? { tools: all } : {}),
    ...(dialect.tools ? named("tool_choice", choiceOf(toolChoice, dialect)) : {})
  }
}

const responseFormat = (format: ResponseFormat): Json => {
  if (format === "text") return { type: "text" }
  if (format === "json") return { type: "json_object" }
  return { type: "json_schema", json_schema: { ...format, ...strictly(format.schema, format.strict) } }
}

/** `stream_options` of the request, with `include_usage`. Servers reject the field when they do not stream. */
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
    const feature = lacking(request, dialect)
    if (feature !== undefined) return unsupported(feature)
    const model = request.model ?? fallback
    const peer = { provider, model }
    const thinking: Reasoning | undefined =
      dialect.toolChoices === "unthinking" && mustCall(request) ? { effort: "none" } : request.reasoning
    return Either.map(encodeMessages(request.messages, peer, dialect), (messages) => {
      const { stream: _, stream_options: wished, tools: __, ...extra } = request.extra ?? {}
      return {
        path: dialect.path.replace("{model}", encodeURIComponent(model)),
        body: {
          model,
          messages,
          ...toolsOf(request, dialect),
          ...named("parallel_tool_calls", request.parallelToolCalls),
          ...(request.responseFormat === undefined ? {} : { response_format: responseFormat(request.responseFormat) }),
          ...named("temperature", request.temperature),
          ...named("top_p", request.topP),
          ...named(dialect.maxTokensField, request.maxTokens),
          ...(request.stop !== undefined && request.stop.length > 0 ? { stop: request.stop } : {}),
          ...named(dialect.seedField, request.seed),
          ...reasoning(thinking, dialect, model),
          ...(dialect.userField === "none" ? {} : named(dialect.userField, request.user)),
          ...named("metadata", request.metadata),
          ...extra,
          ...(stream ? { stream: true } : {}),
          ...streamOptions(wished, stream, dialect)
        }
      }
    })
  }

/**
 * Servers older than `stream_options` reject it by name. The open Qwen3 models of Model Studio reason by default but reject that
 * without streaming ("parameter.enable_thinking must be set to false for non-streaming calls").
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
