/** The client writes a request. Gemini API reference, "models.generateContent" and `GenerationConfig`. */
import { Either } from "effect"
import type { ChatRequest, Reasoning, ResponseFormat, ToolChoice, ToolDefinition } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { array, isRecord, record, records } from "../../json.js"
import { unsupportedPart } from "../../native.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import { isBeforeGemini3, pathOf } from "../address.js"
import { conversation } from "./contents.js"
import type { Dialect } from "../dialect.js"
import { cleanSchema } from "../../schema/gemini.js"

const present = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const nonEmpty = (fields: Record<string, unknown>): Record<string, unknown> | undefined =>
  Object.keys(fields).length === 0 ? undefined : fields

/** The API wants a description of every function. */
const declaration = ({ description = "", name, parameters }: ToolDefinition): Json => ({
  name,
  description,
  ...(parameters === undefined ? {} : { parametersJsonSchema: cleanSchema(parameters) })
})

const toolsOf = (request: ChatRequest): unknown => {
  const own = (request.tools ?? []).map(declaration)
  const further = request.extra?.["tools"]
  const listed = own.length === 0 ? [] : [{ functionDeclarations: own }]
  if (further === undefined) return listed.length === 0 ? undefined : listed
  return Array.isArray(further) ? [...listed, ...further] : further
}

const modes = { auto: "AUTO", none: "NONE", required: "ANY" } as const

/** `VALIDATED` is `AUTO`, held to the schemas ("Function calling", "Function calling modes"). */
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

/** No model of Gemini 3 can be kept from thinking, and none thinks harder than `HIGH` ("Gemini thinking"). */
const levels = {
  none: "MINIMAL",
  minimal: "MINIMAL",
  low: "LOW",
  medium: "MEDIUM",
  high: "HIGH",
  xhigh: "HIGH"
} as const

/** What the efforts mean where thinking is counted ("OpenAI compatibility", "Thinking"). */
const budgets = { none: 0, minimal: 1024, low: 1024, medium: 8192, high: 24576, xhigh: 24576 } as const

/** The API takes a budget or a level, not both: what is counted is more exact. */
const thinkingOf = ({ budgetTokens, effort, summary }: Reasoning, model: string): Json => {
  const budget = budgetTokens ?? (effort === undefined || !isBeforeGemini3(model) ? undefined : budgets[effort])
  return present({
    thinkingBudget: budget,
    thinkingLevel: budget !== undefined || effort === undefined ? undefined : levels[effort],
    includeThoughts: summary === undefined ? undefined : true
  })
}

/** Further fields of the same object do not take the place of the whole. */
const over = (own: Json | undefined, further: unknown): unknown => {
  if (own === undefined || !isRecord(further)) return further ?? own
  const both = Object.entries(further).map(([field, value]): readonly [string, unknown] => {
    const before = own[field]
    return [field, isRecord(before) && isRecord(value) ? over(before, value) : value]
  })
  return { ...own, ...Object.fromEntries(both) }
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
    const foreign = unsupportedPart(request)
    if (foreign !== undefined) return Either.left({ _tag: "Unsupported", feature: foreign })
    return Either.map(conversation(request.messages, { provider, model }), ({ contents, systemInstruction }) => {
      const { generationConfig, tools: _, toolConfig, ...extra } = request.extra ?? {}
      const config = present({
        temperature: request.temperature,
        topP: request.topP,
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
        body: present({
          systemInstruction,
          contents,
          tools: toolsOf(request),
          toolConfig: over(calling === undefined ? undefined : { functionCallingConfig: calling }, toolConfig),
          generationConfig: over(nonEmpty(config), generationConfig),
          labels: dialect.labels ? request.metadata : undefined,
          ...extra
        })
      }
    })
  }

// -------------------------------------------------------------------------------------
// what a server refuses
// -------------------------------------------------------------------------------------

const withoutId = (part: Json, field: "functionCall" | "functionResponse"): Json => {
  const inner = record(part, field)
  if (inner === undefined) return part
  const { id: _, ...rest } = inner
  return { ...part, [field]: rest }
}

const hasId = (part: Json): boolean =>
  (record(part, "functionCall") ?? record(part, "functionResponse") ?? {})["id"] !== undefined

/** Servers older than the ids of calls tell them by their names and their order. */
export const withoutRefused = (request: WireRequest, message: string): WireRequest | undefined => {
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
