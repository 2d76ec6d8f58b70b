import type * as OpenAIEmbeddings from "../embeddings/dialect.js"
import { protocolFields } from "../sampling.js"
import type { AffinityHint, SamplingField } from "../Wire.js"

/**
 * How a server deviates from OpenAI.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Sent as `store`: whether the provider stores the response. `undefined` omits the field, which OpenAI treats as true.
   * Every request contains the whole conversation, so nothing needs to be stored.
   *
   * @default false
   */
  readonly store: boolean | undefined
  /**
   * Requests encrypted reasoning (`include: ["reasoning.encrypted_content"]`), which can be sent back in the next turn when
   * the provider stores nothing. Not requested from OpenAI's models without reasoning, which reject it.
   *
   * @default true
   */
  readonly sealedReasoning: boolean
  /**
   * `strict` of a tool that does not set it. OpenAI makes a tool without the field strict if it can.
   *
   * @default true
   */
  readonly strictTools: boolean
  /**
   * Whether user messages can contain audio. OpenAI's protocol has no field for it.
   *
   * @default false
   */
  readonly audio: boolean
  /**
   * Whether every message of the assistant is sent with an id and a status, which OpenRouter requires. An id is generated for one
   * that has none from this provider.
   *
   * @default false
   */
  readonly messageIds: boolean
  /**
   * Whether reasoning that no other item follows is sent back, as OpenRouter does with the signatures of Gemini. OpenAI rejects it.
   *
   * @default false
   * @since 0.2.0
   */
  readonly lastReasoning: boolean
  /**
   * Whether `budgetTokens` is sent (as `reasoning.max_tokens`, an extension of OpenRouter). OpenAI has only an effort:
   * without the extension the effort of the budget is sent.
   *
   * @default false
   */
  readonly reasoningBudget: boolean
  /**
   * The smallest `max_output_tokens` that the server accepts. A smaller `maxTokens` is raised to it.
   *
   * @default 16
   * @since 0.2.0
   */
  readonly minOutputTokens: number
  /**
   * The settings that the server takes, beside `temperature` and `topP`. A request with another one is `Unsupported`, unless its
   * value has no effect.
   *
   * @default OpenAI's: `logprobs`
   * @since 0.2.0
   */
  readonly sampling: ReadonlyArray<SamplingField>
  /**
   * Whether the server takes requests as OpenAI's clients write them, so that a gateway passes bodies of its own clients unchanged.
   *
   * @default true
   * @since 0.2.0
   */
  readonly faithful: boolean
  /**
   * Where the server takes the affinity of a conversation: `prompt_cache_key` (OpenAI, "Prompt caching"; xAI, "Maximizing cache hits").
   * @default none
   * @since 0.2.0
   */
  readonly affinity?: AffinityHint
  /** Deviations of the server's embeddings; `false` when it has none. @default OpenAI's, with 256 texts a request and numbers */
  readonly embeddings?: Partial<OpenAIEmbeddings.Dialect> | false
}

/**
 * OpenAI itself, without storing responses there.
 *
 * @since 0.1.0
 * @category model
 */
export const openai: Dialect = {
  store: false,
  sealedReasoning: true,
  strictTools: true,
  audio: false,
  messageIds: false,
  lastReasoning: false,
  reasoningBudget: false,
  minOutputTokens: 16,
  sampling: protocolFields.responses,
  faithful: true
}
