/**
 * Google's Gemini protocol (`POST /models/{model}:generateContent`, and `:streamGenerateContent` with SSE) on the Gemini API and
 * Vertex AI.
 *
 * - All system and developer messages become the `systemInstruction`.
 * - Parts are read and written in their order, each with its thought signature: `signature` of a tool call or of reasoning,
 *   `native.gemini.thoughtSignature` of a text, which can be empty. Executed code, calls of built-in tools, generated media and
 *   parts of other kinds are provider parts, unchanged in `native.gemini`. All of them but generated speech are sent back to the
 *   provider that made them, and only to it. Tool calls of another model are sent to Gemini 3 and later with the documented
 *   placeholder signature.
 * - Adjacent texts without signatures and other fields are one part, in a whole answer as in a stream. So are parts of reasoning.
 * - Tools and answers use JSON Schemas (`parametersJsonSchema`, `responseJsonSchema`) without the keywords that the API does not
 *   support. `strict` on a tool selects the mode `VALIDATED`.
 * - `reasoning.effort` becomes the closest `thinkingLevel` of the model, or `thinkingBudget` for models before Gemini 3; `reasoning.budgetTokens` always
 *   becomes `thinkingBudget`; `reasoning.summary` requests the reasoning itself.
 * - A `fileId` is the URI of a file, such as that of an upload or `gs://…`.
 * - The protocol has no field for the name of a user message or for `parallelToolCalls: false`: such a request fails with
 *   `Unsupported`. `user`, `metadata` (except as `labels` of Vertex AI), the `detail` of images and the name of an answer's
 *   schema do not change the answer and are dropped.
 * - `extra.generationConfig` and `extra.toolConfig` are merged with the request field by field.
 * - `providerMetadata` contains what the vocabulary does not cover: `groundingMetadata`, `citationMetadata`, `safetyRatings` and
 *   so on unchanged, other counts in `usage` (such as `toolUsePromptTokenCount`), and further `candidates`.
 * - An answer without tool calls that ends with `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL`, `TOO_MANY_TOOL_CALLS` or
 *   `MALFORMED_RESPONSE` is `Malformed`; one that ends with `MISSING_THOUGHT_SIGNATURE` is an `InvalidRequestError`.
 *
 * @example
 * ```ts
 * import { Gemini } from "effect-llm/wire"
 *
 * const wire = Gemini.make()
 * const vertex = Gemini.make({ labels: true })
 * ```
 *
 * @since 0.1.0
 */
import * as Dialects from "./gemini/dialect.js"
import * as Client from "./gemini/client/wire.js"
import * as Server from "./gemini/server/wire.js"
import type { ClientWire, ServerWire, Wire } from "./Wire.js"

/**
 * How a server deviates from the Gemini API.
 *
 * @since 0.1.0
 * @category model
 */
export type Dialect = Dialects.Dialect

/**
 * The Gemini API itself.
 *
 * @since 0.1.0
 * @category model
 */
export const gemini: Dialect = Dialects.gemini

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
 * Both halves. Fields that the dialect leaves out are those of the Gemini API.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
