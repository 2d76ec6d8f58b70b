import type { Effort } from "../effort.js"
import type * as OpenAIEmbeddings from "../embeddings/dialect.js"
import type { HistoryRule } from "./models.js"
import { allHistory } from "./models.js"
import { protocolFields } from "../sampling.js"
import type { AffinityHint, SamplingField } from "../Wire.js"

/**
 * Deviations of a provider from OpenAI's Chat Completions protocol, as data.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * The path below the base URL; `{model}` is replaced by the model (Azure OpenAI's deployments). @default "/chat/completions"
   */
  readonly path: string
  /**
   * The field for `maxTokens`. OpenAI renamed `max_tokens` to `max_completion_tokens` (API reference, chat/create), and its
   * reasoning models reject the old name. Servers without the new name ignore it, so the old one is the default.
   *
   * @default "max_tokens"
   */
  readonly maxTokensField: "max_tokens" | "max_completion_tokens"
  /** The role of developer messages. Only OpenAI has `developer` (Model Spec). @default "system" */
  readonly developerRole: "system" | "developer"
  /**
   * Whether streams contain usage only with `stream_options.include_usage` (OpenAI, API reference, chat/create). Mistral, Zhipu
   * and Perplexity always send it; Mistral rejects the option. @default true
   */
  readonly streamUsage: boolean
  /**
   * The fields that request reasoning.
   *
   * - `effort`: `reasoning_effort` (OpenAI, API reference, chat/create). A token budget is the effort that it stands for.
   * - `object`: `reasoning: { effort }`, or `reasoning: { max_tokens }` for a budget (OpenRouter, "Reasoning Tokens": one of the
   *   two, not both).
   * - `enabled`: `reasoning: { enabled }`, and `reasoning_effort` (Together, "Reasoning").
   * - `thinking`: `thinking: { type }`, and `reasoning_effort` (DeepSeek, "Thinking Mode"; Moonshot, "Using Thinking Models";
   *   Z.ai, "Thinking Mode"). None of them has a field for a budget.
   * - `enable_thinking`: `enable_thinking`, and a token budget in `thinking_budget` (Alibaba's Model Studio, "Deep thinking").
   * - `groq`: `reasoning_effort`, for which Qwen accepts only `none` and `default`; and always `reasoning_format: "parsed"` for
   *   models that otherwise write `<think>` tags (Groq, "Reasoning").
   * - `reasoning_split`: always `reasoning_split: true`, without which models write `<think>` tags; and `thinking: { type }` for
   *   MiniMax M3 and later (MiniMax, "Compatible OpenAI API" and "Chat Completions API"). Older models always reason.
   * - `none`: no field.
   *
   * @default "effort"
   */
  readonly reasoning:
    | "effort"
    | "object"
    | "enabled"
    | "thinking"
    | "enable_thinking"
    | "groq"
    | "reasoning_split"
    | "none"
  /** The values of the provider for efforts that it names differently or does not have. @default {} */
  readonly efforts: Readonly<Partial<Record<Effort, string>>>
  /**
   * How the reasoning of earlier turns is sent back. A server sends reasoning in the same form.
   *
   * - `reasoning_content`: a text beside the content (DeepSeek and Moonshot, which reject tool results without it; Z.ai; xAI).
   * - `reasoning`: the same under the name that OpenAI's guide for gpt-oss gives it (vLLM, Groq, Together, Ollama). Groq rejects
   *   `reasoning_content`.
   * - `reasoning_details`: a list, unchanged (OpenRouter, "Preserving reasoning"; MiniMax). Reasoning of other providers is left
   *   out.
   * - `thinking-parts`: entries of the content, in their place among the texts (Mistral, "Reasoning"; Databricks, "Query reasoning
   *   models").
   * - `none`: not sent back.
   *
   * Of another provider's reasoning at most the text is sent: signatures, ids and encrypted reasoning are only valid at the
   * provider that made them.
   *
   * @default "none"
   */
  readonly history: "reasoning_content" | "reasoning" | "reasoning_details" | "thinking-parts" | "none"
  /**
   * Which reasoning of earlier turns a model gets back, by its name. The first matching rule counts; models that match none get
   * nothing back. Has no effect if `history` is `none`.
   *
   * @default the reasoning of all turns to all models, and an empty one where DeepSeek V4 and Kimi K2 need it
   * @since 0.2.0
   */
  readonly historyModels: ReadonlyArray<HistoryRule>
  /**
   * Whether cache control is sent, as `cache_control` on parts of the content.
   *
   * - `ttl`: with its lifetime (OpenRouter, "Prompt Caching").
   * - `plain`: without a lifetime, which is always five minutes (Alibaba's Model Studio, "Context Cache").
   * - `none`: not sent; the provider caches automatically or not at all.
   *
   * @default "none"
   */
  readonly cacheControl: "ttl" | "plain" | "none"
  /**
   * Whether user and assistant messages must alternate after all system messages (Perplexity, which rejects anything else with
   * `invalid_message`). Consecutive messages of the same role are then joined. @default false
   */
  readonly alternate: boolean
  /**
   * Whether user messages can have a name. If false (Groq, "OpenAI Compatibility"; Mistral, which rejects unknown fields), a
   * request with one is `Unsupported`. @default true
   */
  readonly names: boolean
  /**
   * The fields of assistant messages that the provider accepts beside OpenAI's first ones. OpenAI, API reference, chat/create.
   *
   * - `refusal`: without it, a refusal is sent as text.
   * - `audio`: the id of an earlier answer in audio.
   *
   * @default []
   * @since 0.2.0
   */
  readonly assistantFields: ReadonlyArray<"refusal" | "audio">
  /** Whether the provider has tools. If false (Perplexity), a request with tools is `Unsupported`. @default true */
  readonly tools: boolean
  /**
   * The supported tool choices.
   *
   * - `auto`: only `auto` (Zhipu, API reference, chat: "only auto is supported"). `none` sends no tools, and a required call is
   *   `Unsupported`.
   * - `unthinking`: all, but no required call with reasoning (DeepSeek and Moonshot, whose models reason by default: "Thinking
   *   mode does not support this tool_choice"). A required call switches reasoning off; a request for both is `Unsupported`.
   * - `all`.
   *
   * @default "all"
   */
  readonly toolChoices: "all" | "auto" | "unthinking"
  /**
   * The ids of tool calls that the provider accepts. Mistral accepts only nine letters and digits (error 3280): other ids, such
   * as those of another provider, are replaced in calls and results. @default "any"
   */
  readonly callIds: "any" | "nine-characters"
  /**
   * Whether tool results can contain images and files. OpenAI accepts only text (API reference, chat/create), so they are sent in
   * a user message after the results. Mistral and OpenRouter document parts of any kind, and Mistral rejects a user message after
   * a result. @default false
   * @since 0.2.0
   */
  readonly toolImages: boolean
  /** The tool choice that requires a call: Mistral has `any` (API reference, chat). @default "required" */
  readonly toolChoiceRequired: "required" | "any"
  /** The field for `seed`: Mistral has `random_seed` (API reference, chat). @default "seed" */
  readonly seedField: "seed" | "random_seed"
  /**
   * The field for `user`: Zhipu has `user_id` (API reference, chat). Mistral has none and rejects unknown fields; the name only
   * serves the detection of abuse, so `none` leaves it out. @default "user"
   */
  readonly userField: "user" | "user_id" | "none"
  /**
   * Whether the provider has JSON output without a schema. If false (Perplexity, "Structured Outputs": only a schema), a request
   * for it is `Unsupported`. @default true
   */
  readonly jsonObject: boolean
  /**
   * Whether the provider has output that follows a JSON Schema. If false (DeepSeek, "JSON Output": at most a JSON object), a
   * request with a schema is `Unsupported` and does not lose it silently; `LLM.generateObject` then uses another strategy. @default true
   */
  readonly jsonSchema: boolean
  /**
   * The settings that the provider takes, beside `temperature` and `topP`. A request with another one is `Unsupported`, unless its
   * value has no effect.
   *
   * @default OpenAI's: all but `topK`
   * @since 0.2.0
   */
  readonly sampling: ReadonlyArray<SamplingField>
  /**
   * The largest `temperature` that the provider accepts. @default 2, as OpenAI
   * @since 0.2.0
   */
  readonly maxTemperature: number
  /**
   * The largest number of `logprobs` that the provider accepts. @default 20, as OpenAI
   * @since 0.2.0
   */
  readonly maxLogprobs: number
  /** Deviations of the embeddings; `false` when there are none. @default as OpenAI's, 256 texts a request, as numbers */
  readonly embeddings?: Partial<OpenAIEmbeddings.Dialect> | false
  /** Whether the provider lists its models at `/models`. @default true */
  readonly models: boolean
  /**
   * Whether the provider's requests and answers are in the form that OpenAI documents, so that a gateway passes those of its own
   * clients unchanged. If false, the gateway writes requests for the provider and repairs the forms of reasoning and tool calls.
   *
   * @default false
   * @since 0.2.0
   */
  readonly faithful: boolean
  /**
   * Where the server takes the affinity of a conversation: `prompt_cache_key` (OpenAI, "Prompt caching"), `x-grok-conv-id` (xAI, "Maximizing
   * cache hits"). @default none
   * @since 0.2.0
   */
  readonly affinity?: AffinityHint
}

/**
 * The dialect of most providers.
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
  historyModels: allHistory,
  cacheControl: "none",
  alternate: false,
  names: true,
  assistantFields: [],
  tools: true,
  toolChoices: "all",
  callIds: "any",
  toolImages: false,
  toolChoiceRequired: "required",
  seedField: "seed",
  userField: "user",
  jsonObject: true,
  jsonSchema: true,
  sampling: protocolFields["chat-completions"],
  maxTemperature: 2,
  maxLogprobs: 20,
  models: true,
  faithful: false
}
