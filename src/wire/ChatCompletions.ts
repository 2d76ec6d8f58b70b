/**
 * OpenAI's Chat Completions protocol, as OpenAI writes it and as those who follow it really do.
 *
 * @since 0.1.0
 */
import type { Dialect } from "./chatCompletions/dialect.js"
import { common } from "./chatCompletions/dialect.js"
import { encodeRequest, withoutRefused } from "./chatCompletions/request.js"
import { decodeResponse } from "./chatCompletions/response.js"
import { decodeRequest, encodeError, encodeResponse, encodeStream } from "./chatCompletions/server.js"
import { decodeStream } from "./chatCompletions/stream.js"
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
  common
}

/**
 * The wire, in a provider's dialect.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({
  name: "chat-completions",
  framing: "sse",
  encodeRequest: encodeRequest({ ...common, ...dialect }),
  withoutRefused,
  decodeResponse,
  decodeStream,
  decodeRequest,
  encodeResponse,
  encodeStream,
  encodeError
})
