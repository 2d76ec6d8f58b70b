/** How much to think. Anthropic, "Thinking", "Extended thinking", "Effort". */
import { Either } from "effect"
import type { ChatRequest, Reasoning } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import type { Encoded } from "./content.js"
import { unsupported } from "./content.js"
import type { Dialect } from "../dialect.js"
import type { Effort, Traits } from "../models.js"

type Grade = NonNullable<Reasoning["effort"]>

/** The protocol's grades for ours, the best fitting first. */
const grades: Readonly<Record<Grade, ReadonlyArray<Effort>>> = {
  none: ["low"],
  minimal: ["low"],
  low: ["low"],
  medium: ["medium"],
  high: ["high"],
  xhigh: ["xhigh", "max", "high"]
}

/** The least that `budget_tokens` may be. */
const leastBudget = 1024

/** Tokens to think with, for models that are told a number instead of a grade. */
const budgets: Readonly<Record<Grade, number>> = {
  none: 0,
  minimal: leastBudget,
  low: 2048,
  medium: 8192,
  high: 16_384,
  xhigh: 31_999
}

/** A budget must be less than `max_tokens`; a fifth is kept for the answer where it has to shrink. */
const within = (budget: number, maxTokens: number): number | undefined => {
  const fitting = budget < maxTokens ? budget : Math.floor(maxTokens * 0.8)
  const most = Math.max(fitting, leastBudget)
  return most < maxTokens ? most : undefined
}

const isForced = ({ toolChoice }: ChatRequest): boolean => toolChoice === "required" || typeof toolChoice === "object"

const effortOf = (grade: Grade | undefined, traits: Traits): Json => {
  const effort = grade === undefined ? undefined : grades[grade].find((each) => traits.efforts.includes(each))
  return effort === undefined ? {} : { effort }
}

/** What is said of thinking, and of effort, which goes elsewhere. */
export interface Thinking {
  readonly thinking?: Json
  readonly effort?: Json
}

const wanted = (reasoning: Reasoning, traits: Traits, maxTokens: number): Thinking => {
  const { budgetTokens, effort: grade, summary } = reasoning
  if (grade === "none" || budgetTokens === 0) {
    if (traits.rest !== undefined) return { thinking: { type: traits.rest } }
    return { effort: effortOf("none", traits) }
  }
  const effort = effortOf(grade, traits)
  if (traits.thinking === "none") return { effort }
  if (traits.thinking === "adaptive" || (traits.thinking === "either" && budgetTokens === undefined)) {
    return { thinking: { type: "adaptive", ...(summary === undefined ? {} : { display: "summarized" }) }, effort }
  }
  const budget = within(budgetTokens ?? budgets[grade ?? "medium"], maxTokens)
  return budget === undefined ? { effort } : { thinking: { type: "enabled", budget_tokens: budget }, effort }
}

const isBudgeted = ({ thinking }: Thinking): boolean => thinking?.["type"] === "enabled"

const isOn = (told: Thinking): boolean => isBudgeted(told) || told.thinking?.["type"] === "adaptive"

/** What cannot be asked for together with thinking, or of this model at all. */
const excluded = (request: ChatRequest, traits: Traits, thinking: boolean): string | undefined => {
  const { temperature = 1, topP = 1 } = request
  if (!traits.forcedTools && isForced(request)) return "tool that must be called"
  if (!traits.sampling && temperature !== 1) return "temperature"
  if (!traits.sampling && topP !== 1) return "top_p"
  if (thinking && temperature !== 1) return "temperature while thinking"
  if (thinking && topP < 0.95) return "top_p below 0.95 while thinking"
  return undefined
}

/**
 * What a request says of thinking. It gives way to a tool that must be called, and to a turn of tool calls that was begun
 * without it: the model cannot do both.
 */
export const thinkingOf = (
  request: ChatRequest,
  {
    dialect,
    maxTokens,
    midway,
    traits
  }: {
    readonly dialect: Dialect
    readonly traits: Traits
    readonly maxTokens: number
    /** In a turn of tool calls that the model began without thinking. */
    readonly midway: boolean
  }
): Encoded<Thinking> => {
  const asked = request.reasoning === undefined ? {} : wanted(request.reasoning, traits, maxTokens)
  if (!dialect.modelLimits) return Either.right(asked)
  const yields = isOn(asked) && (isForced(request) || (midway && isBudgeted(asked)))
  const { thinking: _, ...effortAlone } = asked
  const told: Thinking = yields ? effortAlone : asked
  const feature = excluded(request, traits, isOn(told))
  return feature === undefined ? Either.right(told) : unsupported(feature)
}
