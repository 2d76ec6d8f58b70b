/** What Anthropic's models can do, as its documentation says. Data, not code. */

/** The protocol's grades of effort. */
export type Effort = "low" | "medium" | "high" | "xhigh" | "max"

/**
 * What a model can do, as far as a request depends on it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Traits {
  /** Sent as `max_tokens`, which the protocol insists on, where a request does not say: the most that the model writes. */
  readonly maxTokens: number
  /**
   * How the model is asked to think: not at all, with so many tokens (`budget_tokens`), as much as it finds right, or either
   * way.
   */
  readonly thinking: "none" | "budget" | "adaptive" | "either"
  /** The `thinking.type` that asks it not to; absent where it always thinks. */
  readonly rest?: "disabled" | "between_tools"
  /** The grades of `output_config.effort` that it knows. */
  readonly efforts: ReadonlyArray<Effort>
  /** Whether it takes `temperature` and `top_p` at all. */
  readonly sampling: boolean
  /** Whether it can be made to call a tool. */
  readonly forcedTools: boolean
  /** Whether a system message may stand further on in the conversation; elsewhere it moves to the beginning. */
  readonly systemInTurns: boolean
}

/**
 * What is known of the models whose names fit.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelRule extends Traits {
  readonly name: RegExp
}

const early = { efforts: [], sampling: true, forcedTools: true, systemInTurns: false } as const

const counting = { ...early, thinking: "budget", rest: "disabled" } as const

const adaptive = { ...early, maxTokens: 128_000, thinking: "adaptive", rest: "disabled" } as const

const grades: ReadonlyArray<Effort> = ["low", "medium", "high", "xhigh", "max"]

const fifth = { ...adaptive, efforts: grades, sampling: false, systemInTurns: true } as const

const { rest: _, ...restless } = fifth

/**
 * https://platform.claude.com/docs/en/models/overview and the migration guides there; "Thinking", "Effort" and
 * "Mid-conversation system messages". Amazon, Google and OpenRouter write something before and after these names, and a dot
 * in the version. The first that fits counts; a generation yet to come is taken to be as the newest.
 */
export const models: ReadonlyArray<ModelRule> = [
  { name: /claude-mythos-preview/, ...restless, thinking: "either", sampling: true, systemInTurns: false },
  { name: /claude-(?:fable|mythos)-5(?![-.]\d(?!\d))/, ...restless },
  { name: /claude-(?:fable|mythos|opus-5[-.]5)/, ...restless, forcedTools: false },
  { name: /claude-[a-z]+-5(?![-.]\d(?!\d))/, ...fifth },
  { name: /claude-[a-z]+-(?:[5-9]|[1-9]\d)(?!\d)/, ...fifth, rest: "between_tools", forcedTools: false },
  { name: /claude-opus-4[-.]8/, ...fifth },
  { name: /claude-opus-4[-.]7/, ...fifth, systemInTurns: false },
  {
    name: /claude-(?:opus|sonnet)-4[-.]6/,
    ...adaptive,
    thinking: "either",
    efforts: ["low", "medium", "high", "max"]
  },
  { name: /claude-opus-4[-.]5/, ...counting, maxTokens: 64_000, efforts: ["low", "medium", "high"] },
  { name: /claude-opus-4/, ...counting, maxTokens: 32_000 },
  { name: /claude-(?:sonnet|haiku)-4|claude-3[-.]7/, ...counting, maxTokens: 64_000 },
  { name: /claude-3[-.]5/, ...early, thinking: "none", maxTokens: 8192 },
  { name: /claude-3/, ...early, thinking: "none", maxTokens: 4096 }
]

/** What is assumed of a model that nobody knows: that it takes everything that the protocol has a word for. */
export const unknown: Traits = { ...counting, maxTokens: 8192 }
