/**
 * Ollama's own protocol (`POST /api/chat`), as its servers speak it at home and in the cloud.
 *
 * - Settings of the vocabulary become `options` (`num_predict` is `maxTokens`). Those of `extra.options`, such as `num_ctx`,
 *   are added to them; `extra.keep_alive` and all else in `extra` is sent as it is.
 * - `reasoning` becomes `think`: on, off, or graded by the effort, which only some models tell from "on". A budget of tokens
 *   has no word here. Thoughts of earlier turns go back as they were told.
 * - Tool calls come whole. Older servers give them no ids: these are made up from their place in the answer.
 * - The protocol has no word for a tool that must be called, parallel calls switched off, images by URL, sound, files,
 *   the name of a user, and tools that take free text: a request with one of these is `Unsupported` rather than sent without
 *   it. What only advises the provider is left out: `user`, `metadata`, the detail of an image, `strict`, the name of a
 *   schema. `toolChoice: "none"` sends no tools.
 * - Answers have no id. What one says beside the vocabulary is in `providerMetadata`:
 *   how long the server took (`total_duration`, `load_duration`, `prompt_eval_duration`, `eval_duration`, in nanoseconds),
 *   `logprobs`, and for cloud models `remote_model` and `remote_host`.
 *
 * @example
 * ```ts
 * import { Ollama } from "effect-llm"
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
 * What is said to a server with every request.
 *
 * @since 0.1.0
 * @category model
 */
export type Dialect = Dialects.Dialect

/**
 * Nothing but what the request says.
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
 * The wire for a server.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
