/** Encodes requests. Source: Anthropic, API reference, "Create a Message". */
import { Either } from "effect"
import type { ChatRequest, ResponseFormat, ToolDefinition } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, records } from "../../json.js"
import type { EncodeOptions, WireFailure, WireRequest } from "../../Wire.js"
import type { Encoded } from "./content.js"
import { protocolFields, samplingFault } from "../../sampling.js"
import { unsupported } from "../../requestFields.js"
import { containerField } from "../container.js"
import { cacheControlField } from "./content.js"
import { conversation } from "./conversation.js"
import type { Dialect } from "../dialect.js"
import { traitsOf } from "../dialect.js"
import { outputSchema } from "../../schema/anthropic.js"
import { native } from "../native.js"
import { encodeThinking } from "./thinking.js"
import { isReasoningBlock } from "../reasoning.js"

const optional = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

/** The part of a request that the protocol has no field for. */
const unsupportedFeature = (request: ChatRequest): string | undefined =>
  request.seed !== undefined ? "seed" : request.metadata !== undefined ? "metadata" : native.unsupported(request)

/** A strict tool whose schema cannot be closed is sent unchanged and not strict. */
const encodeTool = (definition: ToolDefinition, keepsSchemas: boolean): Json => {
  const { cacheControl, description, name, parameters = { properties: {} }, strict } = definition
  const schema = { type: "object", ...parameters }
  const closed = strict !== true ? undefined : keepsSchemas ? schema : outputSchema(schema)
  const encoded = {
    name,
    ...optional("description", description),
    input_schema: closed ?? schema,
    ...optional("strict", strict === undefined ? undefined : closed !== undefined),
    ...cacheControlField(cacheControl)
  }
  return native.encode(encoded, definition)
}

const choices = { auto: "auto", none: "none", required: "any" } as const

/** The fields beside `tools`. The choice `none` has no setting for parallel calls. */
const toolChoice = ({ parallelToolCalls, toolChoice: choice }: ChatRequest): Json => {
  const parallel = optional(
    "disable_parallel_tool_use",
    parallelToolCalls === undefined ? undefined : !parallelToolCalls
  )
  if (choice === undefined) return parallelToolCalls === undefined ? {} : { tool_choice: { type: "auto", ...parallel } }
  if (typeof choice === "object") return { tool_choice: { type: "tool", name: choice.name, ...parallel } }
  return { tool_choice: { type: choices[choice], ...(choice === "none" ? {} : parallel) } }
}

const formatOf = (format: ResponseFormat | undefined, dialect: Dialect, keepsSchemas: boolean): Encoded<Json> => {
  if (format === undefined || format === "text") return Either.right({})
  if (format === "json") return unsupported("JSON output without a schema")
  if (!dialect.jsonSchema) return unsupported("JSON Schema output")
  const described = { ...optional("description", format.description), ...format.schema }
  const schema = keepsSchemas ? described : outputSchema(described)
  return schema === undefined
    ? unsupported("JSON Schema output with open objects")
    : Either.right({ format: { type: "json_schema", schema } })
}

/** Whether the conversation ends with results of tool calls that the model made without reasoning. */
const isTurnWithoutReasoning = (messages: ReadonlyArray<Json>): boolean => {
  const [before, last] = messages.filter(({ role }) => role !== "system").slice(-2)
  const hasResults = last !== undefined && records(last, "content").some(({ type }) => type === "tool_result")
  return hasResults && !(before !== undefined && isReasoningBlock(records(before, "content")[0]))
}

const sampling = protocolFields["anthropic-messages"]

/** Anthropic, API reference, "Create a Message": a temperature of at most 1. Servers with other models have their own range. */
const anthropicLimits = { sampling, maxTemperature: 1 }

const filesBeta = "files-api-2025-04-14"

/** Whether the messages contain the id of an uploaded file, for which the API requires a header. */
const containsFileId = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.some(containsFileId)
    : isRecord(value) &&
      (value["type"] === "file" ||
        containsFileId(value["content"]) ||
        (isRecord(value["source"]) && containsFileId(value["source"])))

