/** Encodes requests. OpenAI, API reference: chat/create. */
import { Array as Arr, Either } from "effect"
import type { ChatRequest, Reasoning, ResponseFormat, ToolDefinition } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord } from "../../json.js"
import { budgetOf, effortOf, openaiEffort } from "../../effort.js"
import type { Strictly } from "../../schema/strict.js"
import { strictnessFor } from "../../schema/strict.js"
import type { EncodeOptions, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { optional, unsupported } from "../../requestFields.js"
import { encodeSampling, samplingFault } from "../../sampling.js"
import { native } from "../native.js"
import { encodeMessages } from "./messages.js"

/** Whether reasoning is switched off. */
const isOff = ({ budgetTokens, effort }: Reasoning): boolean => effort === "none" || budgetTokens === 0

/** Whether reasoning is requested; a summary alone does not request it. */
const requestsReasoning = (reasoning: Reasoning): boolean => {
  const { budgetTokens, effort, summary } = reasoning
  return !isOff(reasoning) && (effort !== undefined || budgetTokens !== undefined || summary === undefined)
}

/** Whether the model must call a tool. */
const requiresToolCall = ({ toolChoice }: ChatRequest): boolean =>
  toolChoice === "required" || typeof toolChoice === "object"

/** The feature of a request that the provider does not have. */
const unsupportedFeature = (request: ChatRequest, dialect: Dialect): string | undefined => {
  const { messages, responseFormat, tools = [] } = request
  if (responseFormat === "json" && !dialect.jsonObject) return "JSON output without a schema"
  if (typeof responseFormat === "object" && !dialect.jsonSchema) return "JSON Schema output"
  if (!dialect.names && messages.some((each) => each.role === "user" && each.name !== undefined)) {
    return "name of a user message"
  }
  if (tools.length > 0 && !dialect.tools) return "tools"
  const foreign = native.unsupported(request)
  if (foreign !== undefined) return foreign
  if (!requiresToolCall(request) || dialect.toolChoices === "all") return undefined
  if (dialect.toolChoices === "auto") return "required tool calls"
  return request.reasoning !== undefined && requestsReasoning(request.reasoning)
    ? "required tool calls with reasoning"
    : undefined
}

const encodeTool = (definition: ToolDefinition, strictly: Strictly): Json => {
  const { description, name, parameters = { type: "object", properties: {} }, strict } = definition
  const strictness = strictly(parameters, strict)
  const encoded = {
    type: "function",
    function: {
      name,
      ...optional("description", description),
      parameters: strictness.schema,
      ...optional("strict", strictness.strict)
    }
  }
  return native.encode(encoded, definition)
}

const encodeToolChoice = (choice: ChatRequest["toolChoice"], dialect: Dialect): unknown =>
  typeof choice === "object"
    ? { type: "function", function: { name: choice.name } }
    : choice === "required"
      ? dialect.toolChoiceRequired
      : choice

/** The tools and the tool choice. A dialect that only has `auto` sends no tools for `none`. */
const toolsOf = ({ extra, toolChoice, tools = [] }: ChatRequest, dialect: Dialect, strictly: Strictly): Json => {
  const extraTools = extra?.["tools"]
  if (dialect.toolChoices === "auto" && toolChoice === "none") return {}
  const all = Arr.appendAll(
    tools.map((tool) => encodeTool(tool, strictly)),
    Array.isArray(extraTools) ? extraTools : []
  )
  return {
    ...(all.length > 0 ? { tools: all } : {}),
    ...(dialect.tools ? optional("tool_choice", encodeToolChoice(toolChoice, dialect)) : {})
  }
}

const encodeFormat = (format: ResponseFormat, strictly: Strictly): Json => {
  if (format === "text") return { type: "text" }
  if (format === "json") return { type: "json_object" }
  return { type: "json_schema", json_schema: { ...format, ...strictly(format.schema, format.strict) } }
}

/** `stream_options` of the request, with `include_usage`. Servers reject the field when they do not stream. */
const streamOptions = (extraOptions: unknown, stream: boolean, dialect: Dialect): Json => {
  if (!stream) return {}
  const options = {
    ...(dialect.streamUsage ? { include_usage: true } : {}),
    ...(isRecord(extraOptions) ? extraOptions : {})
  }
  return Object.keys(options).length === 0 ? {} : { stream_options: options }
}

/** Groq, "Reasoning": without `reasoning_format` these models write their reasoning into the text, in `<think>` tags. */
const writesThinkTags = /qwen-?3|qwq|deepseek-r1/i

/** Qwen has no levels of effort. OpenAI's models take `include_reasoning` instead of the format, so they get none. */
const groqReasoning = (effort: string | undefined, model: string): Json => {
  if (!writesThinkTags.test(model)) return optional("reasoning_effort", effort)
  return {
    reasoning_format: "parsed",
    ...(effort === undefined ? {} : { reasoning_effort: effort === "none" ? "none" : "default" })
  }
}

/** MiniMax, "Chat Completions API": "Control thinking via the `thinking` parameter", new in M3. */
const hasThinkingSwitch = /minimax-m(?:[3-9]|\d\d)/i

const splitReasoning = (requested: Reasoning | undefined, model: string): Json => ({
  reasoning_split: true,
  ...(requested === undefined || !hasThinkingSwitch.test(model)
    ? {}
    : isOff(requested)
      ? { thinking: { type: "disabled" } }
      : requestsReasoning(requested)
        ? { thinking: { type: "adaptive" } }
        : {})
})

/** The effort in the provider's words. */
const encodeEffort = (requested: Reasoning | undefined, { efforts }: Dialect, model: string): string | undefined => {
  const effort = requested && effortOf(requested)
  if (requested === undefined || effort === undefined) return undefined
  return efforts[effort] ?? (effort === "max" ? efforts.xhigh : undefined) ?? openaiEffort(requested, model)
}

/** The fields that request reasoning. The protocol has no field for a summary. */
const encodeReasoning = (requested: Reasoning | undefined, dialect: Dialect, model: string): Json => {
  const { budgetTokens, effort } = requested ?? {}
  const effortValue = encodeEffort(requested, dialect, model)
  if (dialect.reasoning === "groq") return groqReasoning(effortValue, model)
  if (dialect.reasoning === "reasoning_split") return splitReasoning(requested, model)
  if (requested === undefined) return {}
  if (effort === undefined && budgetTokens === undefined && requested.summary !== undefined) return {}
  const off = isOff(requested)
  switch (dialect.reasoning) {
    case "effort":
      return optional("reasoning_effort", effortValue)
    case "object":
      return {
        reasoning:
          budgetTokens !== undefined && effort !== "none"
            ? { max_tokens: budgetTokens }
            : effortValue === undefined
              ? { enabled: true }
              : { effort: effortValue }
      }
    case "enabled":
      return off
        ? { reasoning: { enabled: false } }
        : { reasoning: { enabled: true }, ...optional("reasoning_effort", effortValue) }
    case "thinking":
      return off
        ? { thinking: { type: "disabled" } }
        : { thinking: { type: "enabled" }, ...optional("reasoning_effort", effortValue) }
    case "enable_thinking":
      return off
        ? { enable_thinking: false }
        : { enable_thinking: true, ...optional("thinking_budget", budgetOf(requested)) }
    case "none":
      return {}
  }
}

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { keepsSchemas = false, model: defaultModel, provider, stream }: EncodeOptions
  ): Either.Either<WireRequest, WireFailure> => {
    const feature = unsupportedFeature(request, dialect)
    if (feature !== undefined) return unsupported(feature)
    const fault = samplingFault(request, dialect)
    if (fault !== undefined) return Either.left(fault)
    const strictly = strictnessFor(keepsSchemas)
    const model = request.model ?? defaultModel
    const reasoning: Reasoning | undefined =
      dialect.toolChoices === "unthinking" && requiresToolCall(request) ? { effort: "none" } : request.reasoning
    const target = { provider, model, thinks: reasoning === undefined || !isOff(reasoning) }
    return Either.map(encodeMessages(request.messages, target, dialect), (messages) => {
      const { stream: _, stream_options: extraOptions, tools: __, ...extra } = request.extra ?? {}
      return {
        path: dialect.path.replace("{model}", encodeURIComponent(model)),
        body: {
          model,
          messages,
          ...toolsOf(request, dialect, strictly),
          ...optional("parallel_tool_calls", request.parallelToolCalls),
          ...(request.responseFormat === undefined
            ? {}
            : { response_format: encodeFormat(request.responseFormat, strictly) }),
          ...optional("temperature", request.temperature),
          ...optional("top_p", request.topP),
          ...encodeSampling(request, dialect),
          ...optional(dialect.maxTokensField, request.maxTokens),
          ...(request.stop !== undefined && request.stop.length > 0 ? { stop: request.stop } : {}),
          ...optional(dialect.seedField, request.seed),
          ...encodeReasoning(reasoning, dialect, model),
          ...(dialect.userField === "none" ? {} : optional(dialect.userField, request.user)),
          ...optional("metadata", request.metadata),
          ...extra,
          ...(stream ? { stream: true } : {}),
          ...streamOptions(extraOptions, stream, dialect)
        }
      }
    })
  }

/**
 * Servers older than `stream_options` reject it by name. The open Qwen3 models of Model Studio reason by default but reject that
 * without streaming ("parameter.enable_thinking must be set to false for non-streaming calls").
 */
export const dropUnsupportedField = (request: WireRequest, message: string): WireRequest | undefined => {
  if (/enable_thinking.{0,40}non-streaming/i.test(message)) {
    return request.body["stream"] === true || request.body["enable_thinking"] !== undefined
      ? undefined
      : { ...request, body: { ...request.body, enable_thinking: false } }
  }
  if (!("stream_options" in request.body) || !/stream_options|include_usage/i.test(message)) return undefined
  const { stream_options: _, ...body } = request.body
  return { ...request, body }
}
