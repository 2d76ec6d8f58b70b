/**
 * OpenAI's Chat Completions protocol and the deviations of its compatible servers.
 *
 * @example
 * ```ts
 * import { ChatCompletions } from "effect-llm/wire"
 *
 * const wire = ChatCompletions.make({ maxTokensField: "max_completion_tokens", developerRole: "developer" })
 * ```
 *
 * @since 0.1.0
 */
import type { Dialect } from "./chatCompletions/dialect.js"
import { common } from "./chatCompletions/dialect.js"
import type { HistoryRule } from "./chatCompletions/models.js"
import type { Effort } from "./effort.js"
import * as Client from "./chatCompletions/client/wire.js"
import * as Server from "./chatCompletions/server/wire.js"
import type { ClientWire, ServerWire, Wire } from "./Wire.js"

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
   * @since 0.2.0
   * @category model
   */
  type HistoryRule,
  /**
   * @since 0.1.0
   * @category model
   */
  common
}

/**
 * The client's half: writes requests, and reads responses and streams. Fields that the dialect leaves out are as in `make`.
 *
 * @since 0.2.0
 * @category constructors
 */
export const client: (dialect?: Partial<Dialect>) => ClientWire = Client.client

/**
 * The server's half: reads requests, and writes responses, streams and errors.
 *
 * @since 0.2.0
 * @category constructors
 */
export const server: (dialect?: Partial<Dialect>) => ServerWire = Server.server

/**
 * Both halves. Fields that the dialect leaves out are as in `common`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server(dialect) })
