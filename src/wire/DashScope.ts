/**
 * DashScope, Alibaba's own protocol for Qwen and the other models of Model Studio, text and multimodal. Its mode that is
 * compatible with OpenAI is another protocol: `ChatCompletionsClient.presets.dashscope`.
 *
 * - There is one service for text and one for multimodal models. The content of the request and the name of the model select
 *   it; `service` in the dialect selects it when the name does not.
 * - All settings are `parameters`, and so are the fields of `extra`: `enable_search`, `repetition_penalty`,
 *   `vl_high_resolution_images` …
 * - `reasoning` becomes `enable_thinking` and `thinking_budget`; an effort is the budget that it stands for. Reasoning of earlier
 *   turns is sent back as `reasoning_content`.
 * - Images, audio and video are sent by URL or as bytes. A video is a file with `data:video/…` bytes or a URL that ends like
 *   one (`.mp4` …). `cacheControl` marks a text or an image for the explicit cache, which keeps it for five minutes.
 * - A message has one content, one `reasoning_content` and one list of calls: requests and whole answers keep the order of the
 *   parts within each of them, and refusals are written as text. A stream keeps its own order. Parts that only another protocol
 *   has are left out when an answer contained them, else the request fails with `Unsupported`.
 * - Streams are incremental. A model that repeats the whole text in every event is read as well.
 * - The protocol has no field for a required tool (except by name), `frequencyPenalty`, `logitBias`, documents, the name of a user
 *   message, and custom tools: such a request fails with `Unsupported`. Hints are dropped: `user`, `metadata`, the detail of an
 *   image, `strict` of a tool.
 * - Responses do not name their model: it is the requested one. `providerMetadata` contains `search_info`, `logprobs`,
 *   `annotations`, `content` (parts of the answer other than text), further `choices`, and in `usage` the counts of images,
 *   audio and video.
 *
 * @example
 * ```ts
 * import { DashScope } from "effect-llm/wire"
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
 * The client's half. Fields that the dialect leaves out are those of Alibaba's own service.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (dialect?: Partial<Dialect>) => ClientWire = Client.client
