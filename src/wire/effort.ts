/**
 * How much a model reasons: the efforts of all protocols in their order, and the token budgets that they stand for. A target has some of
 * the efforts, or a budget, or both.
 */
import type { Reasoning } from "../vocabulary/Chat.js"

/**
 * Effort of reasoning in the vocabulary.
 *
 * @since 0.1.0
 * @category model
 */
export type Effort = NonNullable<Reasoning["effort"]>

/**
 * In tokens. All of them fit into the ranges of Claude (1024 to `max_tokens`) and of Qwen, and into those of Gemini 2.5 but for `max`.
 * Sources: Anthropic, "Extended thinking"; Gemini API, "Thinking", and "OpenAI compatibility" there; Alibaba Cloud Model Studio, "Deep thinking".
 */
export const budgets: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 2048,
  medium: 8192,
  high: 16_384,
  xhigh: 24_576,
  max: 30_720
}

const order: ReadonlyArray<string> = Object.keys(budgets)

/** The effort of a budget: one that every model with efforts has. */
export const effortOfBudget = (tokens: number): Effort =>
  tokens === 0 ? "none" : tokens <= budgets.low ? "low" : tokens <= budgets.medium ? "medium" : "high"

/** The effort of a request, or that of its budget. */
export const effortOf = ({ budgetTokens, effort }: Reasoning): Effort | undefined =>
  effort ?? (budgetTokens === undefined ? undefined : effortOfBudget(budgetTokens))

/** The budget of a request, or that of its effort. */
export const budgetOf = ({ budgetTokens, effort }: Reasoning): number | undefined =>
  budgetTokens ?? (effort === undefined ? undefined : budgets[effort])

/** The supported effort that is the closest to the requested one, the higher one of two; undefined when there is none. */
export const closestEffort = <E extends Effort>(effort: Effort, supported: ReadonlyArray<E>): E | undefined => {
  const distance = (other: E): number => Math.abs(order.indexOf(other) - order.indexOf(effort) - 0.1)
  return supported.reduce<E | undefined>(
    (best, each) => (best === undefined || distance(each) < distance(best) ? each : best),
    undefined
  )
}

interface ModelEfforts {
  readonly name: RegExp
  readonly efforts: ReadonlyArray<Effort>
}

/**
 * OpenAI's models that do not have all efforts, which they reject ("Unsupported value: 'minimal' is not supported with the 'gpt-5.1' model").
 * The first match counts. Sources: OpenAI, "Reasoning models", and API reference, `reasoning_effort`.
 */
const openaiModels: ReadonlyArray<ModelEfforts> = [
  { name: /(?:^|\/)(?:o\d|codex-mini|gpt-5(?:\.1)?-codex(?!-max)|gpt-oss)/, efforts: ["low", "medium", "high"] },
  { name: /(?:^|\/)gpt-5-pro/, efforts: ["high"] },
  { name: /(?:^|\/)gpt-5\.1-codex-max/, efforts: ["low", "medium", "high", "xhigh"] },
  { name: /(?:^|\/)gpt-5\.1/, efforts: ["none", "low", "medium", "high"] },
  { name: /(?:^|\/)gpt-5(?![.\d])/, efforts: ["minimal", "low", "medium", "high"] },
  { name: /(?:^|\/)gpt-5\.[2-5]/, efforts: ["none", "low", "medium", "high", "xhigh"] }
]

/** OpenAI's models that do not reason. */
export const isWithoutReasoning = (model: string): boolean => /(?:^|\/)(?:gpt-3|gpt-4|chatgpt-4)/.test(model)

/**
 * The effort for a model of a protocol of OpenAI. A model that does not reason gets no effort for a budget; an effort in the request is the
 * caller's to choose.
 */
export const openaiEffort = (reasoning: Reasoning, model: string): Effort | undefined => {
  const effort = effortOf(reasoning)
  if (effort === undefined || (reasoning.effort === undefined && isWithoutReasoning(model))) return undefined
  const known = openaiModels.find(({ name }) => name.test(model))
  return known === undefined ? effort : closestEffort(effort, known.efforts)
}
