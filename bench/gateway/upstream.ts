/** The provider of the gateways, in its own process: fixed answers of a usual size in both protocols, no work. */
import type { ServerResponse } from "node:http"
import { createServer } from "node:http"
import { chunksPerStream, slowStream, slowUser } from "./scenario.js"

interface Protocol {
  readonly answer: string
  readonly begin: string
  readonly piece: string
  readonly end: string
}

const text = "The capital of France is Paris. ".repeat(10)

const head = { id: "chatcmpl-bench", created: 1, model: "bench" }

const usage = { prompt_tokens: 120, completion_tokens: chunksPerStream, total_tokens: 120 + chunksPerStream }

const frame = (body: object): string =>
  `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...body })}\n\n`

const chunk = (delta: object, reason: string | null): string =>
  frame({ choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }] })

const chat: Protocol = {
  answer: JSON.stringify({
    ...head,
    object: "chat.completion",
    choices: [
      { index: 0, message: { role: "assistant", content: text, refusal: null }, logprobs: null, finish_reason: "stop" }
    ],
    usage
  }),
  begin: chunk({ role: "assistant", content: "" }, null),
  piece: chunk({ content: " token" }, null),
  end: `${chunk({}, "stop")}${frame({ choices: [], usage })}data: [DONE]\n\n`
}

const event = (type: string, fields: object): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`

const message = (content: ReadonlyArray<object>, reason: string | null) => ({
  id: "msg_bench",
  type: "message",
  role: "assistant",
  model: "bench-anthropic",
  content,
  stop_reason: reason,
  stop_sequence: null,
  usage: { input_tokens: 120, output_tokens: chunksPerStream }
})

const messages: Protocol = {
  answer: JSON.stringify(message([{ type: "text", text }], "end_turn")),
  begin:
    event("message_start", { message: message([], null) }) +
    event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
  piece: event("content_block_delta", { index: 0, delta: { type: "text_delta", text: " token" } }),
  end:
    event("content_block_stop", { index: 0 }) +
    event("message_delta", {
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: chunksPerStream }
    }) +
    event("message_stop", {})
}

const stream = (response: ServerResponse, { begin, end, piece }: Protocol): void => {
  response.write(begin)
  let sent = 0
  // One write per chunk, like real providers.
  const next = (): void => {
    if (sent++ === chunksPerStream) return void response.end(end)
    response.write(piece)
    setImmediate(next)
  }
  next()
}

const streamSlowly = (response: ServerResponse, { begin, end, piece }: Protocol): void => {
  response.write(begin)
  let sent = 0
  const timer = setInterval(() => {
    response.write(piece)
    if (++sent < slowStream.chunks) return
    clearInterval(timer)
    response.end(end)
  }, slowStream.interval)
}

const isSlow = new RegExp(`"user":\\s*"${slowUser}"`)

const server = createServer((request, response) => {
  const protocol = request.url?.endsWith("/messages") === true ? messages : chat
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (data: string) => {
    body += data
  })
  request.on("end", () => {
    if (!/"stream":\s*true/.test(body)) {
      response.writeHead(200, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(protocol.answer)
      })
      response.end(protocol.answer)
      return
    }
    response.writeHead(200, { "content-type": "text/event-stream" })
    if (isSlow.test(body)) streamSlowly(response, protocol)
    else stream(response, protocol)
  })
})

// A connection that is idle while others are measured is kept: a gateway that meets its end at that moment would fail.
server.keepAliveTimeout = 0

// 500 slow streams connect at once.
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})
