/**
 * How a server deviates from the Gemini API.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Whether a request's `metadata` is sent, as `labels` (Vertex AI, "Custom metadata labels"). The Gemini API has no word
   * for it.
   *
   * @default false
   */
  readonly labels: boolean
  /**
   * How texts are embedded: the Gemini API's `batchEmbedContents`, or Vertex AI's `predict`.
   *
   * @default "batchEmbedContents"
   */
  readonly embeddings: "batchEmbedContents" | "predict"
}

/**
 * The protocol as the Gemini API speaks it.
 *
 * @since 0.1.0
 * @category model
 */
export const gemini: Dialect = { labels: false, embeddings: "batchEmbedContents" }
