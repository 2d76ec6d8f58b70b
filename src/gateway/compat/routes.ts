/** The simple API: the routes under `/llm`, and the health routes. */
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { Clock, Effect, Option } from "effect"
import type { Service as LLMService, Status } from "../../call/model.js"
import type { Caller } from "../auth/model.js"
import * as Authentication from "../auth/authenticate.js"
import type * as HttpErrors from "../http/error.js"
import type { Route } from "../http/context.js"
import type { Handler, GatewayContext } from "../http/context.js"
import type { HotRoute } from "../http/hotRoute.js"
import { accessNames, withoutGroups } from "../http/context.js"
import * as Load from "./load.js"
import * as Requests from "./request.js"
import * as Responses from "./response.js"
import { encodeError } from "./response.js"

/** Options of the simple API. */
export interface Options {
  /** The model of requests that name none. @default that of the file, or else all that the caller may use, balanced by weight */
  readonly model?: string
  /**
   * Whether to serve `/llm/models`, `/llm/model-load/{model}` and `/llm/keys/{model}`, which list models and keys. They need the
   * admin token. @default false
   */
  readonly details?: boolean
}

const json = (body: unknown) => HttpServerResponse.unsafeJson(body)

// -------------------------------------------------------------------------------------
// load
// -------------------------------------------------------------------------------------

const notFound = (message: string): HttpErrors.HttpError => ({ status: 404, code: "not_found", message })

const noModel = (name: string): HttpErrors.HttpError => notFound(`Model ${name.slice(0, 200)} not found`)

/** The full name and the load of every model that the caller may use. */
const loads = ({ models }: GatewayContext, caller: Caller) =>
  Effect.forEach(withoutGroups(models.list), ({ aliases, model, name, weight }) => {
    if (!caller.allows([name, model, ...aliases])) return Effect.succeed([])
    // A model that was just removed has no load.
    return Effect.map(Effect.option(Effect.flatMap(models.get(name), ({ status }) => status)), (status) =>
      Option.toArray(Option.map(status, (status) => [name, Load.ofModel(status, weight ?? 1)] as const))
    )
  }).pipe(Effect.map((all) => all.flat()))

const systemLoad = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.map(loads(context, caller), (all) => json({ load_percent: Load.percent(all.map(([, load]) => load)) }))
  )

const systemCapacity = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.map(loads(context, caller), (all) =>
      json({ total_max: Load.totalMax(all.map(([, load]) => load)), details: Object.fromEntries(all) })
    )
  )

const pathRest = Effect.map(HttpRouter.RouteContext, ({ params }) => params["*"] ?? "")

const llmOf = ({ models }: GatewayContext, name: string): Effect.Effect<LLMService, HttpErrors.HttpError> =>
  Effect.mapError(models.get(name), () => noModel(name))

/** The weight of a model; 1 for a group, which has none. */
const weightOf = ({ models }: GatewayContext, { info }: LLMService): number =>
  withoutGroups(models.list).find(({ model, provider }) => model === info.model && provider === info.provider)
    ?.weight ?? 1

/** A route that shows the status of the model that the path names, by any of its names. */
const modelRoute = (context: GatewayContext, show: (status: Status, weight: number) => unknown): Handler =>
  Authentication.requireAdmin(
    context,
    Effect.gen(function* () {
      const llm = yield* Effect.flatMap(pathRest, (name) => llmOf(context, name))
      return json(show(yield* llm.status, weightOf(context, llm)))
    })
  )

/** Every way to split a path into a model and a key: both names can contain slashes. */
const splits = (path: string): ReadonlyArray<readonly [model: string, key: string]> =>
  [...path.matchAll(/\//g)].map(({ index }) => [path.slice(0, index), path.slice(index + 1)] as const)

const keyLoad = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.gen(function* () {
      const path = yield* pathRest
      let modelName: string | undefined
      for (const [name, key] of splits(path)) {
        const found = yield* Effect.option(context.models.get(name))
        if (Option.isNone(found)) continue
        if (!caller.allows(accessNames(context.models, name, found.value.info))) continue
        modelName = name
        const load = Load.ofKey(yield* found.value.status, key)
        if (load !== undefined) return json(load)
      }
      // The message does not repeat the key, because a client that sends the secret must not find it in a log.
      return yield* Effect.fail(
        modelName === undefined
          ? noModel(path.split("/").slice(0, -1).join("/"))
          : notFound(`API key not found in ${modelName}`)
      )
    })
  )

const models = (context: GatewayContext): Handler =>
  Authentication.requireAdmin(
    context,
    Effect.sync(() => json({ models: context.models.list.map(({ name }) => name) }))
  )

const keys = (status: Status) => ({
  keys: status.keys.keys.map(({ id, weight }): Load.KeyShare => ({ key: id, weight }))
})

// -------------------------------------------------------------------------------------
// health
// -------------------------------------------------------------------------------------

const now = Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis).toISOString().replace(/\.\d+Z$/, "Z"))

/** The process is alive, also while it shuts down. */
export const health: Handler = Effect.map(now, (timestamp) => json({ status: "ok", timestamp }))

/** The gateway accepts requests. */
export const ready = ({ models, requests }: GatewayContext): Handler =>
  Effect.gen(function* () {
    const { shuttingDown } = yield* requests.status
    const status = shuttingDown ? "shutting down" : models.list.length === 0 ? "no models" : "ok"
    return HttpServerResponse.unsafeJson({ status, timestamp: yield* now }, { status: status === "ok" ? 200 : 503 })
  })

// -------------------------------------------------------------------------------------
// routes
// -------------------------------------------------------------------------------------

export interface SimpleRoutes {
  readonly hot: ReadonlyArray<HotRoute>
  readonly others: ReadonlyArray<Route>
}

export const make = (context: GatewayContext, options: Options): Effect.Effect<SimpleRoutes> =>
  Effect.map(Requests.makeDefaultModel(context, options.model), (defaultModel) => {
    const chat = (path: `/${string}`, respond: typeof Responses.respondWhole, streamed: boolean): HotRoute => ({
      path,
      operation: "chat",
      encodeError,
      answer: (call) =>
        Effect.flatMap(Requests.read(context, call, defaultModel, streamed), (request) => respond(call, request))
    })
    const get = (path: `/${string}`, handler: Handler): Route => ({ method: "GET", path, handler, encodeError })
    return {
      hot: [
        chat("/llm/chat", Responses.respondWhole, false),
        chat("/llm/chat/stream", Responses.respondStreaming(context), true)
      ],
      others: [
        get("/llm/system-load", systemLoad(context)),
        get("/llm/system-capacity", systemCapacity(context)),
        get("/llm/key-load/*", keyLoad(context)),
        get("/llm/health", health),
        get("/health", health),
        get("/ready", ready(context)),
        ...(options.details === true
          ? [
              get("/llm/models", models(context)),
              get("/llm/model-load/*", modelRoute(context, Load.ofModel)),
              get("/llm/keys/*", modelRoute(context, keys))
            ]
          : [])
      ]
    }
  })
