/**
 * OpenAI's Responses protocol (`POST /responses`) and its compatible servers.
 *
 * - System and developer messages at the beginning become `instructions`, joined by a blank line. A later one remains an input
 *   item with its role.
 * - The parts of a response are in the order of its items, and are sent back in this order, with the ids, status and `phase` of
 *   their items, to the provider that sent them. An item that the vocabulary does not cover, such as `web_search_call` or
 *   `shell_call`, is a provider part `{ item }`; `annotations` and `logprobs` are native fields of their text.
 * - Reasoning is sent back, encrypted or by id, only to the provider that produced it. Reasoning that nothing follows is dropped.
 * - Tools are strict by default: the schema is closed, every property is required, and an optional one is nullable. The model then
 *   writes `null` for an omitted property: decode arguments with a schema that accepts it
 *   (`Schema.optionalWith(…, { nullable: true })`). A schema that strict mode cannot express is sent unchanged with
 *   `strict: false`. A tool with `strict: false` keeps its schema.
 * - The protocol has no field for `stop`, `seed`, `topK`, penalties, `logitBias`, the name of a user message, and audio: such a
 *   request fails with `Unsupported`, unless the dialect has the field. `reasoning.budgetTokens` is sent only to providers that
 *   support it, and is an effort elsewhere. `logprobs` are requested with `include`.
 * - `providerMetadata` contains what the vocabulary does not cover of the whole response: other counts in `usage`, and every field
 *   that does not repeat the request, such as `service_tier`.
 * - The finish reason `pause` is `incomplete` with the provider's own word as the reason.
 *
 * @example
 * ```ts
 * import { Responses } from "effect-llm/wire"
 *
 * const wire = Responses.make()
 * const keeping = Responses.make({ store: true, sealedReasoning: false })
 * ```
 *
 * @since 0.1.0
 */
import * as Dialects from "./responses/dialect.js"
import * as Client from "./responses/client/wire.js"
import * as Server from "./responses/server/wire.js"
import type { ClientWire, ServerWire, Wire } from "./Wire.js"

/**
 * How a server deviates from OpenAI.
 *
 * @since 0.1.0
 * @category model
 */
export type Dialect = Dialects.Dialect

/**
 * OpenAI itself, without storing responses there.
 *
 * @since 0.1.0
 * @category model
 */
export const openai: Dialect = Dialects.openai

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
 * Both halves. Fields that the dialect leaves out are those of OpenAI.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