const headersOf = (dialect: Dialect, messages: unknown, betas: unknown): WireRequest["headers"] => {
  const requested = Array.isArray(betas) ? betas.filter((beta) => typeof beta === "string") : []
  const all = new Set([...requested, ...(containsFileId(messages) ? [filesBeta] : [])])
  return {
    ...(dialect.version.in === "header" ? { "anthropic-version": dialect.version.value } : {}),
    ...(all.size === 0 ? {} : { "anthropic-beta": [...all].join(",") })
  }
}

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { keepsSchemas = false, model: fallback, provider, stream }: EncodeOptions
  ): Either.Either<WireRequest, WireFailure> =>
    Either.gen(function* () {
      const feature = unsupportedFeature(request)
      if (feature !== undefined) return yield* unsupported(feature)
      const fault = samplingFault(request, dialect.modelLimits ? anthropicLimits : { sampling })
      if (fault !== undefined) return yield* Either.left(fault)
      const model = request.model ?? fallback
      const traits = traitsOf(dialect, model)
      const { betas, stream: _, tools: hosted, ...extra } = request.extra ?? {}
      const encoded = yield* conversation(request.messages, {
        provider,
        unsignedReasoning: dialect.unsignedReasoning,
        systemInTurns: traits.systemInTurns
      })
      const maxTokens = request.maxTokens ?? traits.maxTokens
      const turnWithoutReasoning = isTurnWithoutReasoning(records(encoded, "messages"))
      const limits = { dialect, traits, maxTokens, turnWithoutReasoning }
      const { effort = {}, thinking } = yield* encodeThinking(request, limits)
      const output = { ...effort, ...(yield* formatOf(request.responseFormat, dialect, keepsSchemas)) }
      const tools = [
        ...(request.tools ?? []).map((tool) => encodeTool(tool, keepsSchemas)),
        ...(Array.isArray(hosted) ? hosted : [])
      ]
      const path = (stream ? dialect.streamPath : undefined) ?? dialect.path
      const takesSampling = traits.sampling || !dialect.modelLimits
      return {
        path: path.replace("{model}", encodeURIComponent(model)),
        headers: headersOf(dialect, encoded["messages"], betas) ?? {},
        body: {
          ...(path.includes("{model}") ? {} : { model }),
          ...(dialect.version.in === "body" ? { anthropic_version: dialect.version.value } : {}),
          max_tokens: maxTokens,
          ...encoded,
          ...(tools.length > 0 ? { tools, ...toolChoice(request) } : {}),
          ...optional("thinking", thinking),
          ...(Object.keys(output).length === 0 ? {} : { output_config: output }),
          ...optional("temperature", takesSampling ? request.temperature : undefined),
          ...optional("top_p", takesSampling ? request.topP : undefined),
          ...optional("top_k", request.topK),
          ...(request.stop !== undefined && request.stop.length > 0 ? { stop_sequences: request.stop } : {}),
          ...(request.user === undefined ? {} : { metadata: { user_id: request.user } }),
          ...extra,
          ...containerField(request.messages, provider, extra["container"]),
          ...(stream ? { stream: true } : {})
        }
      }
    })

// -------------------------------------------------------------------------------------
// rejected fields
// -------------------------------------------------------------------------------------

const systemBlocks = (content: unknown): ReadonlyArray<unknown> =>
  typeof content === "string" ? [{ type: "text", text: content }] : Array.isArray(content) ? content : []

/** Moves later instructions to the beginning. */
const withoutSystemTurns = (request: WireRequest): WireRequest | undefined => {
  const messages = records(request.body, "messages")
  const later = messages.filter(({ role }) => role === "system")
  if (later.length === 0) return undefined
  const system = [request.body["system"], ...later.map(({ content }) => content)].flatMap(systemBlocks)
  return { ...request, body: { ...request.body, system, messages: messages.filter(({ role }) => role !== "system") } }
}

/** In a turn of tool calls, a thinking budget requires the reasoning of that turn, so the budget is removed as well. */
const withoutReasoning = (request: WireRequest): WireRequest | undefined => {
  const messages = records(request.body, "messages")
  const hasReasoning = (content: unknown): content is ReadonlyArray<unknown> =>
    Array.isArray(content) && content.some(isReasoningBlock)
  if (!messages.some(({ content }) => hasReasoning(content))) return undefined
  const reduced = messages.map((message): Json => {
    const { content } = message
    return hasReasoning(content)
      ? { ...message, content: content.filter((block) => !isReasoningBlock(block)) }
      : message
  })
  const { thinking, ...body } = request.body
  const isInvalid = isRecord(thinking) && thinking["type"] === "enabled" && isTurnWithoutReasoning(reduced)
  return { ...request, body: { ...body, ...(isInvalid ? {} : optional("thinking", thinking)), messages: reduced } }
}

/** The rejected parts are later system messages, and reasoning signed by another model or account. */
export const dropUnsupportedField = (request: WireRequest, message: string): WireRequest | undefined => {
  if (/\brole\b[^.]*\bsystem\b|\bsystem\b[^.]*\brole\b/i.test(message)) return withoutSystemTurns(request)
  return /thinking`? blocks?\b/i.test(message) && /signature|invalid|bound|cannot be modified|decrypt/i.test(message)
    ? withoutReasoning(request)
    : undefined
}
