/** Encodes requests. Source: Gemini API reference, "models.generateContent" and `GenerationConfig`. */
import { Either } from "effect"
import type { ChatRequest, Reasoning, ResponseFormat, ToolChoice, ToolDefinition } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { array, isRecord, nonEmpty, record, records, withoutUndefined } from "../../json.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import { budgetOf, closestEffort } from "../../effort.js"
import { isBeforeGemini3, pathOf } from "../address.js"
import { budgetWithin, levelsOf } from "../thinking.js"
import { conversation } from "./contents.js"
import type { Dialect } from "../dialect.js"
import { native } from "../native.js"
import { cleanSchema } from "../../schema/gemini.js"
import { protocolFields, samplingFault } from "../../sampling.js"

/** The API requires a description of every function. */
const declaration = ({ description = "", name, parameters }: ToolDefinition): Json => ({
  name,
  description,
  ...(parameters === undefined ? {} : { parametersJsonSchema: cleanSchema(parameters) })
})

const toolsOf = (request: ChatRequest): unknown => {
  const own = (request.tools ?? []).map(declaration)
  const extra = request.extra?.["tools"]
  const listed = own.length === 0 ? [] : [{ functionDeclarations: own }]
  if (extra === undefined) return listed.length === 0 ? undefined : listed
  return Array.isArray(extra) ? [...listed, ...extra] : extra
}

const modes = { auto: "AUTO", none: "NONE", required: "ANY" } as const

/** `VALIDATED` is `AUTO` with arguments that follow the schemas ("Function calling", "Function calling modes"). */
const callingConfig = (choice: ToolChoice | undefined, tools: ReadonlyArray<ToolDefinition>): Json | undefined => {
  if (typeof choice === "object") return { mode: "ANY", allowedFunctionNames: [choice.name] }
  if ((choice === undefined || choice === "auto") && tools.some((tool) => tool.strict === true)) {
    return { mode: "VALIDATED" }
  }
  return choice === undefined ? undefined : { mode: modes[choice] }
}

const formatOf = (format: ResponseFormat): Json => {
  if (format === "text") return { responseMimeType: "text/plain" }
  if (format === "json") return { responseMimeType: "application/json" }
  const { description, schema } = format
  return {
    responseMimeType: "application/json",
    responseJsonSchema: cleanSchema(description === undefined ? schema : { description, ...schema })
  }
}

/** The API accepts a budget or a level, not both. A budget is more exact and has precedence. */
const thinkingOf = (reasoning: Reasoning, model: string): Json => {
  const { budgetTokens, effort, summary } = reasoning
  const budget = isBeforeGemini3(model) ? budgetOf(reasoning) : budgetTokens
  return withoutUndefined({
    thinkingBudget: budget === undefined ? undefined : budgetWithin(budget, model),
    thinkingLevel:
      budget !== undefined || effort === undefined ? undefined : closestEffort(effort, levelsOf(model))?.toUpperCase(),
    includeThoughts: summary === undefined ? undefined : true
  })
}

/** Merges extra fields into an encoded object at every depth. */
const mergeDeep = (encoded: Json | undefined, extra: unknown): unknown => {
  if (encoded === undefined || !isRecord(extra)) return extra ?? encoded
  const merged = Object.entries(extra).map(([field, value]): readonly [string, unknown] => {
    const before = encoded[field]
    return [field, isRecord(before) && isRecord(value) ? mergeDeep(before, value) : value]
  })
  return { ...encoded, ...Object.fromEntries(merged) }
}

/** Gemini API reference, `GenerationConfig`. */
const limits = { sampling: protocolFields.gemini, maxTemperature: 2 }

/** `responseLogprobs` requests those of the chosen tokens, `logprobs` the number of alternatives. */
const logprobsOf = (logprobs: ChatRequest["logprobs"]): Json =>
  typeof logprobs === "number" ? { responseLogprobs: true, logprobs } : { responseLogprobs: logprobs }

/** Whether `extra` requests several answers. */
const requestsCandidates = (request: ChatRequest): boolean => {
  const { candidateCount } = record(request.extra ?? {}, "generationConfig") ?? {}
  return typeof candidateCount === "number" && candidateCount > 1
}

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { model: fallback, provider, stream }: Peer & { readonly stream: boolean }
  ): Either.Either<WireRequest, WireFailure> => {
    const model = request.model ?? fallback
    if (request.parallelToolCalls === false) {
      return Either.left({ _tag: "Unsupported", feature: "limit to one tool call at a time" })
    }
    const foreign = native.unsupported(request)
    if (foreign !== undefined) return Either.left({ _tag: "Unsupported", feature: foreign })
    if (requestsCandidates(request)) return Either.left({ _tag: "Unsupported", feature: "candidateCount" })
    const fault = samplingFault(request, limits)
    if (fault !== undefined) return Either.left(fault)
    return Either.map(conversation(request.messages, { provider, model }), ({ contents, systemInstruction }) => {
      const { generationConfig, tools: _, toolConfig, ...extra } = request.extra ?? {}
      const config = withoutUndefined({
        temperature: request.temperature,
        topP: request.topP,
        topK: request.topK,
        frequencyPenalty: request.frequencyPenalty,
        presencePenalty: request.presencePenalty,
        ...logprobsOf(request.logprobs),
        maxOutputTokens: request.maxTokens,
        stopSequences: request.stop === undefined || request.stop.length === 0 ? undefined : request.stop,
        seed: request.seed,
        ...(request.responseFormat === undefined ? {} : formatOf(request.responseFormat)),
        thinkingConfig: request.reasoning === undefined ? undefined : nonEmpty(thinkingOf(request.reasoning, model))
      })
      const calling = callingConfig(request.toolChoice, request.tools ?? [])
      return {
        path: pathOf(model, stream),
        ...(stream ? { query: { alt: "sse" } } : {}),
        body: withoutUndefined({
          systemInstruction,
          contents,
          tools: toolsOf(request),
          toolConfig: mergeDeep(calling === undefined ? undefined : { functionCallingConfig: calling }, toolConfig),
          generationConfig: mergeDeep(nonEmpty(config), generationConfig),
          labels: dialect.labels ? request.metadata : undefined,
          ...extra
        })
      }
    })
  }

// -------------------------------------------------------------------------------------
// rejected fields
// -------------------------------------------------------------------------------------

const withoutId = (part: Json, field: "functionCall" | "functionResponse"): Json => {
  const inner = record(part, field)
  if (inner === undefined) return part
  const { id: _, ...rest } = inner
  return { ...part, [field]: rest }
}

const hasId = (part: Json): boolean =>
  (record(part, "functionCall") ?? record(part, "functionResponse") ?? {})["id"] !== undefined

/** Older servers reject ids of calls and match results by name and order. */
export const dropUnsupportedField = (request: WireRequest, message: string): WireRequest | undefined => {
  if (!/unknown name \\?"id\\?"/i.test(message) || !/function_?(?:call|response)/i.test(message)) return undefined
  const contents = records(request.body, "contents")
  if (!contents.some((content) => records(content, "parts").some(hasId))) return undefined
  const reduced = contents.map((content): Json => {
    if (array(content, "parts") === undefined) return content
    const parts = records(content, "parts").map((part) =>
      withoutId(withoutId(part, "functionCall"), "functionResponse")
    )
    return Object.assign({}, content, { parts })
  })
  return { ...request, body: { ...request.body, contents: reduced } }
}
