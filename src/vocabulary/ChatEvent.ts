/**
 * The events of a stream, and `collect`, which makes a response from a stream.
 *
 * A successful stream is one `Start`, then the content, then exactly one `Finish`; any other end is a typed failure. Each event of
 * the content names the part that it belongs to, by the index of the part in `Chat.ChatResponse.content`. For the same response,
 * `collect(chatStream(request))` equals `chat(request)` except for `latency`. `Continued` occurs within the content only with the
 * `continueStreams` option of `Fallback`.
 *
 * @example
 * ```ts
 * import { Console, Effect, Stream } from "effect"
 * import { ChatEvent, LLM } from "effect-llm"
 *
 * const program = LLM.chatStream("Tell me a story.").pipe(
 *   Stream.tap((event) => (event._tag === "TextDelta" ? Console.log(event.text) : Effect.void)),
 *   ChatEvent.collect,
 *   Effect.map((response) => response.usage.totalTokens)
 * )
 * ```
 *
 * @since 0.1.0
 */
export type { Collected } from "./chatEvent/collected.js"
export { append, collect, fromResponse, generatedText, nothing, toPartial, toResponse } from "./chatEvent/collected.js"
export * from "./chatEvent/events.js"
