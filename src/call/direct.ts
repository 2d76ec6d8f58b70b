/**
 * Direct transports: requests whose events are reported by callbacks, without a fiber and without an Effect for each of them.
 *
 * A transport is registered for the `HttpClient` that it was made with. One that wraps or replaces that `HttpClient` is another object
 * and has no direct transport, so that a request mapping or a mock of a user is never bypassed.
 */
import type { HttpClient } from "@effect/platform"

export interface DirectRequest {
  readonly method: "GET" | "POST"
  readonly url: string
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/**
 * What a request reports: `onHead` once, `onData` for each piece of the decoded body, then `onEnd` or `onError`. `onError` can come at
 * any time. Nothing is reported after the end, after an error, or after `abort`. Callbacks do not throw.
 */
export interface Sink {
  /** The status is 200 or more. Header names are in lower case; values of one name are joined by a comma. */
  readonly onHead: (status: number, headers: Readonly<Record<string, string>>) => void
  readonly onData: (bytes: Uint8Array) => void
  readonly onEnd: () => void
  /** The connection was not made, or broke: an `Error`, whose innermost cause can have a `code` such as `ECONNREFUSED`. */
  readonly onError: (cause: unknown) => void
}

/** A request in flight. Each member can be called at any time and any number of times; after the end they have no effect. */
export interface Exchange {
  /** Closes the request at once. Nothing is reported any more. */
  readonly abort: () => void
  /** Stops reading from the socket, until `resume`. Data that has been read already can still be reported. */
  readonly pause: () => void
  readonly resume: () => void
}

export interface DirectTransport {
  /** Sends a request. Does not throw: a request that cannot be sent is reported as an error. It can report before it returns. */
  readonly send: (request: DirectRequest, sink: Sink) => Exchange
}

const transports = new WeakMap<HttpClient.HttpClient, DirectTransport>()

/** Registers the direct transport of an `HttpClient`. */
export const register = (client: HttpClient.HttpClient, transport: DirectTransport): void => {
  transports.set(client, transport)
}

/** The direct transport that is registered for this `HttpClient` object. */
export const of = (client: HttpClient.HttpClient): DirectTransport | undefined => transports.get(client)
