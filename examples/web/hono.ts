/** Plain text to a Hono client: `npx tsx examples/web/hono.ts`, then `curl -N -d '{"prompt":"Hello"}' http://localhost:3000/story`. */
import { serve } from "@hono/node-server"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { LLM } from "effect-llm"
import { NodeTransport } from "effect-llm/node"
import { Hono } from "hono"

/** Lives as long as the process: a body is read after the handler has ended. Reads OPENAI_API_KEY and OPENAI_BASE_URL. */
export const runtime = ManagedRuntime.make(LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici)))

const Body = Schema.parseJson(Schema.Struct({ prompt: Schema.NonEmptyString }))

const answer = (request: Request) =>
  Effect.gen(function* () {
    const { prompt } = yield* Schema.decode(Body)(yield* Effect.tryPromise(() => request.text()))
    return yield* LLM.toResponse(LLM.chatStream(prompt), { signal: request.signal })
  }).pipe(Effect.catchAll((error) => Effect.succeed(new Response(error.message, { status: 400 }))))

export const app = new Hono().post("/story", ({ req }) =>
  runtime.runPromise(answer(req.raw), { signal: req.raw.signal })
)

if (process.argv[1]?.endsWith("hono.ts") === true) serve({ fetch: app.fetch, port: 3000 })
