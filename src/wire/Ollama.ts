/**
 * Ollama's own protocol (`POST /api/chat`), of local servers and the cloud.
 *
 * - Settings become `options` (`maxTokens` is `num_predict`). `extra.options`, such as `num_ctx`, are merged with them;
 *   `extra.keep_alive` and all other fields of `extra` are sent unchanged.
 * - `reasoning` becomes `think`: on, off, or a level, which only some models distinguish from "on". The protocol has no token
 *   budget. Reasoning of earlier turns is sent back unchanged.
 * - A message has one content, one `thinking` and one list of calls: requests and whole answers keep the order of the parts
 *   within each of them, and refusals are written as text. A stream keeps its own order. Parts that only another protocol has
 *   are left out when an answer contained them, else the request fails with `Unsupported`.
 * - Tool calls arrive whole. Older servers send no ids: these are generated from the position in the answer.
 * - The protocol has no field for a required tool, `parallelToolCalls: false`, `logitBias`, images by URL, audio, files, the name
 *   of a user message, and custom tools: such a request fails with `Unsupported`. Hints are dropped: `user`, `metadata`, the
 *   detail of an image, `strict`, the name of a schema. `toolChoice: "none"` sends no tools.
 * - Responses have no id. `providerMetadata` contains the timings (`total_duration`, `load_duration`, `prompt_eval_duration`,
 *   `eval_duration`, in nanoseconds), `logprobs`, and `remote_model` and `remote_host` of cloud models.
 *
 * @example
 * ```ts
 * import { Ollama } from "effect-llm/wire"
 *
 * const wire = Ollama.make({ options: { num_ctx: 32768 }, keepAlive: "30m" })
 * ```
 *
 * @since 0.1.0
 */
import * as Dialects from "./ollama/dialect.js"
import * as Client from "./ollama/client/wire.js"
import * as Server from "./ollama/server/wire.js"
import type { ClientWire, ServerWire, Wire } from "./Wire.js"

/**
 * Settings sent with every request.
 *
 * @since 0.1.0
 * @category model
 */
export type Dialect = Dialects.Dialect

/**
 * No settings beyond those of the request.
 *
 * @since 0.1.0
 * @category model
 */
export const plain: Dialect = Dialects.plain

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
export const server: () => ServerWire = Server.server

/**
 * Both halves.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
