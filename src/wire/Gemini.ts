/**
 * Google's Gemini protocol (`POST /models/{model}:generateContent`, and `:streamGenerateContent` with SSE), of the Gemini API
 * and of Vertex AI.
 *
 * - System and developer messages, wherever they stand, become the `systemInstruction`.
 * - Signatures of thoughts go back with the very part that they came with: `Chat.toMessage` carries them in its reasoning
 *   parts, which have no text then. They go only to the provider that gave them. Calls that another model asked for are sent
 *   to Gemini 3 and later with the mark that lets them pass.
 * - Tools and answers are held to JSON Schemas (`parametersJsonSchema`, `responseJsonSchema`), less the keywords that the API
 *   does not read. `strict` on a tool asks for the mode `VALIDATED`.
 * - `reasoning.effort` is a `thinkingLevel`, and a `thinkingBudget` for models before Gemini 3; `reasoning.budgetTokens` is a
 *   `thinkingBudget` everywhere; `reasoning.summary` asks for the thoughts themselves.
 * - A `fileId` is the URI of a file, such as that of an upload or `gs://…`.
 * - The protocol has no word for the name of a user and for `parallelToolCalls: false`: a request with one of these is
 *   `Unsupported` rather than sent without it. `user`, `metadata` (but for `labels` of Vertex AI), the `detail` of images and
 *   the name of an answer's schema change no answer, and are left out.
 * - `extra.generationConfig` and `extra.toolConfig` are put together with what the request says, field by field.
 * - What an answer says beside the vocabulary is in `providerMetadata`: `groundingMetadata`, `citationMetadata`,
 *   `safetyRatings` and so on as they come, `parts` of other kinds (code that was run, media), what `usage` says beyond the
 *   counts (such as `toolUsePromptTokenCount`), and other `candidates`.
 * - An answer without calls that ends with `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL`, `TOO_MANY_TOOL_CALLS` or
 *   `MALFORMED_RESPONSE` is `Malformed`; one that ends with `MISSING_THOUGHT_SIGNATURE` is an `InvalidRequestError`.
 *
 * @example
 * ```ts
 * import { Gemini } from "effect-llm"
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
 * The protocol as the Gemini API speaks it.
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
 * The wire for a server; what the dialect leaves out is as the Gemini API has it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dialect: Partial<Dialect> = {}): Wire => ({ ...Client.client(dialect), ...Server.server() })
