/** Families of embeddings: vectors of different models cannot be compared. */
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import type { ModelInfo } from "./model.js"

/** The model that a request names. */
export const embeddingModelOf = (request: EmbeddingRequest.Input): string | undefined =>
  typeof request === "object" && request !== null && "input" in request ? request.model : undefined

/** `openai/text-embedding-3-small` and `text-embedding-3-small` are the same model at different providers. */
const modelName = (model: string): string => model.slice(model.lastIndexOf("/") + 1).toLowerCase()

/** The family of the vectors for requests that name this model, or none. */
export const embeddingFamily = ({ embeddingFamily, embeddingModel, model }: ModelInfo, requested?: string): string =>
  requested === undefined ? (embeddingFamily ?? modelName(embeddingModel ?? model)) : modelName(requested)
