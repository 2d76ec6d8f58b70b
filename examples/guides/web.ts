/** The guide "Streaming to a web page": plain text from a server of Node, and a route for `useChat`. */
import { createServer } from "node:http"
import assert from "node:assert"
import { Writable } from "node:stream"
import { Effect, Layer, ManagedRuntime } from "effect"
import { LLM, WebStream } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const runtime = ManagedRuntime.make(LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici)))

const server = createServer(async (request, response) => {
  const left = new AbortController()
  response.once("close", () => left.abort())
  try {
    const prompt = new URL(request.url ?? "/", "http://localhost").searchParams.get("prompt") ?? "Hello"
    const answer = LLM.toResponse(LLM.chatStream(prompt), { signal: left.signal })
    const { body, headers, status } = await runtime.runPromise(answer, { signal: left.signal })
    headers.forEach((value, name) => response.setHeader(name, value))
    response.statusCode = status
    if (body === null) response.end()
    else await body.pipeTo(Writable.toWeb(response))
  } catch (error) {
    response.destroy(error instanceof Error ? error : undefined)
  }
})
await new Promise<void>((resolve) => server.listen(0, resolve))

const address = server.address()
const port = typeof address === "object" && address !== null ? address.port : 0
const text = await (await fetch(`http://localhost:${port}/?prompt=rain`)).text()
assert(text.includes("rain"), text)

const post = (body: unknown): Promise<Response> =>
  runtime.runPromise(
    WebStream.messagesOf(body).pipe(
      Effect.flatMap((messages) => LLM.toResponse(LLM.chatStream({ messages }), { format: "ui-messages" })),
      Effect.catchAll((error) => Effect.succeed(new Response(error.message, { status: 400 })))
    )
  )

const chat = await post({ messages: [{ role: "user", parts: [{ type: "text", text: "snow" }] }] })
const chunks = await chat.text()
assert(chunks.includes("text-delta") && chunks.includes("snow") && chunks.endsWith("data: [DONE]\n\n"), chunks)
assert.equal((await post({ messages: "none" })).status, 400)

server.close()
await runtime.dispose()
console.log("streamed", text)
