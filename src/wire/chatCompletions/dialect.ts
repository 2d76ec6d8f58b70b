import type { Reasoning } from "../../vocabulary/Chat.js"
import type * as OpenAIEmbeddings from "../embeddings/dialect.js"

/**
 * How much to think, in our words.
 *
 * @since 0.1.0
 * @category model
 */
export type Effort = NonNullable<Reasoning["effort"]>

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
   * Mistral, Zhipu and Perplexity send it unasked; Mistral refuses the question. @default true
   */
  readonly streamUsage: boolean
  /**
   * How thinking is asked for.
   *
   * - `effort`: `reasoning_effort` (OpenAI, API reference, chat/create). A budget of tokens has no word there.
   * - `object`: `reasoning: { effort }` or, where there is a budget, `reasoning: { max_tokens }` (OpenRouter, "Reasoning
   *   Tokens": one of the two, not both).
   * - `enabled`: on or off in `reasoning: { enabled }`, beside `reasoning_effort` (Together, "Reasoning").
   * - `thinking`: on or off in `thinking: { type }`, beside `reasoning_effort` (DeepSeek, "Thinking Mode"; Moonshot, "Using
   *   Thinking Models"; Z.ai, "Thinking Mode"). None of them has a word for a budget.
   * - `enable_thinking`: on or off, and at most so many tokens in `thinking_budget` (Alibaba's Model Studio, "Deep thinking").
   * - `groq`: `reasoning_effort`, which Qwen takes as `none` or `default` alone; and of the models that think in `<think>` tags
   *   unless told otherwise `reasoning_format: "parsed"`, asked or not (Groq, "Reasoning").
   * - `none`: not at all.
   *
   * @default "effort"
   */
  readonly reasoning: "effort" | "object" | "enabled" | "thinking" | "enable_thinking" | "groq" | "none"
  /** The provider's words for efforts where they are not ours, or where it has fewer. @default {} */
  readonly efforts: Readonly<Partial<Record<Effort, string>>>
  /**
   * How the thoughts of earlier turns are sent back, which is how a server tells them.
   *
   * - `reasoning_content`: a text beside the content (DeepSeek and Moonshot, which refuse tool results without it; Z.ai).
   * - `reasoning_details`: a list, unchanged (OpenRouter, "Preserving reasoning"). Thoughts of other providers stay out.
   * - `thinking-parts`: parts of the content (Mistral, "Reasoning").
   * - `none`: not at all.
   *
   * @default "none"
   */
  readonly history: "reasoning_content" | "reasoning_details" | "thinking-parts" | "none"
  /**
   * Whether marks for the provider's cache are sent, as `cache_control` on parts of the content.
   *
   * - `ttl`: with how long they shall hold (OpenRouter, "Prompt Caching").
   * - `plain`: without, since it is five minutes always (Alibaba's Model Studio, "Context Cache").
   * - `none`: not at all; the provider caches by itself, or not.
   *
   * @default "none"
   */
  readonly cacheControl: "ttl" | "plain" | "none"
  /**
   * Whether users and the model must take turns, after system messages that all stand at the beginning (Perplexity, which
   * answers anything else with `invalid_message`). Messages of the same role then become one. @default false
   */
  readonly alternate: boolean
  /**
   * Whether users may have names. Where they may not (Groq, "OpenAI Compatibility"; Mistral, which refuses what it does not
   * know), a request with one is `Unsupported`. @default true
   */
  readonly names: boolean
  /** Whether the model can call tools. Where it cannot (Perplexity), a request with tools is `Unsupported`. @default true */
  readonly tools: boolean
  /**
   * Which choices of a tool there are.
   *
   * - `auto`: the model's own (Zhipu, API reference, chat: "only auto is supported"). Tools that shall not be called are left
   *   out, and a call that must be made is `Unsupported`.
   * - `unthinking`: all, but a model that thinks cannot be made to call (DeepSeek and Moonshot, whose models think unless told
   *   otherwise: "Thinking mode does not support this tool_choice"). It is told not to think then, and where a request wants
   *   both, it is `Unsupported`.
   * - `all`.
   *
   * @default "all"
   */
  readonly toolChoices: "all" | "auto" | "unthinking"
  /**
   * Which ids of calls the provider takes. Mistral refuses all but nine letters and digits (error 3280), also where another
   * provider gave them: they are replaced, calls and results alike. @default "any"
   */
  readonly callIds: "any" | "nine-characters"
  /**
   * Whether the result of a tool may hold images and files. OpenAI takes text alone there (API reference, chat/create), so they follow
   * the results in a user message. Mistral and OpenRouter document parts of any kind there, and Mistral refuses a user message behind a
   * result. @default false
   * @since 0.2.0
   */
  readonly toolImages: boolean
  /** The word for "call at least one tool": Mistral says `any` (API reference, chat). @default "required" */
  readonly toolChoiceRequired: "required" | "any"
  /** Mistral calls it `random_seed` (API reference, chat). @default "seed" */
  readonly seedField: "seed" | "random_seed"
  /**
   * Zhipu says `user_id` (API reference, chat). Mistral has no such field and refuses what it does not know; as the name is only
   * for the detection of abuse, it is left out there. @default "user"
   */
  readonly userField: "user" | "user_id" | "none"
  /**
   * Whether an answer can be held to be JSON of any shape. Where it cannot (Perplexity, "Structured Outputs": a schema or
   * nothing), a request for it is `Unsupported`. @default true
   */
  readonly jsonObject: boolean
  /**
   * Whether an answer can be held to a JSON Schema. Where it cannot (DeepSeek, "JSON Output": at most to be some JSON object),
   * a request with a schema is `Unsupported`, so that none is lost unheard; `LLM.object` then finds another way. @default true
   */
  readonly jsonSchema: boolean
  /** How the provider's embeddings deviate; `false` where it has none. @default as OpenAI's, 256 texts a request, as numbers */
  readonly embeddings?: Partial<OpenAIEmbeddings.Dialect> | false
  /** Whether the provider lists its models at `/models`. @default true */
  readonly models: boolean
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
  efforts: {},
  history: "none",
  cacheControl: "none",
  alternate: false,
  names: true,
  tools: true,
  toolChoices: "all",
  callIds: "any",
  toolImages: false,
  toolChoiceRequired: "required",
  seedField: "seed",
  userField: "user",
  jsonObject: true,
  jsonSchema: true,
  models: true
}
