/** A response in memory. */
import type { Schema } from "effect"
import { Effect, Inspectable, Option, Pipeable, Stream } from "effect"
import type { HttpClientRequest } from "effect/http"
import { Cookies, Headers, HttpClientError, HttpClientResponse, HttpIncomingMessage, UrlParams } from "effect/http"

/** It is read without a promise: virtual time would pass while a fiber waits for one. */
export class WholeResponse extends Pipeable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpClientResponse.TypeId] = HttpClientResponse.TypeId
  readonly [HttpIncomingMessage.TypeId] = HttpIncomingMessage.TypeId
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
    this.headers = Headers.fromRecordUnsafe(headers)
    this.body = body
  }
  get text(): Effect.Effect<string> {
    return Effect.succeed(this.body)
  }
  get url(): string {
    return this.request.url
  }
  get upgrade(): Effect.Effect<never, HttpClientError.HttpClientError> {
    return Effect.fail(this.#unreadable("no socket"))
  }
  get json(): Effect.Effect<Schema.Json, HttpClientError.HttpClientError> {
    return Effect.try({ try: (): Schema.Json => JSON.parse(this.body), catch: (cause) => this.#unreadable(cause) })
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
  get formData(): Effect.Effect<FormData, HttpClientError.HttpClientError> {
    return Effect.fail(this.#unreadable("no form"))
  }
  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
  toJSON(): unknown {
    return { _id: "SimulatedResponse", status: this.status }
  }
  #unreadable(cause: unknown): HttpClientError.HttpClientError {
    return new HttpClientError.HttpClientError({
      reason: new HttpClientError.DecodeError({ request: this.request, response: this, cause })
    })
  }
}
