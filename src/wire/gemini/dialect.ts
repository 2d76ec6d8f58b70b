/**
 * How a server deviates from the Gemini API.
 *
 * @since 0.1.0
 * @category model
 */
export interface Dialect {
  /**
   * Whether the `metadata` of a request is sent as `labels` (Vertex AI, "Custom metadata labels"). The Gemini API has no field
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
 * The Gemini API itself.
 *
 * @since 0.1.0
 * @category model
 */
export const gemini: Dialect = { labels: false, embeddings: "batchEmbedContents" }
