/** Encodes a request. */
import { Either } from "effect"
import type { ChatRequest, ResponseFormat, ToolChoice, ToolDefinition } from "../../../vocabulary/Chat.js"
import { isRecord, type Json, withoutUndefined } from "../../json.js"
import type { EncodeOptions, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { isWithoutReasoning, openaiEffort } from "../../effort.js"
import { parseDataUrl } from "../../requestFields.js"
import { conversation } from "./input.js"
import type { Strictly } from "../../schema/strict.js"
import { strictnessFor } from "../../schema/strict.js"
import { native } from "../native.js"
import { encodeSampling, samplingFault } from "../../sampling.js"
import { logprobsInclude } from "../logprobs.js"

/** The feature of a request that the protocol has no field for. */
const unsupportedFeature = (request: ChatRequest, dialect: Dialect): string | undefined => {
  if (request.stop !== undefined && request.stop.length > 0) return "stop"
  if (request.seed !== undefined) return "seed"
  const foreignPart = native.unsupported(request)
  if (foreignPart !== undefined) return foreignPart
  for (const message of request.messages) {
    if (message.role !== "user") continue
    if (message.name !== undefined) return "name of a user message"
    if (typeof message.content === "string") continue
    for (const part of message.content) {
      if (part.type !== "audio") continue
      if (!dialect.audio) return "audio input"
      if (parseDataUrl(part.url) === undefined) return "audio input by URL"
    }
  }
  return undefined
}

/** The schema of a function without parameters. */
const noParameters = { type: "object", properties: {}, required: [], additionalProperties: false }

/** A tool that was decoded from this protocol gets no default for `strict`. */
const functionTool = (tool: ToolDefinition, dialect: Dialect, strictly: Strictly): Json => {
  const { description, name, parameters = noParameters } = tool
  const defaultStrict = native.fieldsOf(tool) === undefined ? dialect.strictTools : undefined
  const { schema, ...strictness } = strictly(parameters, tool.strict ?? defaultStrict)
  const encoded = {
    type: "function",
    name,
    ...(description === undefined ? {} : { description }),
    parameters: schema,
    ...strictness
  }
  return native.encode(encoded, tool)
}

const toolsOf = (request: ChatRequest, dialect: Dialect, strictly: Strictly): unknown => {
  const functions = request.tools?.map((tool) => functionTool(tool, dialect, strictly)) ?? []
  const extraTools = request.extra?.["tools"]
  if (extraTools === undefined) return functions.length === 0 ? undefined : functions
  return Array.isArray(extraTools) ? [...functions, ...extraTools] : extraTools
}

const choiceOf = (choice: ToolChoice): unknown =>
  typeof choice === "string" ? choice : { type: "function", name: choice.name }

const formatOf = (format: ResponseFormat, strictly: Strictly): Record<string, unknown> => {
  if (format === "text") return { type: "text" }
  if (format === "json") return { type: "json_object" }
  return {
    type: "json_schema",
    name: format.name,
    ...(format.description === undefined ? {} : { description: format.description }),
    ...strictly(format.schema, format.strict)
  }
}

const reasoningOf = (
  reasoning: NonNullable<ChatRequest["reasoning"]>,
  dialect: Dialect,
  model: string
): Record<string, unknown> => {
  const { budgetTokens, effort, summary } = reasoning
  return withoutUndefined({
    effort: dialect.reasoningBudget ? effort : openaiEffort(reasoning, model),
    summary,
    max_tokens: dialect.reasoningBudget ? budgetTokens : undefined
  })
}

const encryptedContent = "reasoning.encrypted_content"

/** The request for log probabilities, beside whatever else is included. OpenAI, API reference, responses/create. */
const logprobsFields = (logprobs: ChatRequest["logprobs"], include: unknown): Json => {
  if (logprobs === undefined || logprobs === false) return {}
  const others: ReadonlyArray<unknown> = Array.isArray(include) ? include : []
  return {
    include: others.includes(logprobsInclude) ? others : [...others, logprobsInclude],
    ...(typeof logprobs === "number" ? { top_logprobs: logprobs } : {})
  }
}

/** OpenAI, API reference, responses/create. */
const maxTemperature = 2

export const encodeRequest = (dialect: Dialect) => {
  const settings = { sampling: dialect.sampling.filter((field) => field !== "logprobs") }
  const limits = { sampling: dialect.sampling, maxTemperature }
  return (
    request: ChatRequest,
    { keepsSchemas = false, model: defaultModel, provider, stream }: EncodeOptions
  ): Either.Either<WireRequest, WireFailure> => {
    const feature = unsupportedFeature(request, dialect)
    if (feature !== undefined) return Either.left({ _tag: "Unsupported", feature })
    const fault = samplingFault(request, limits)
    if (fault !== undefined) return Either.left(fault)
    const strictly = strictnessFor(keepsSchemas)
    const model = request.model ?? defaultModel
    const { text: ownText, tools: _, stream: __, ...extra } = request.extra ?? {}
    const text = {
      ...(request.responseFormat === undefined ? {} : { format: formatOf(request.responseFormat, strictly) }),
      ...(isRecord(ownText) ? ownText : {})
    }
    const reasoning = request.reasoning === undefined ? {} : reasoningOf(request.reasoning, dialect, model)
    const includeEncrypted = dialect.sealedReasoning && reasoning["effort"] !== "none" && !isWithoutReasoning(model)
    const stored = ("store" in extra ? extra["store"] : dialect.store) !== false
    const include = includeEncrypted ? [encryptedContent] : undefined
    return Either.right({
      path: "/responses",
      body: {
        ...withoutUndefined({
          model,
          ...conversation(request, { provider, dialect, stored }),
          tools: toolsOf(request, dialect, strictly),
          tool_choice: request.toolChoice === undefined ? undefined : choiceOf(request.toolChoice),
          parallel_tool_calls: request.parallelToolCalls,
          text: Object.keys(text).length === 0 ? undefined : text,
          reasoning: Object.keys(reasoning).length === 0 ? undefined : reasoning,
          max_output_tokens: request.maxTokens && Math.max(request.maxTokens, dialect.minOutputTokens),
          temperature: request.temperature,
          top_p: request.topP,
          ...encodeSampling(request, settings),
          user: request.user,
          metadata: request.metadata,
          store: dialect.store,
          include
        }),
        ...extra,
        ...logprobsFields(request.logprobs, "include" in extra ? extra["include"] : include),
        stream
      }
    })
  }
}

// -------------------------------------------------------------------------------------
// rejected fields
// -------------------------------------------------------------------------------------

const rejection =
  /unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|not (?:be )?(?:supported|permitted|allowed|implemented|verified|decrypted)|extra (?:inputs|fields)|must be|should be/i

const isEncrypted = (item: unknown): boolean => typeof item === "object" && item !== null && "encrypted_content" in item

const withoutField = (request: WireRequest, field: string): WireRequest => {
  const { [field]: _, ...body } = request.body
  return { ...request, body }
}

/**
 * Drops the fields that some servers reject: reasoning that another organisation with a key in the same pool has encrypted,
 * `include` for models and servers without encrypted reasoning, and `store`, which only OpenAI's own servers support.
 */
export const dropUnsupportedField = (request: WireRequest, message: string): WireRequest | undefined => {
  const { include, input, store } = request.body
  if (!rejection.test(message)) return undefined
  if (/encrypted[ _]content/i.test(message) && /verified|decrypt/i.test(message)) {
    return Array.isArray(input) && input.some(isEncrypted)
      ? { ...request, body: { ...request.body, input: input.filter((item) => !isEncrypted(item)) } }
      : undefined
  }
  if (
    /encrypted[ _]content|\binclude\b/i.test(message) &&
    Array.isArray(include) &&
    include.includes(encryptedContent)
  ) {
    const others = include.filter((value) => value !== encryptedContent)
    return others.length === 0
      ? withoutField(request, "include")
      : { ...request, body: { ...request.body, include: others } }
  }
  return /(?<!vector[ _-]?)\bstore\b/i.test(message) && store !== undefined ? withoutField(request, "store") : undefined
}
