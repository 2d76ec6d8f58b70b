/** The task of a batch: a chat or an embedding request for each line. */
import { Effect, Schema } from "effect"
import * as Batch from "../../programs/Batch.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import { ChatResponse } from "../../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import { EmbeddingResponse } from "../../vocabulary/Embedding.js"
import * as LLM from "../../LLM.js"
import { LLMError } from "../../vocabulary/LLMError.js"

export type BatchRequest = ChatRequest | EmbeddingRequest

export type BatchAnswer = ChatResponse | EmbeddingResponse

export const isEmbedding = (request: BatchRequest): request is EmbeddingRequest => "input" in request

/** Runs `onAnswer` after every successful request. */
export const make = (
  onAnswer: (answer: BatchAnswer) => Effect.Effect<void>
): Batch.Task<BatchRequest, BatchAnswer, LLMError, LLM.LLM> =>
  Batch.makeTask({
    name: "requests",
    ask: (request: BatchRequest) =>
      Effect.tap(
        Effect.suspend((): Effect.Effect<BatchAnswer, LLMError, LLM.LLM> =>
          isEmbedding(request) ? LLM.embed(request) : LLM.chat(request)
        ),
        onAnswer
      ),
    success: Schema.Union(ChatResponse, EmbeddingResponse),
    failure: LLMError,
    isRetryable: Batch.chat.isRetryable,
    retryAfter: Batch.chat.retryAfter,
    tokensOf: ({ usage }) => usage.totalTokens
  })
