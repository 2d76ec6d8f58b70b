import type * as OpenAIEmbeddings from "../embeddings/openai.js"

/**
 * How providers deviate from OpenAI's Chat Completions protocol, as data.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Below the base URL; `{model}` stands for the model (Azure OpenAI's deployments). @default "/chat/completions"
   */
  readonly path: string
  /**
   * OpenAI renamed `max_tokens` to `max_completion_tokens` (API reference, chat/create), and its models that think refuse
   * the old name. Servers that do not know the new name pass over it, so the old one is the default.
   * @default "max_tokens"
   */
  readonly maxTokensField: "max_tokens" | "max_completion_tokens"
  /** What a developer message is called. OpenAI alone knows the newer name (Model Spec). @default "system" */
  readonly developerRole: "system" | "developer"
  /**
   * Whether usage in streams must be asked for with `stream_options.include_usage` (OpenAI, API reference, chat/create).
   * Mistral sends it unasked and refuses the question. @default true
   */
  readonly streamUsage: boolean
  /**
   * How thinking is asked for.
   *
   * - `effort`: `reasoning_effort` (OpenAI, API reference, chat/create). A budget of tokens has no word there.
   * - `object`: `reasoning: { effort }` or, where there is a budget, `reasoning: { max_tokens }` (OpenRouter, "Reasoning
   *   Tokens": one of the two, not both).
   * - `thinking`: `thinking: { type, budget_tokens }` beside `reasoning_effort` (DeepSeek, "Thinking Mode"; Moonshot, "Using
   *   Thinking Models"; Z.ai).
   * - `enable_thinking`: on or off, and at most so many tokens in `thinking_budget` (Alibaba's Model Studio, "Deep thinking").
   * - `none`: not at all.
   *
   * @default "effort"
   */
  readonly reasoning: "effort" | "object" | "thinking" | "enable_thinking" | "none"
  /**
   * How the thoughts of earlier turns are sent back, which is how a server tells them.
   *
   * - `reasoning_content`: a text beside the content (DeepSeek and Moonshot, which refuse tool results without it).
   * - `reasoning_details`: a list, unchanged (OpenRouter, "Preserving reasoning"). Thoughts of other providers stay out.
   * - `thinking-parts`: parts of the content (Mistral, "Reasoning").
   * - `none`: not at all.
   *
   * @default "none"
   */
  readonly history: "reasoning_content" | "reasoning_details" | "thinking-parts" | "none"
  /** The word for "call at least one tool": Mistral says `any` (API reference, chat). @default "required" */
  readonly toolChoiceRequired: "required" | "any"
  /** Mistral calls it `random_seed` (API reference, chat). @default "seed" */
  readonly seedField: "seed" | "random_seed"
  /**
   * Whether an answer can be held to a JSON Schema. Where it cannot (DeepSeek, "JSON Output": any JSON object at most), a
   * request with a schema is `Unsupported`, so that none is lost unheard; `LLM.object` then finds another way. @default true
   */
  readonly jsonSchema: boolean
  /** How the provider's embeddings deviate. `false`: it has none. @default as OpenAI's, 256 texts a request, as numbers */
  readonly embeddings?: Partial<OpenAIEmbeddings.Dialect> | false
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
