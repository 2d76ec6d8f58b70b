/** Deviations from OpenAI's embeddings. */

/**
 * How providers deviate from OpenAI's embeddings, as data.
 */
export interface Dialect {
  /** Below the base URL; `{model}` stands for the model. @default "/embeddings" */
  readonly path: string
  /** The most texts in one request. @default 256 */
  readonly maxBatch: number
  /** The most tokens in one request, all texts together. @default not limited */
  readonly maxBatchTokens?: number
  /** Whether vectors may be asked for as base64, which is a third of the size. @default false */
  readonly base64: boolean
  /** Voyage and Mistral call it `output_dimension` (API reference, embeddings). @default "dimensions" */
  readonly dimensionsField: "dimensions" | "output_dimension"
  /** Whether `input_type` says whether these are queries or documents (Voyage). @default false */
  readonly inputType: boolean
  /** Whether the name of the end user is sent. Mistral refuses it. @default true */
  readonly user: boolean
}

export const common: Dialect = {
  path: "/embeddings",
  maxBatch: 256,
  base64: false,
  dimensionsField: "dimensions",
  inputType: false,
  user: true
}

/** OpenAI's own limits (API reference, embeddings/create). */
export const openai = { maxBatch: 2048, maxBatchTokens: 300_000, base64: true } as const satisfies Partial<Dialect>
