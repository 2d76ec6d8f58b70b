/** A response in memory: one module, since those of Effect 4 have other members. */
import { Cookies, Headers, HttpClientError, HttpClientResponse, HttpIncomingMessage, UrlParams } from "@effect/platform"
import type { HttpClientRequest } from "@effect/platform"
import { Effect, Inspectable, Option, Stream } from "effect"

/** It is read without a promise: virtual time would pass while a fiber waits for one. */
export class WholeResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly cookies = Cookies.empty
  readonly remoteAddress = Option.none<string>()
  readonly request: HttpClientRequest.HttpClientRequest
  readonly status: number
  readonly headers: Headers.Headers
  readonly body: string
  constructor(
    request: HttpClientRequest.HttpClientRequest,
    status: number,
    headers: Readonly<Record<string, string>>,
    body: string
  ) {
    super()
    this.request = request
    this.status = status
    this.headers = Headers.unsafeFromRecord(headers)
    this.body = body
  }
  get text(): Effect.Effect<string> {
    return Effect.succeed(this.body)
  }
  get json(): Effect.Effect<unknown, HttpClientError.ResponseError> {
    return Effect.try({ try: (): unknown => JSON.parse(this.body), catch: (cause) => this.#unreadable(cause) })
  }
  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams> {
    return Effect.succeed(UrlParams.fromInput(new URLSearchParams(this.body)))
  }
  get arrayBuffer(): Effect.Effect<ArrayBuffer> {
    return Effect.sync(() => new TextEncoder().encode(this.body).slice().buffer)
  }
  get stream(): Stream.Stream<Uint8Array> {
    return Stream.sync(() => new TextEncoder().encode(this.body))
  }
  get formData(): Effect.Effect<FormData, HttpClientError.ResponseError> {
    return Effect.fail(this.#unreadable("no form"))
  }
  toJSON(): unknown {
    return { _id: "SimulatedResponse", status: this.status }
  }
  #unreadable(cause: unknown): HttpClientError.ResponseError {
    return new HttpClientError.ResponseError({ request: this.request, response: this, reason: "Decode", cause })
  }
}
