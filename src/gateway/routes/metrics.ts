/** `/metrics`: what Prometheus scrapes, and who may read it. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Option, Redacted } from "effect"
import * as Prometheus from "../../telemetry/Prometheus.js"
import * as Authentication from "../auth/authenticate.js"
import * as Digest from "../auth/digest.js"
import * as Loopback from "../auth/loopback.js"
import type { Handler, GatewayContext } from "../http/context.js"

export interface Options {
  /**
   * Who may read without a token. The figures name models and ids of keys, and say how much is used and spent. What comes through
   * a proxy is not from this machine, wherever the proxy is. @default "loopback"
   */
  readonly readers?: "loopback" | "everyone"
  /** What else opens `/metrics`, and nothing but that, beside the token of the administration. @default nothing */
  readonly token?: string | Redacted.Redacted<string>
}

/** What proxies add. */
const forwarding = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]

const isLocal = ({ headers, remoteAddress }: HttpServerRequest.HttpServerRequest): boolean =>
  Option.exists(remoteAddress, Loopback.isLoopback) &&
  Loopback.isOwnPage(headers) &&
  forwarding.every((name) => headers[name] === undefined)

const show: Handler = Effect.map(Prometheus.text, (text) =>
  HttpServerResponse.text(text, { contentType: Prometheus.contentType })
)

export const handler = (surroundings: GatewayContext, { readers = "loopback", token }: Options): Handler => {
  const digest = token === undefined ? undefined : Digest.of(Redacted.isRedacted(token) ? token : Redacted.make(token))
  const administration = Authentication.requireAdmin(surroundings, show)
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    if (readers === "everyone" || isLocal(request)) return show
    const isReader =
      digest !== undefined &&
      Option.exists(Authentication.secretOf(request.headers), (secret) => Digest.equal(Digest.of(secret), digest))
    return isReader ? show : administration
  })
}
