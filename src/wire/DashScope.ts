/**
 * DashScope, Alibaba's own protocol for Qwen and the other models of Model Studio, for text and for models that see and hear.
 * Its mode that follows OpenAI is another protocol: `ChatCompletionsClient.presets.dashscope`.
 *
 * - There is one service for text and one for models that see or hear. What a request holds and the name of its model decide
 *   which is asked; `service` in the dialect says so where the name does not tell.
 * - All settings are `parameters`, and so is what stands in `extra`: `enable_search`, `top_k`, `vl_high_resolution_images` …
 * - `reasoning` becomes `enable_thinking` and `thinking_budget`; effort switches thinking on or off, since it is not graded.
 *   Thoughts of earlier turns go back as `reasoning_content`.
 * - Images, sound and film go by URL or as bytes. A film is a file with `data:video/…` bytes, or whose address ends like one
 *   (`.mp4` …). `cacheControl` marks a text or an image for the explicit cache, which keeps it for five minutes.
 * - Streams say only what is new. A model that repeats all it has said in every event is read as well.
 * - The protocol has no word for a tool that must be called (but by name), documents, the name of a user, and tools that take
 *   free text: a request with one of these is `Unsupported` rather than sent without it. What only advises the provider is left
 *   out: `user`, `metadata`, the detail of an image, `strict` of a tool.
 * - Answers do not name their model: it is the one asked for. What an answer says beside the vocabulary is in
 *   `providerMetadata`: `search_info`, `logprobs`, `annotations`, `content` (parts of the answer that are no text), `choices`
 *   (further ones), and in `usage` what was counted of images, sound and film.
 *
 * @example
 * ```ts
 * import { DashScope } from "effect-llm"
 *
 * const wire = DashScope.make()
 * const seeing = DashScope.make({ service: "multimodal-generation" })
 * ```
 *
 * @since 0.1.0
 */
import * as Dialects from "./dashscope/dialect.js"
import * as Client from "./dashscope/client/wire.js"
import type { ClientWire } from "./Wire.js"

/**
 * How a server or a model deviates.
 *
 * @since 0.1.0
 * @category model
 */
export type Dialect = Dialects.Dialect

/**
 * Alibaba's own service.
 *
 * @since 0.1.0
 * @category model
 */
export const standard: Dialect = Dialects.standard

/**
 * The wire for a server; what the dialect leaves out is as with Alibaba itself.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (dialect?: Partial<Dialect>) => ClientWire = Client.client
