/**
 * How providers deviate from OpenAI's Chat Completions protocol, as data.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /** Below the base URL; `{model}` stands for the model (Azure OpenAI's deployments). @default "/chat/completions" */
  readonly path: string
  /** OpenAI renamed `max_tokens` to `max_completion_tokens` (API reference, chat/create); few followed. @default "max_tokens" */
  readonly maxTokensField: "max_tokens" | "max_completion_tokens"
  /** What a developer message is called. @default "system" */
  readonly developerRole: "system" | "developer"
  /** Whether `stream_options.include_usage` must be asked for. @default true */
  readonly streamUsage: boolean
  /**
   * How the effort of thinking is asked for: `reasoning_effort` (OpenAI and most), an object `reasoning` (OpenRouter,
   * "Reasoning tokens"), an object `thinking` (DeepSeek, Moonshot, Z.ai), or not at all. @default "effort"
   */
  readonly reasoning: "effort" | "object" | "thinking" | "none"
  /**
   * How the thoughts of earlier turns are sent back: as the field `reasoning_content` (DeepSeek, Moonshot), as
   * `reasoning_details` (OpenRouter), as parts of the content (Mistral, "Reasoning"), or not at all. @default "none"
   */
  readonly history: "reasoning_content" | "reasoning_details" | "thinking-parts" | "none"
  /** The word for "call at least one tool": Mistral says `any`. @default "required" */
  readonly toolChoiceRequired: "required" | "any"
  /** Mistral calls it `random_seed`. @default "seed" */
  readonly seedField: "seed" | "random_seed"
  /** Whether an answer can be held to a JSON Schema; else any JSON is asked for. @default true */
  readonly jsonSchema: boolean
}

/**
 * The protocol as most follow it.
 *
 * @since 0.1.0
 * @category model
 */
export const common: Dialect = {
  path: "/chat/completions",
  maxTokensField: "max_tokens",
  developerRole: "system",
  streamUsage: true,
  reasoning: "effort",
  history: "none",
  toolChoiceRequired: "required",
  seedField: "seed",
  jsonSchema: true
}
