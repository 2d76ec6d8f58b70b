/** The routes of the page, its files and its events. The files are public; the events require the admin token. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Option } from "effect"
import { Effect, Stream } from "effect"
import * as Framing from "../../wire/framing.js"
import type { Service as AccessService } from "../auth/model.js"
import * as Authentication from "../auth/authenticate.js"
import * as Loopback from "../auth/loopback.js"
import * as Problem from "../http/error.js"
import { chatCompletions } from "../chat/protocols.js"
import type { Router } from "../http/context.js"
import * as Streaming from "../chat/sse.js"
import type { Handler } from "../http/context.js"
import * as Routers from "../http/router.js"
import * as Assets from "./assets.js"
import type { Bodies } from "./bodyLog.js"
import type { History } from "./history/model.js"
import type { LoggedRequest } from "./requestLog.js"
import type { Snapshot } from "./snapshot.js"

const forbiddenOrigin = Problem.forbidden(
  "A gateway without keys serves its dashboard only to its own machine. Configure an admin token."
)

/** Requires the admin token; if no key is configured at all, a page of this gateway on this machine. */
const requireViewer = (access: AccessService, route: Handler): Handler =>
  access.isOpen
    ? Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        Loopback.isOwnPage(headers) ? route : Effect.fail(forbiddenOrigin)
      )
    : Authentication.requireAdmin({ access }, route)

const encoder = new TextEncoder()

/**
 * Server-sent events, each a `Snapshot`. The page reads them with `fetch`, because an `EventSource` cannot send a token in a
 * header, and a cookie could be used by another page.
 */
const events = (access: AccessService, snapshots: Stream.Stream<Snapshot>): Handler =>
  requireViewer(
    access,
    Effect.sync(() =>
      Streaming.response(
        Stream.map(snapshots, (snapshot) =>
          encoder.encode(Framing.render("sse", { event: "snapshot", data: JSON.stringify(snapshot) }))
        ),
        Streaming.sse.contentType
      )
    )
  )

/** What the routes read. */
export interface Sources {
  readonly snapshots: Stream.Stream<Snapshot>
  readonly requests: (after: number) => Effect.Effect<ReadonlyArray<LoggedRequest>>
  readonly bodies: (requestId: string) => Effect.Effect<Option.Option<Bodies>>
  readonly history: (from: number, to: number) => Effect.Effect<Option.Option<History>>
}

/** The figures of the range in the query. */
const historyOf = (access: AccessService, history: Sources["history"]): Handler =>
  requireViewer(
    access,
    Effect.gen(function* () {
      const { method, url } = yield* HttpServerRequest.HttpServerRequest
      const { pathname, searchParams } = new URL(url, "http://localhost")
      const [from, to] = [Number(searchParams.get("from") ?? Number.NaN), Number(searchParams.get("to") ?? Number.NaN)]
      if (!(from >= 0 && from < to && to < Infinity)) {
        return yield* Effect.fail(
          Problem.invalid("from and to must be times in milliseconds since 1970, and from must be before to.", "from")
        )
      }
      const found = yield* history(from, to)
      if (found._tag === "None") return yield* Effect.fail(Problem.notFound(method, pathname))
      return HttpServerResponse.unsafeJson(found.value, { headers: { "cache-control": "no-store" } })
    })
  )

/** The requests after the number in the query, the newest first. */
const lastRequests = (access: AccessService, requests: Sources["requests"]): Handler =>
  requireViewer(
    access,
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) => {
      const after = Number(new URL(url, "http://localhost").searchParams.get("after") ?? 0)
      return Effect.map(requests(Number.isFinite(after) ? after : 0), (found) =>
        HttpServerResponse.unsafeJson({ requests: found }, { headers: { "cache-control": "no-store" } })
      )
    })
  )

/** The bodies of the request whose id is in the query. */
const bodiesOf = (access: AccessService, bodies: Sources["bodies"]): Handler =>
  requireViewer(
    access,
    Effect.gen(function* () {
      const { method, url } = yield* HttpServerRequest.HttpServerRequest
      const { pathname, searchParams } = new URL(url, "http://localhost")
      const found = yield* bodies(searchParams.get("id") ?? "")
      if (found._tag === "None") return yield* Effect.fail(Problem.notFound(method, pathname))
      return HttpServerResponse.unsafeJson(found.value, { headers: { "cache-control": "no-store" } })
    })
  )

/** Reports whether the events require a token, so that the page knows before its first request. */
const accessMode = ({ isOpen }: AccessService): Handler =>
  Effect.succeed(HttpServerResponse.unsafeJson({ token: isOpen ? "none" : "required" }))

const withErrorResponse = (handler: Handler) =>
  Effect.catchAll(handler, (problem) => Effect.succeed(Problem.response(chatCompletions.wire.encodeError, problem)))

const files = [
  { path: "/", name: "index.html", type: "text/html; charset=utf-8" },
  { path: "/dashboard/app.js", name: "app.js", type: "text/javascript; charset=utf-8" },
  { path: "/dashboard/app.css", name: "app.css", type: "text/css; charset=utf-8" },
  { path: "/dashboard/icon.svg", name: "icon.svg", type: "image/svg+xml" }
] as const

export const make = (
  access: AccessService,
  { bodies, history, requests, snapshots }: Sources,
  directory: URL
): Effect.Effect<Router> =>
  Effect.map(
    Effect.forEach(files, ({ name, path, type }) =>
      Effect.map(Assets.make(directory, name, type), (asset): Routers.RoutedApp => ({
        method: "GET",
        path,
        app: asset
      }))
    ),
    (assets) =>
      Routers.make([
        ...assets,
        { method: "GET", path: "/dashboard/access", app: withErrorResponse(accessMode(access)) },
        { method: "GET", path: "/dashboard/events", app: withErrorResponse(events(access, snapshots)) },
        { method: "GET", path: "/dashboard/requests", app: withErrorResponse(lastRequests(access, requests)) },
        { method: "GET", path: "/dashboard/bodies", app: withErrorResponse(bodiesOf(access, bodies)) },
        { method: "GET", path: "/dashboard/history", app: withErrorResponse(historyOf(access, history)) }
      ])
  )
