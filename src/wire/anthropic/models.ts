/** The capabilities of Anthropic's models, as data from its documentation. */

/** The values of `output_config.effort`. */
export type Effort = "low" | "medium" | "high" | "xhigh" | "max"

/**
 * The capabilities of a model that requests depend on.
 *
 * @since 0.1.0
 * @category model
 */
export interface Traits {
  /** The output limit of the model: the default of `max_tokens`, which the protocol requires. */
  readonly maxTokens: number
  /** How thinking is requested: not at all, with a budget (`budget_tokens`), as much as the model chooses, or either way. */
  readonly thinking: "none" | "budget" | "adaptive" | "either"
  /** The `thinking.type` that disables thinking; absent when the model always thinks. */
  readonly thinkingOff?: "disabled" | "between_tools"
  /** The supported values of `output_config.effort`. */
  readonly efforts: ReadonlyArray<Effort>
  /** Whether the model accepts `temperature`, `top_p` and `top_k`. */
  readonly sampling: boolean
  /** Whether the model supports required tool calls. */
  readonly forcedTools: boolean
  /** Whether the model accepts system messages within the conversation; otherwise they are moved to the beginning. */
  readonly systemInTurns: boolean
}

/**
 * The capabilities of the models whose names match.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelRule extends Traits {
  readonly name: RegExp
}

const base = { efforts: [], sampling: true, forcedTools: true, systemInTurns: false } as const

const budgeted = { ...base, thinking: "budget", thinkingOff: "disabled" } as const

const adaptive = { ...base, maxTokens: 128_000, thinking: "adaptive", thinkingOff: "disabled" } as const

const allEfforts: ReadonlyArray<Effort> = ["low", "medium", "high", "xhigh", "max"]

const generation5 = { ...adaptive, efforts: allEfforts, sampling: false, systemInTurns: true } as const

const { thinkingOff: _, ...alwaysThinking } = generation5

/**
 * Source: https://platform.claude.com/docs/en/models/overview and the migration guides there; "Thinking", "Effort" and
 * "Mid-conversation system messages". Amazon, Google and OpenRouter add prefixes and suffixes to the names, and some write the
 * version with a dot. The first match counts. Future generations are assumed to have the capabilities of the newest.
 */
export const models: ReadonlyArray<ModelRule> = [
  { name: /claude-mythos-preview/, ...alwaysThinking, thinking: "either", sampling: true, systemInTurns: false },
  { name: /claude-(?:fable|mythos)-5(?![-.]\d(?!\d))/, ...alwaysThinking },
  { name: /claude-(?:fable|mythos|opus-5[-.]5)/, ...alwaysThinking, forcedTools: false },
  { name: /claude-[a-z]+-5(?![-.]\d(?!\d))/, ...generation5 },
  { name: /claude-[a-z]+-(?:[5-9]|[1-9]\d)(?!\d)/, ...generation5, thinkingOff: "between_tools", forcedTools: false },
  { name: /claude-opus-4[-.]8/, ...generation5 },
  { name: /claude-opus-4[-.]7/, ...generation5, systemInTurns: false },
  {
    name: /claude-(?:opus|sonnet)-4[-.]6/,
    ...adaptive,
    thinking: "either",
    efforts: ["low", "medium", "high", "max"]
  },
  { name: /claude-opus-4[-.]5/, ...budgeted, maxTokens: 64_000, efforts: ["low", "medium", "high"] },
  { name: /claude-opus-4/, ...budgeted, maxTokens: 32_000 },
  { name: /claude-(?:sonnet|haiku)-4|claude-3[-.]7/, ...budgeted, maxTokens: 64_000 },
  { name: /claude-3[-.]5/, ...base, thinking: "none", maxTokens: 8192 },
  { name: /claude-3/, ...base, thinking: "none", maxTokens: 4096 }
]

/** Assumed of unknown models: thinking with a budget, sampling and required tools, but no efforts. */
export const otherModels: Traits = { ...budgeted, maxTokens: 8192 }
