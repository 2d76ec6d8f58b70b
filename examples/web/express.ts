/** Events of a tool loop to an Express client: `npx tsx examples/web/express.ts`, then `curl -N "http://localhost:3000/events?city=Rome"`. */
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { LLM, Tool } from "effect-llm"
import { NodeTransport } from "effect-llm/node"
import express from "express"
import { pipeline } from "node:stream/promises"

/** Lives as long as the process: a body is read after the handler has ended. Reads OPENAI_API_KEY and OPENAI_BASE_URL. */
export const runtime = ManagedRuntime.make(LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici)))

const weather = Tool.make("weather", {
  description: "The weather in a city, now.",
  parameters: { city: Schema.String },
  handler: ({ city }) => Effect.succeed(`Rain in ${city}.`)
})

const answer = (city: string, signal: AbortSignal) =>
  LLM.toResponse(LLM.runToolsStream(`What should I wear in ${city}?`, { tools: [weather] }), {
    format: "events",
    signal
  })

export const app = express()

app.get("/events", async (request, response) => {
  const left = new AbortController()
  // A client that leaves ends the request to the provider.
  response.once("close", () => left.abort())
  try {
    const { body, headers, status } = await runtime.runPromise(answer(String(request.query["city"]), left.signal), {
      signal: left.signal
    })
    response.writeHead(status, Object.fromEntries(headers))
    if (body === null) response.end()
    else await pipeline(body, response)
  } catch (error) {
    if (!left.signal.aborted) response.destroy(error instanceof Error ? error : undefined)
  }
})

if (process.argv[1]?.endsWith("express.ts") === true) app.listen(3000)
