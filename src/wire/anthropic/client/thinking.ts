/** Encodes `reasoning`. Source: Anthropic, "Thinking", "Extended thinking", "Effort". */
import { Either } from "effect"
import type { ChatRequest, Reasoning } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import type { Encoded } from "./content.js"
import type { Effort } from "../../effort.js"
import { budgetOf, budgets, closestEffort, effortOf } from "../../effort.js"
import { unsupported } from "../../requestFields.js"
import type { Dialect } from "../dialect.js"
import type { Traits } from "../models.js"

/** The minimum of `budget_tokens`. */
const minBudget = 1024

/** A budget must be less than `max_tokens`. A larger one is reduced to four fifths of it; undefined when none is valid. */
const limitedBudget = (budget: number, maxTokens: number): number | undefined => {
  const reduced = budget < maxTokens ? budget : Math.floor(maxTokens * 0.8)
  const limited = Math.max(reduced, minBudget)
  return limited < maxTokens ? limited : undefined
}

const requiresTool = ({ toolChoice }: ChatRequest): boolean =>
  toolChoice === "required" || typeof toolChoice === "object"

const effortField = (requested: Effort | undefined, traits: Traits): Json => {
  const effort = requested === undefined ? undefined : closestEffort(requested, traits.efforts)
  return effort === undefined ? {} : { effort }
}

/** The field `thinking`, and the effort, which is a field of `output_config`. */
export interface Thinking {
  readonly thinking?: Json
  readonly effort?: Json
}

const requestedThinking = (reasoning: Reasoning, traits: Traits, maxTokens: number): Thinking => {
  const { budgetTokens, effort: requested, summary } = reasoning
  if (requested === "none" || budgetTokens === 0) {
    if (traits.thinkingOff !== undefined) return { thinking: { type: traits.thinkingOff } }
    return { effort: effortField("none", traits) }
  }
  // Beside a budget that the model takes, an effort is only what was asked for.
  const takesBudget = budgetTokens !== undefined && traits.thinking !== "adaptive"
  const effort = effortField(takesBudget ? requested : effortOf(reasoning), traits)
  if (traits.thinking === "none") return { effort }
  if (traits.thinking === "adaptive" || (traits.thinking === "either" && budgetTokens === undefined)) {
    return { thinking: { type: "adaptive", ...(summary === undefined ? {} : { display: "summarized" }) }, effort }
  }
  const budget = limitedBudget(budgetOf(reasoning) ?? budgets.medium, maxTokens)
  return budget === undefined ? { effort } : { thinking: { type: "enabled", budget_tokens: budget }, effort }
}

const hasBudget = ({ thinking }: Thinking): boolean => thinking?.["type"] === "enabled"

const isEnabled = (thinking: Thinking): boolean => hasBudget(thinking) || thinking.thinking?.["type"] === "adaptive"

/** The part of a request that the model does not accept, at all or together with thinking. */
const unsupportedFeature = (request: ChatRequest, traits: Traits, thinking: boolean): string | undefined => {
  const { temperature = 1, topP = 1 } = request
  if (!traits.forcedTools && requiresTool(request)) return "required tool call"
  if (!traits.sampling && temperature !== 1) return "temperature"
  if (!traits.sampling && topP !== 1) return "top_p"
  if (!traits.sampling && request.topK !== undefined) return "topK"
  if (thinking && request.topK !== undefined) return "topK with thinking enabled"
  if (thinking && temperature !== 1) return "temperature with thinking enabled"
  if (thinking && topP < 0.95) return "top_p below 0.95 with thinking enabled"
  return undefined
}

/**
 * Encodes `reasoning` for a model. Thinking is dropped when a tool is required, and a budget also in a turn of tool calls that
 * began without reasoning: the API rejects these combinations.
 */
export const encodeThinking = (
  request: ChatRequest,
  {
    dialect,
    maxTokens,
    traits,
    turnWithoutReasoning
  }: {
    readonly dialect: Dialect
    readonly traits: Traits
    readonly maxTokens: number
    /** Whether the conversation is in a turn of tool calls that began without reasoning. */
    readonly turnWithoutReasoning: boolean
  }
): Encoded<Thinking> => {
  const requested = request.reasoning === undefined ? {} : requestedThinking(request.reasoning, traits, maxTokens)
  if (!dialect.modelLimits) return Either.right(requested)
  const isDropped = isEnabled(requested) && (requiresTool(request) || (turnWithoutReasoning && hasBudget(requested)))
  const { thinking: _, ...effortOnly } = requested
  const encoded: Thinking = isDropped ? effortOnly : requested
  const feature = unsupportedFeature(request, traits, isEnabled(encoded))
  return feature === undefined ? Either.right(encoded) : unsupported(feature)
}
