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
import { native } from "./responses/native.js"
import { encodeRequest, withoutRefused } from "./responses/client/request.js"
import { decodeResponse } from "./responses/client/response.js"
import { decodeRequest } from "./responses/server/request.js"
import * as OpenAIEmbeddings from "./embeddings/openai.js"
import * as Listing from "./listing.js"
import { encodeError, encodeResponse } from "./responses/server/response.js"
import { encodeStream } from "./responses/server/stream.js"
import { decodeStream } from "./responses/client/stream.js"
import type { Wire } from "./Wire.js"

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
 * The wire for a server; what the dialect leaves out is as OpenAI has it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({
  name: native.wire,
  framing: "sse",
  ...(dialect.embeddings === false ? {} : { embeddings: OpenAIEmbeddings.make(dialect.embeddings) }),
  models: Listing.openai,
  encodeRequest: encodeRequest({ ...openai, ...dialect }),
  withoutRefused,
  decodeResponse,
  decodeStream,
  decodeRequest,
  encodeResponse,
  encodeStream,
  encodeError
})
