import type * as OpenAIEmbeddings from "../embeddings/dialect.js"

/**
 * How a server deviates from OpenAI.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Sent as `store`: whether the provider keeps the answer. `undefined` sends nothing, which OpenAI takes for true.
   * The whole conversation is sent with every request, so nothing needs to be kept.
   *
   * @default false
   */
  readonly store: boolean | undefined
  /**
   * Asks for thoughts in their sealed form (`include: ["reasoning.encrypted_content"]`), so that they can be sent back in
   * the next turn although the provider keeps nothing. Not asked of OpenAI's models that do not think, which refuse it.
   *
   * @default true
   */
  readonly sealedReasoning: boolean
  /**
   * What to send for a tool that does not say whether it is strict. OpenAI itself makes such a tool strict where it can.
   *
   * @default true
   */
  readonly strictTools: boolean
  /**
   * Whether a user's message may carry sound. OpenAI's protocol has no word for it.
   *
   * @default false
   */
  readonly audio: boolean
  /**
   * Whether what the model said before goes back with an id (made up) and a status, which OpenRouter requires.
   *
   * @default false
   */
  readonly messageIds: boolean
  /**
   * Whether the most tokens to think with can be said (`reasoning.max_tokens`, an addition of OpenRouter's). OpenAI only
   * grades thinking by its effort, so elsewhere `budgetTokens` is left to the providers that it is meant for.
   *
   * @default false
   */
  readonly reasoningBudget: boolean
  /** How the server's embeddings deviate. `false`: it has none. @default as OpenAI's, 256 texts a request, as numbers */
  readonly embeddings?: Partial<OpenAIEmbeddings.Dialect> | false
}

/**
 * The protocol as OpenAI speaks it, used without keeping anything there.
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
  reasoningBudget: false
}
