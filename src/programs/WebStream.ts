/**
 * Answers as web responses: plain text, server-sent events, or the UI message stream of the AI SDK that `useChat` reads. `LLM.toResponse`
 * and `LLM.toReadableStream` make them; `messagesOf` reads what `useChat` posts.
 *
 * A body is read after the effect that made the response has ended. The layer of the `LLM` must live longer than that: run handlers with a
 * `ManagedRuntime`, not with `Effect.provide` for each request.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { Effect, Layer, ManagedRuntime } from "effect"
 * import { LLM, WebStream } from "effect-llm"
 *
 * const runtime = ManagedRuntime.make(LLM.layerConfig().pipe(Layer.provide(FetchHttpClient.layer)))
 *
 * export const POST = (request: Request): Promise<Response> =>
 *   runtime.runPromise(
 *     Effect.gen(function* () {
 *       const messages = yield* WebStream.messagesOf(yield* Effect.promise(() => request.json()))
 *       return yield* LLM.toResponse(LLM.chatStream({ messages }), { format: "ui-messages", signal: request.signal })
 *     }).pipe(Effect.catchTag("ParseError", () => Effect.succeed(new Response("Not a chat", { status: 400 })))),
 *     { signal: request.signal }
 *   )
 * ```
 *
 * @since 0.2.0
 */
export { webError } from "./web/errors.js"
export type { Event, Format, Options, WebError } from "./web/model.js"
export { messagesOf } from "./web/uiMessages.js"
