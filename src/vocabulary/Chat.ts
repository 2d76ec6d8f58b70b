/**
 * The types of a chat call, the same for every provider: `ChatRequest` with messages, parts and tools, and `ChatResponse`.
 *
 * @example
 * ```ts
 * import { Chat } from "effect-llm"
 *
 * const request: Chat.ChatRequest.Input = {
 *   messages: [Chat.system("Answer in one word."), Chat.user("The capital of France?")],
 *   temperature: 0
 * }
 * ```
 *
 * @since 0.1.0
 */
export { Attempt } from "./attempt.js"
export * from "./chat/messages.js"
export * from "./chat/parts.js"
export * from "./chat/request.js"
export * from "./chat/response.js"
export * from "./chat/tools.js"
