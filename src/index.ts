/**
 * Call any large language model from Effect: the service `LLM`, its key pools, limits and policies, and one client for each protocol. What needs
 * Node, Redis or another package is in modules of its own, such as `effect-llm/node` and `effect-llm/redis`.
 *
 * @example
 * ```ts
 * import { Console, Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const program = Effect.gen(function* () {
 *   const answer = yield* LLM.chat("What is the capital of France?")
 *   yield* Console.log(answer.text, answer.usage.totalTokens)
 * })
 *
 * // Reads OPENAI_API_KEY, OPENAI_BASE_URL and LLM_DEFAULT_MODEL.
 * const OpenAI = LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici))
 *
 * const main = Effect.provide(program, OpenAI)
 * ```
 *
 * @since 0.1.0
 */
export * as AccessLog from "./telemetry/AccessLog.js"
export * as ApiKey from "./vocabulary/ApiKey.js"
export * as Budget from "./accounting/Budget.js"
export * as CacheStore from "./caching/CacheStore.js"
export * as Balance from "./routing/Balance.js"
export * as Batch from "./programs/Batch.js"
export * as Chat from "./vocabulary/Chat.js"
export * as ChatEvent from "./vocabulary/ChatEvent.js"
export * as Embedding from "./vocabulary/Embedding.js"
export * as ContextWindow from "./call/ContextWindow.js"
export * as Conversation from "./programs/Conversation.js"
export * as EmbeddingCache from "./caching/EmbeddingCache.js"
export * as Fallback from "./routing/Fallback.js"
export * as Hedge from "./routing/Hedge.js"
export * as KeyPool from "./keyPool/KeyPool.js"
export * as LLM from "./LLM.js"
export * as LLMError from "./vocabulary/LLMError.js"
export * as LLMFunction from "./programs/LLMFunction.js"
export * as Models from "./models/Models.js"
export * as Pricing from "./accounting/Pricing.js"
export * as Prometheus from "./telemetry/Prometheus.js"
export * as Prompt from "./programs/Prompt.js"
export * as ProviderClient from "./call/ProviderClient.js"
export * as AnthropicClient from "./provider/AnthropicClient.js"
export * as ChatCompletionsClient from "./provider/ChatCompletionsClient.js"
export * as EmbeddingsClient from "./provider/EmbeddingsClient.js"
export * as DashScopeClient from "./provider/DashScopeClient.js"
export * as OllamaClient from "./provider/OllamaClient.js"
export * as GeminiClient from "./provider/GeminiClient.js"
export * as ResponsesClient from "./provider/ResponsesClient.js"
export * as RateLimiter from "./rateLimiter/RateLimiter.js"
export * as ResponseCache from "./caching/ResponseCache.js"
export * as Retry from "./call/Retry.js"
export * as StructuredOutput from "./programs/StructuredOutput.js"
export * as Telemetry from "./telemetry/Telemetry.js"
export * as Timeouts from "./call/Timeouts.js"
export * as Tool from "./programs/Tool.js"
export * as TokenCounter from "./tokens/TokenCounter.js"
export * as ToolLoop from "./programs/ToolLoop.js"
export * as Usage from "./vocabulary/Usage.js"
export * as UsageLedger from "./accounting/UsageLedger.js"
export * as WebStream from "./programs/WebStream.js"
