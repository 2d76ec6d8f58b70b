/**
 * Anthropic's Messages protocol (`POST /messages`), for everything that speaks it.
 *
 * - System and developer messages at the beginning are `system`. One further on keeps its place, behind the user's turn that
 *   it is nearest to, with models that allow it, and joins the others at the beginning elsewhere.
 * - Neighbours of one role are one turn, in which what tools returned comes first. What is blank is left out, and a
 *   conversation that begins with the model gets an opening: the API refuses both.
 * - Thoughts go back, signed and unchanged, to the provider that thought them, and to no other.
 * - `max_tokens`, which the protocol insists on, is the most that the model can write where a request does not say.
 * - `reasoning` becomes what the model knows: `adaptive` thinking with an effort, or a budget, which is kept below
 *   `max_tokens` and never below 1024 tokens. `effort: "none"` asks for no thinking, or for the least where the model always
 *   thinks; `summary` shows the thoughts that newer models keep to themselves. Thinking gives way to a tool that must be
 *   called, and to a turn of tool calls that was begun without it.
 * - The protocol has no word for `seed`, `metadata`, the name of a user, sound, and JSON without a schema, nor newer models
 *   for `temperature`, `top_p` and tools that must be called: a request with one of these is `Unsupported` rather than sent
 *   without it. How closely a model shall look at an image is left out.
 * - JSON Schemas of answers and of strict tools are closed, and constraints that the API refuses are told in descriptions.
 * - Betas are asked for in `extra.betas`, as in Anthropic's own libraries; that of the Files API is when a file's id is sent.
 *   An `anthropic-beta` among the headers of the client takes the place of both.
 * - What an answer says beside the vocabulary is in `providerMetadata`: `blocks` (those of tools that the provider ran
 *   itself, such as `server_tool_use`), `citations` (the sources of the text), what `usage` says beyond the counts,
 *   `stop_sequence`, `stop_details`, `container` and the like.
 *
 * @example
 * ```ts
 * import { Anthropic } from "effect-llm"
 *
 * const wire = Anthropic.make()
 * const compatible = Anthropic.make({ jsonSchema: false, modelLimits: false, unsignedThoughts: true })
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
 * How a server deviates from Anthropic, and what its models can do.
 *
 * @since 0.1.0
 * @category model
 */
export type Dialect = Dialects.Dialect

/**
 * What a model can do, as far as a request depends on it.
 *
 * @since 0.1.0
 * @category model
 */
export type Traits = Models.Traits

/**
 * What is known of the models whose names fit.
 *
 * @since 0.1.0
 * @category model
 */
export type ModelRule = Models.ModelRule

/**
 * The protocol as Anthropic speaks it.
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
 * The wire for a server; what the dialect leaves out is as Anthropic has it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
