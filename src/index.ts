/**
 * Call any large language model from Effect.
 *
 * @since 0.1.0
 */
export * as ApiKey from "./ApiKey.js"
export * as Attempt from "./Attempt.js"
export * as Chat from "./Chat.js"
export * as ChatEvent from "./ChatEvent.js"
export * as Fallback from "./Fallback.js"
export * as KeyPool from "./KeyPool.js"
export * as LLM from "./LLM.js"
export * as LLMError from "./LLMError.js"
export * as Models from "./Models.js"
export * as ProviderClient from "./ProviderClient.js"
export * as ChatCompletionsClient from "./provider/ChatCompletionsClient.js"
export * as ResponsesClient from "./provider/ResponsesClient.js"
export * as ProviderFile from "./ProviderFile.js"
export * as RateLimiter from "./RateLimiter.js"
export * as Retry from "./Retry.js"
export * as Telemetry from "./Telemetry.js"
export * as Timeouts from "./Timeouts.js"
export * as Usage from "./Usage.js"
export * as ChatCompletions from "./wire/ChatCompletions.js"
export * as Framing from "./wire/Framing.js"
export * as ProviderError from "./wire/ProviderError.js"
export * as RateLimitHeaders from "./wire/RateLimitHeaders.js"
export * as Responses from "./wire/Responses.js"
export * as Wire from "./wire/Wire.js"
