/**
 * The protocols, for a client of your own: each wire with its client's half, its server's half and its dialects, and the contract that
 * they implement.
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
