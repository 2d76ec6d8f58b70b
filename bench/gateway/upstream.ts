/** The provider of the gateways, in its own process: fixed answers of a usual size, no work. */
import { createServer } from "node:http"
import { chunksPerStream } from "./scenario.js"

const head = { id: "chatcmpl-bench", created: 1, model: "bench" }

const usage = { prompt_tokens: 120, completion_tokens: chunksPerStream, total_tokens: 120 + chunksPerStream }

const answer = JSON.stringify({
  ...head,
  object: "chat.completion",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "The capital of France is Paris. ".repeat(10), refusal: null },
      logprobs: null,
      finish_reason: "stop"
    }
  ],
  usage
})

const frame = (body: object): string =>
  `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...body })}\n\n`

const chunk = (delta: object, reason: string | null): string =>
  frame({ choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }] })

const beginning = chunk({ role: "assistant", content: "" }, null)
const piece = chunk({ content: " token" }, null)
const end = `${chunk({}, "stop")}${frame({ choices: [], usage })}data: [DONE]\n\n`

const server = createServer((request, response) => {
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (data: string) => {
    body += data
  })
  request.on("end", () => {
    if (!/"stream":\s*true/.test(body)) {
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(answer) })
      response.end(answer)
      return
    }
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(beginning)
    let sent = 0
    // One write per chunk, like real providers.
    const next = (): void => {
      if (sent++ === chunksPerStream) return void response.end(end)
      response.write(piece)
      setImmediate(next)
    }
    next()
  })
})

server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})
