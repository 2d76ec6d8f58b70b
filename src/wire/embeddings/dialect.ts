/** How providers deviate from OpenAI's embeddings, as data. */
export interface Dialect {
  /** Appended to the base URL; `{model}` stands for the model. @default "/embeddings" */
  readonly path: string
  /** The largest number of texts in one request. @default 256 */
  readonly maxBatch: number
  /** The largest number of tokens in one request, over all its texts. @default not limited */
  readonly maxBatchTokens?: number
  /** Whether vectors are requested as base64 by default, which is a third of the size. @default false */
  readonly base64: boolean
  /** The field for the dimensions; `output_dimension` in Voyage and Mistral (API reference, embeddings). @default "dimensions" */
  readonly dimensionsField: "dimensions" | "output_dimension"
  /** Whether the purposes query and document are sent as `input_type` (Voyage). @default false */
  readonly inputType: boolean
  /** Whether the name of the end user is sent. Mistral rejects it. @default true */
  readonly user: boolean
  /**
   * Whether a gateway passes the bodies of its clients and the answers on unchanged. @default false
   *
   * @since 0.2.0
   */
  readonly faithful: boolean
}

/** The name of OpenAI's protocol. */
export const protocol = "embeddings"

export const common: Dialect = {
  path: "/embeddings",
  maxBatch: 256,
  base64: false,
  dimensionsField: "dimensions",
  inputType: false,
  user: true,
  faithful: false
}

/** OpenAI's own limits (API reference, embeddings/create). */
export const openai = {
  maxBatch: 2048,
  maxBatchTokens: 300_000,
  base64: true,
  faithful: true
} as const satisfies Partial<Dialect>
