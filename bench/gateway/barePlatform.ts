/** A proxy of `@effect/platform` that passes bodies through: the minimum cost of any gateway built on it. */
import { HttpClient, HttpClientRequest, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { createServer } from "node:http"

const upstream = process.argv[2] ?? ""

const handler = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const body = yield* request.arrayBuffer
  const response = yield* HttpClient.execute(
    HttpClientRequest.post(`${upstream}/chat/completions`, { headers: { authorization: "Bearer key" } }).pipe(
      HttpClientRequest.bodyUint8Array(new Uint8Array(body), "application/json")
    )
  )
  return HttpServerResponse.stream(response.stream, {
    status: response.status,
    contentType: response.headers["content-type"] ?? "application/json"
  })
})

const Served = HttpServer.serve(handler).pipe(
  Layer.tap(() =>
    HttpServer.addressWith((address) =>
      Effect.sync(() => process.send?.(address._tag === "TcpAddress" ? address.port : 0))
    )
  ),
  Layer.provide(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })),
  Layer.provide(NodeHttpClient.layerUndici)
)

NodeRuntime.runMain(Layer.launch(Served))
