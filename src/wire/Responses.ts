/**
 * OpenAI's Responses protocol (`POST /responses`), for everything that speaks it.
 *
 * - System and developer messages at the beginning of a conversation become `instructions`, joined by a blank line. One
 *   further on keeps its place as an input item, with its role.
 * - Thoughts go back to the provider that thought them, sealed or by id, and to no other.
 * - Tools are strict unless they say otherwise: the schema is closed, every property is required, and one that was optional
 *   may be null instead. So the model writes `null` for what it leaves out; decode arguments with a schema that takes it
 *   (`Schema.optionalWith(…, { nullable: true })`). A schema that strict mode cannot say is sent unchanged, and not strict,
 *   whatever was asked. `strict: false` leaves a schema alone.
 * - The protocol has no word for `stop`, `seed`, the name of a user, and sound: a request with one of these is `Unsupported`
 *   rather than sent without it. `reasoning.budgetTokens` is only for providers that count; it is left out elsewhere.
 * - What an answer says beside the vocabulary is in `providerMetadata`: `items` (those of tools that the provider ran
 *   itself, such as `web_search_call`), `annotations` (the sources of the text), `logprobs`, what `usage` says beyond the
 *   counts, and every field of the answer that does not repeat the request, such as `service_tier`.
 *
 * @example
 * ```ts
 * import { Responses } from "effect-llm"
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
 * The protocol as OpenAI speaks it, used without keeping anything there.
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
 * The wire for a server; what the dialect leaves out is as OpenAI has it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
