/** `/metrics` for Prometheus, and the access to it. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Option, Redacted } from "effect"
import * as Exposition from "../../telemetry/exposition.js"
import * as Prometheus from "../../telemetry/Prometheus.js"
import * as Authentication from "../auth/authenticate.js"
import * as Secrets from "../auth/secrets.js"
import * as Loopback from "../auth/loopback.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { Peers } from "../workers/peers.js"

export interface Options {
  /**
   * Who can read without a token. The metrics contain models, key ids, usage and costs. A request through a proxy is not local,
   * even if the proxy is. @default "loopback"
   */
  readonly readers?: "loopback" | "everyone"
  /** A token for `/metrics` only, in addition to the admin token. @default none */
  readonly token?: string | Redacted.Redacted<string>
}

/** The headers that proxies add. */
const proxyHeaders = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]

const isLocal = ({ headers, remoteAddress }: HttpServerRequest.HttpServerRequest): boolean =>
  Option.exists(remoteAddress, Loopback.isLoopback) &&
  Loopback.isOwnPage(headers) &&
  proxyHeaders.every((name) => headers[name] === undefined)

/** The metrics of this process with its levels, or those of all workers, of whose levels the sums would mean nothing. */
const textWith = (recordLevels: Effect.Effect<void>): Effect.Effect<string> =>
  Effect.flatMap(Peers, (peers) =>
    peers === undefined
      ? Effect.zipRight(recordLevels, Prometheus.text)
      : Effect.map(peers.metrics, (series) => Exposition.render(series))
  )

/** `recordLevels` sets the gauges of levels. */
export const handler = (
  context: GatewayContext,
  { readers = "loopback", token }: Options,
  recordLevels: Effect.Effect<void>
): Handler => {
  const respond: Handler = Effect.map(textWith(recordLevels), (text) =>
    HttpServerResponse.text(text, { contentType: Prometheus.contentType })
  )
  const digest =
    token === undefined ? undefined : Secrets.digest(Redacted.isRedacted(token) ? token : Redacted.make(token))
  const adminOnly = Authentication.requireAdmin(context, respond)
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    if (readers === "everyone" || isLocal(request)) return respond
    const isReader =
      digest !== undefined &&
      Option.exists(Authentication.secretOf(request.headers), (secret) =>
        Secrets.equalDigests(Secrets.digest(secret), digest)
      )
    return isReader ? respond : adminOnly
  })
}
