/**
 * The protocols of providers, for clients and servers of your own: each wire encodes and decodes requests, answers and streams without HTTP.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM, ProviderClient } from "effect-llm"
 * import { ChatCompletions } from "effect-llm/wire"
 *
 * // A client for a server that speaks Chat Completions.
 * const Client = Layer.effect(
 *   ProviderClient.ProviderClient,
 *   ProviderClient.make(ChatCompletions.make(), { provider: "acme", baseUrl: "https://llm.acme.example/v1" })
 * )
 *
 * const Acme = LLM.layer({ model: "acme-large" }).pipe(Layer.provide(Client))
 * ```
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import { Chat } from "effect-llm"
 * import { Anthropic } from "effect-llm/wire"
 *
 * const wire = Anthropic.client()
 *
 * // The path and the body of a request, without an address, a key and a call.
 * const request = wire.encodeRequest(
 *   { messages: [Chat.user("Name a river.")] },
 *   { provider: "anthropic", model: "claude-sonnet-4-5", stream: false }
 * )
 * const body = Either.map(request, (encoded) => encoded.body)
 * ```
 *
 * @since 0.2.0
 */
export * as Anthropic from "./Anthropic.js"
export * as ChatCompletions from "./ChatCompletions.js"
export * as DashScope from "./DashScope.js"
export * as Gemini from "./Gemini.js"
export * as Ollama from "./Ollama.js"
export * as Responses from "./Responses.js"
export * as Wire from "./Wire.js"
