/** What is asked for a line of a batch: an answer, or vectors. */
import { Effect, Schema } from "effect"
import * as Batch from "../../programs/Batch.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import { ChatResponse } from "../../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import { EmbeddingResponse } from "../../vocabulary/Embedding.js"
import * as LLM from "../../LLM.js"
import { LLMError } from "../../vocabulary/LLMError.js"

export type Asked = typeof ChatRequest.Encoded | typeof EmbeddingRequest.Encoded

export type Answer = ChatResponse | EmbeddingResponse

export const isEmbedding = (request: Asked): request is typeof EmbeddingRequest.Encoded => "input" in request

/** `each` hears of every answer. */
export const make = (each: (answer: Answer) => Effect.Effect<void>): Batch.Task<Asked, Answer, LLMError, LLM.LLM> =>
  Batch.makeTask({
    name: "requests",
    ask: (request: Asked) =>
      Effect.tap(
        Effect.suspend((): Effect.Effect<Answer, LLMError, LLM.LLM> =>
          isEmbedding(request) ? LLM.embed(request) : LLM.chat(request)
        ),
        each
      ),
    success: Schema.Union(ChatResponse, EmbeddingResponse),
    failure: LLMError,
    isRetryable: Batch.chat.isRetryable,
    retryAfter: Batch.chat.retryAfter,
    tokensOf: ({ usage }) => usage.totalTokens
  })
