/**
 * Anthropic's Messages protocol (`POST /messages`) and its compatible servers.
 *
 * - System and developer messages at the beginning become `system`. A later one keeps its place, after the nearest user turn, with
 *   models that accept it, and is otherwise joined with those at the beginning.
 * - Adjacent messages of one role become one turn, in which tool results come first. Blank texts are dropped, and a
 *   conversation that begins with the model gets an opening user message: the API rejects both.
 * - The parts of an assistant message are sent back in their order and place, with what only this protocol has: citations of a
 *   text, the `caller` of a tool call, and blocks that the vocabulary does not cover, such as those of server tools. Reasoning is
 *   sent back signed and unchanged, only to the provider that produced it, and left out at the end of a message: the API rejects it
 *   there. A refusal is sent as a text.
 * - The `container` of an answer, in which the provider runs code, is a part of its content. Requests of the same turn (after a
 *   pause, or with tool results) name it again. A later turn uses it with `extra: { container: id }`, while it has not expired.
 *   `extra.container` replaces it, and gets its id when it is an object without one, such as `{ skills }`; null asks for a new one.
 * - The finish reason `pause` is `pause_turn`: the turn continues when it is sent back at the end of the conversation.
 * - `max_tokens` is required by the protocol; by default it is the output limit of the model.
 * - `reasoning` becomes what the model supports: `adaptive` thinking with an effort, or a budget, which is kept below
 *   `max_tokens` and at least 1024 tokens. `effort: "none"` disables thinking, or selects the minimum for models that always
 *   think; `summary` shows reasoning that newer models hide. Thinking is disabled when a tool is required, and in a turn of tool
 *   calls that began without it.
 * - The protocol has no field for `seed`, `metadata`, penalties, `logitBias`, `logprobs`, the name of a user message, audio, and
 *   JSON without a schema; newer models accept neither `temperature`, `top_p` and `top_k` nor required tools: such a request fails
 *   with `Unsupported`. The detail of an image is dropped.
 * - JSON Schemas of answers and of strict tools are closed, and keywords that the API rejects are moved into descriptions.
 * - Betas are requested with `extra.betas`, as in Anthropic's own libraries; that of the Files API is added when a file id is sent.
 *   An `anthropic-beta` header of the client replaces both.
 * - `providerMetadata` contains the fields of the answer that neither the vocabulary nor its parts cover: other counts in `usage`,
 *   `stop_sequence`, `stop_details`, `context_management` and the like.
 *
 * @example
 * ```ts
 * import { Anthropic } from "effect-llm/wire"
 *
 * const wire = Anthropic.make()
 * const compatible = Anthropic.make({ jsonSchema: false, modelLimits: false, unsignedReasoning: true })
 * ```
 *
 * @since 0.1.0
 */
import * as Dialects from "./anthropic/dialect.js"
import type * as Models from "./anthropic/models.js"
import * as Client from "./anthropic/client/wire.js"
import * as Server from "./anthropic/server/wire.js"
import type { ClientWire, ServerWire, Wire } from "./Wire.js"

/**
 * How a server deviates from Anthropic, and the capabilities of its models.
 *
 * @since 0.1.0
 * @category model
 */
export type Dialect = Dialects.Dialect

/**
 * The capabilities of a model that requests depend on.
 *
 * @since 0.1.0
 * @category model
 */
export type Traits = Models.Traits

/**
 * The capabilities of the models whose names match.
 *
 * @since 0.1.0
 * @category model
 */
export type ModelRule = Models.ModelRule

/**
 * Anthropic itself.
 *
 * @since 0.1.0
 * @category model
 */
export const anthropic: Dialect = Dialects.anthropic

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
 * Both halves. Fields that the dialect leaves out are those of Anthropic.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
