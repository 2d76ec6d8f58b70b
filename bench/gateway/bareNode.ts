/** A proxy of `node:http` and undici's dispatcher that passes bytes through: the minimum cost of any gateway on Node. */
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Dispatcher } from "undici"
import { Agent } from "undici"

const upstream = process.argv[2] ?? ""
const { origin, pathname } = new URL(upstream)

const agent = new Agent()

const send = (body: Buffer, response: ServerResponse): void => {
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => {},
    onResponseStart: (_controller, status, { "content-length": length, "content-type": type = "application/json" }) => {
      response.writeHead(status, {
        "content-type": String(type),
        ...(length === undefined ? {} : { "content-length": String(length) })
      })
    },
    onResponseData: (controller, data) => {
      if (response.write(data)) return
      controller.pause()
      response.once("drain", () => controller.resume())
    },
    onResponseEnd: () => {
      response.end()
    },
    onResponseError: () => {
      response.destroy()
    }
  }
  const headers = { "content-type": "application/json", authorization: "Bearer key" }
  agent.dispatch({ origin, path: `${pathname}/chat/completions`, method: "POST", headers, body }, handler)
}

const server = createServer((request: IncomingMessage, response) => {
  const pieces: Array<Buffer> = []
  request.on("data", (data: Buffer) => pieces.push(data))
  request.on("end", () => send(Buffer.concat(pieces), response))
})

server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})
