/** The model that a request names, for those who have never heard of it. */
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"

const without = <A extends { readonly model?: string }>({ model: _, ...rest }: A): Omit<A, "model"> => rest

export const withoutModel = (request: ChatRequest.Input): ChatRequest.Input =>
  typeof request === "string" ? request : without(request)

export const embeddingWithoutModel = (request: EmbeddingRequest.Input): EmbeddingRequest.Input =>
  typeof request === "string" || !("input" in request) ? request : without(request)
