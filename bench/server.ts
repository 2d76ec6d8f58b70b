/** The provider of the benchmark, in its own process so that its CPU is not counted: fixed answers, no work. */
import { createServer } from "node:http"

const answer = JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1,
  model: "bench",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "The capital of France is Paris.", refusal: null },
      finish_reason: "stop"
    }
  ],
  usage: { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 }
})

const chunk = (delta: object, finish: string | null) =>
  `data: ${JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion.chunk",
    created: 1,
    model: "bench",
    choices: [{ index: 0, delta, finish_reason: finish }]
  })}\n\n`

const usage = `data: ${JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion.chunk",
  created: 1,
  model: "bench",
  choices: [],
  usage: { prompt_tokens: 12, completion_tokens: 1000, total_tokens: 1012 }
})}\n\n`

const responseObject = (status: string, output: ReadonlyArray<object>) => ({
  id: "resp_bench",
  object: "response",
  created_at: 1,
  status,
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: "bench",
  output,
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: "auto",
  tools: [],
  top_p: 1,
  usage:
    status === "completed"
      ? {
          input_tokens: 12,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: 7,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: 19
        }
      : null
})

const messageItem = (text: string) => ({
  id: "msg_bench",
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [], logprobs: [] }]
})

const responsesAnswer = JSON.stringify(responseObject("completed", [messageItem("The capital of France is Paris.")]))

const event = (type: string, fields: object) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: 1, ...fields })}\n\n`

/** The data of each protocol: a whole answer, and the start, a delta and the end of a stream. */
const protocols = {
  chat: {
    answer,
    begin: chunk({ role: "assistant", content: "" }, null),
    piece: chunk({ content: "token " }, null),
    end: `${chunk({}, "stop")}${usage}data: [DONE]\n\n`
  },
  responses: {
    answer: responsesAnswer,
    begin:
      event("response.created", { response: responseObject("in_progress", []) }) +
      event("response.output_item.added", { output_index: 0, item: { ...messageItem(""), content: [] } }) +
      event("response.content_part.added", {
        item_id: "msg_bench",
        output_index: 0,
        content_index: 0,
        part: { type: "output_text", text: "", annotations: [], logprobs: [] }
      }),
    piece: event("response.output_text.delta", {
      item_id: "msg_bench",
      output_index: 0,
      content_index: 0,
      delta: "token ",
      logprobs: []
    }),
    end:
      event("response.output_item.done", { output_index: 0, item: messageItem("") }) +
      event("response.completed", { response: responseObject("completed", [messageItem("")]) })
  }
}

/** Deltas in one streamed answer. */
const pieces = 1000

const server = createServer((request, response) => {
  const protocol = protocols[request.url?.endsWith("/responses") === true ? "responses" : "chat"]
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
    response.write(protocol.begin)
    let sent = 0
    const next = (): void => {
      if (sent < pieces) {
        sent++
        response.write(protocol.piece)
        setImmediate(next)
      } else {
        response.end(protocol.end)
      }
    }
    next()
  })
})

// A connection that is idle while others are measured is kept: a client that meets its end at that moment would fail.
server.keepAliveTimeout = 0

server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})
