/** The client writes a request. */
import { Either } from "effect"
import type { ChatRequest, ResponseFormat, ToolChoice, ToolDefinition } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import type { Peer, WireFailure, WireRequest } from "../../Wire.js"
import type { Dialect } from "../dialect.js"
import { conversation, dataOf } from "./input.js"
import { strictly } from "../../schema/strict.js"
import { native } from "../native.js"

/** What a request asks for that the protocol has no word for. */
const unsupported = (request: ChatRequest, dialect: Dialect): string | undefined => {
  if (request.stop !== undefined && request.stop.length > 0) return "stop"
  if (request.seed !== undefined) return "seed"
  const foreign = native.unsupported(request)
  if (foreign !== undefined) return foreign
  for (const message of request.messages) {
    if (message.role !== "user") continue
    if (message.name !== undefined) return "name of a user message"
    if (typeof message.content === "string") continue
    for (const part of message.content) {
      if (part.type !== "audio") continue
      if (!dialect.audio) return "audio input"
      if (dataOf(part.url) === undefined) return "audio input by URL"
    }
  }
  return undefined
}

/** A function that takes nothing. */
const noParameters = { type: "object", properties: {}, required: [], additionalProperties: false }

/** Of a tool that was defined in this protocol nothing is decided here. */
const functionTool = (tool: ToolDefinition, dialect: Dialect): Json => {
  const { description, name, parameters = noParameters } = tool
  const usual = native.fieldsOf(tool) === undefined ? dialect.strictTools : undefined
  const { schema, ...held } = strictly(parameters, tool.strict ?? usual)
  const written = {
    type: "function",
    name,
    ...(description === undefined ? {} : { description }),
    parameters: schema,
    ...held
  }
  return native.encode(written, tool)
}

const toolsOf = (request: ChatRequest, dialect: Dialect): unknown => {
  const own = request.tools?.map((tool) => functionTool(tool, dialect)) ?? []
  const further = request.extra?.["tools"]
  if (further === undefined) return own.length === 0 ? undefined : own
  return Array.isArray(further) ? [...own, ...further] : further
}

const choiceOf = (choice: ToolChoice): unknown =>
  typeof choice === "string" ? choice : { type: "function", name: choice.name }

const formatOf = (format: ResponseFormat): Record<string, unknown> => {
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
  { budgetTokens, effort, summary }: NonNullable<ChatRequest["reasoning"]>,
  dialect: Dialect
): Record<string, unknown> => ({
  ...(effort === undefined ? {} : { effort }),
  ...(summary === undefined ? {} : { summary }),
  ...(budgetTokens === undefined || !dialect.reasoningBudget ? {} : { max_tokens: budgetTokens })
})

const sealed = "reasoning.encrypted_content"

/** OpenAI's models from before its first that thinks. They answer the question for sealed thoughts with an error. */
const thoughtless = /(?:^|\/)(?:gpt-3|gpt-4|chatgpt-4)/

const present = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

export const encodeRequest =
  (dialect: Dialect) =>
  (
    request: ChatRequest,
    { model: fallback, provider, stream }: Peer & { readonly stream: boolean }
  ): Either.Either<WireRequest, WireFailure> => {
    const feature = unsupported(request, dialect)
    if (feature !== undefined) return Either.left({ _tag: "Unsupported", feature })
    const model = request.model ?? fallback
    const { tools: _, stream: __, ...extra } = request.extra ?? {}
    const reasoning = request.reasoning === undefined ? {} : reasoningOf(request.reasoning, dialect)
    const asksSealed = dialect.sealedReasoning && reasoning["effort"] !== "none" && !thoughtless.test(model)
    const stored = ("store" in extra ? extra["store"] : dialect.store) !== false
    return Either.right({
      path: "/responses",
      body: {
        ...present({
          model,
          ...conversation(request, { provider, dialect, stored }),
          tools: toolsOf(request, dialect),
          tool_choice: request.toolChoice === undefined ? undefined : choiceOf(request.toolChoice),
          parallel_tool_calls: request.parallelToolCalls,
          text: request.responseFormat === undefined ? undefined : { format: formatOf(request.responseFormat) },
          reasoning: Object.keys(reasoning).length === 0 ? undefined : reasoning,
          max_output_tokens: request.maxTokens,
          temperature: request.temperature,
          top_p: request.topP,
          user: request.user,
          metadata: request.metadata,
          store: dialect.store,
          include: asksSealed ? [sealed] : undefined
        }),
        ...extra,
        stream
      }
    })
  }

// -------------------------------------------------------------------------------------
// what a server refuses
// -------------------------------------------------------------------------------------

const refusal =
  /unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|not (?:be )?(?:supported|permitted|allowed|implemented|verified|decrypted)|extra (?:inputs|fields)|must be|should be/i

const isSealed = (item: unknown): boolean => typeof item === "object" && item !== null && "encrypted_content" in item

const withoutField = (request: WireRequest, field: string): WireRequest => {
  const { [field]: _, ...body } = request.body
  return { ...request, body }
}

/**
 * Thoughts that were sealed for another organisation, whose key is in the same pool; the question for sealed thoughts, asked
 * of a model or a server that has none; `store`, which only OpenAI's own servers know.
 */
export const withoutRefused = (request: WireRequest, message: string): WireRequest | undefined => {
  const { include, input, store } = request.body
  if (!refusal.test(message)) return undefined
  if (/encrypted[ _]content/i.test(message) && /verified|decrypt/i.test(message)) {
    return Array.isArray(input) && input.some(isSealed)
      ? { ...request, body: { ...request.body, input: input.filter((item) => !isSealed(item)) } }
      : undefined
  }
  if (/encrypted[ _]content|\binclude\b/i.test(message) && Array.isArray(include) && include.includes(sealed)) {
    const others = include.filter((wanted) => wanted !== sealed)
    return others.length === 0
      ? withoutField(request, "include")
      : { ...request, body: { ...request.body, include: others } }
  }
  return /(?<!vector[ _-]?)\bstore\b/i.test(message) && store !== undefined ? withoutField(request, "store") : undefined
}
