/**
 * Calls large language models of any provider: clients, key pools, rate limits, retries, fallback and balance, budgets, caches, tools,
 * structured output and streams. Each module is also an entry of its own, such as `effect-llm/LLM`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * // Reads OPENAI_API_KEY from the environment.
 * const program = Effect.gen(function* () {
 *   const { text, usage } = yield* LLM.chat("What is the capital of France?")
 *   return `${text} (${usage.totalTokens} tokens)`
 * }).pipe(Effect.provide(LLM.layerConfig()), Effect.provide(NodeTransport.layerUndici))
 * ```
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Fallback, LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layerKeys({ provider: "openai", model: "gpt-4o", keys: ["sk-one", "sk-two"] })
 * const Anthropic = LLM.layerKeys({ provider: "anthropic", model: "claude-sonnet-4-5", keys: ["sk-ant"] })
 *
 * // The second model answers what the first one cannot.
 * const Models = Fallback.layer([{ llm: OpenAI }, { llm: Anthropic }]).pipe(Layer.provide(NodeTransport.layerUndici))
 *
 * const program = LLM.chat("What is the capital of France?").pipe(Effect.provide(Models))
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
