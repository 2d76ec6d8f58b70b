/**
 * A route handler as in Next.js (`app/api/chat/route.ts`), for `useChat` of the AI SDK: `POST /api/chat`.
 *
 * The runtime lives as long as the process. A layer that each request provides for itself would be closed before the body of its response
 * is read.
 */
import { Effect, Layer, ManagedRuntime } from "effect"
import { LLM, WebStream } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

/** Reads OPENAI_API_KEY and OPENAI_BASE_URL. */
export const runtime = ManagedRuntime.make(LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici)))

const answer = (request: Request) =>
  Effect.gen(function* () {
    const body: unknown = yield* Effect.tryPromise(() => request.json())
    const messages = yield* WebStream.messagesOf(body)
    return yield* LLM.toResponse(LLM.chatStream({ messages }), { format: "ui-messages", signal: request.signal })
  }).pipe(Effect.catchAll((error) => Effect.succeed(Response.json({ error: error.message }, { status: 400 }))))

export const POST = (request: Request): Promise<Response> =>
  runtime.runPromise(answer(request), { signal: request.signal })
