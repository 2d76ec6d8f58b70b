/**
 * OpenAI's Chat Completions protocol, as OpenAI writes it and as those who follow it really do.
 *
 * @example
 * ```ts
 * import { ChatCompletions } from "effect-llm"
 *
 * const wire = ChatCompletions.make({ maxTokensField: "max_completion_tokens", developerRole: "developer" })
 * ```
 *
 * @since 0.1.0
 */
import type { Dialect, Effort } from "./chatCompletions/dialect.js"
import { common } from "./chatCompletions/dialect.js"
import { native } from "./chatCompletions/native.js"
import { encodeRequest, withoutRefused } from "./chatCompletions/client/request.js"
import { decodeResponse } from "./chatCompletions/client/response.js"
import { decodeRequest } from "./chatCompletions/server/request.js"
import { encodeError, encodeResponse, encodeStream } from "./chatCompletions/server/response.js"
import { decodeStream } from "./chatCompletions/client/stream.js"
import * as OpenAIEmbeddings from "./embeddings/openai.js"
import * as Listing from "./listing.js"
import type { Wire } from "./Wire.js"

export {
  /**
   * @since 0.1.0
   * @category model
   */
  type Dialect,
  /**
   * @since 0.1.0
   * @category model
   */
  type Effort,
  /**
   * @since 0.1.0
   * @category model
   */
  common
}

/**
 * The wire, in a provider's dialect.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => {
  const spoken: Dialect = { ...common, ...dialect }
  return {
    name: native.wire,
    framing: "sse",
    ...(spoken.embeddings === false ? {} : { embeddings: OpenAIEmbeddings.make(spoken.embeddings) }),
    ...(spoken.models ? { models: Listing.openai } : {}),
    encodeRequest: encodeRequest(spoken),
    withoutRefused,
    decodeResponse,
    decodeStream,
    decodeRequest,
    encodeResponse: encodeResponse(spoken),
    encodeStream: encodeStream(spoken),
    encodeError
  }
}
