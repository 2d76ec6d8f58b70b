/** The simple API: the routes under `/llm`. */
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { Clock, Effect, Option } from "effect"
import type { Service as LLMService, Status } from "../../call/model.js"
import type { Caller } from "../auth/model.js"
import * as Authentication from "../auth/authenticate.js"
import type * as Problem from "../http/error.js"
import type { Route } from "../http/context.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { namesOf, single } from "../http/context.js"
import * as Answer from "./answer.js"
import { encodeError } from "./error.js"
import * as Load from "./load.js"
import * as Question from "./question.js"

/** What the gateway's options say of this API. */
export interface Options {
  /** The model of those who name none. @default that of the file, or else all that the caller may ask, balanced by weight */
  readonly model?: string
  /**
   * Whether the routes are there that list models and keys: `/llm/models`, `/llm/model-load/{model}` and `/llm/keys/{model}`.
   * They need the token of the administration. @default false
   */
  readonly details?: boolean
}

const json = (body: unknown) => HttpServerResponse.unsafeJson(body)

// -------------------------------------------------------------------------------------
// load
// -------------------------------------------------------------------------------------

const notFound = (message: string): Problem.Problem => ({ status: 404, code: "not_found", message })

const noModel = (name: string): Problem.Problem => notFound(`Model ${name.slice(0, 200)} not found`)

/** Every model that the caller may ask, by its full name, with what it is at. */
const loads = ({ models }: GatewayContext, caller: Caller) =>
  Effect.forEach(single(models.list), ({ aliases, model, name, weight }) => {
    if (!caller.allows([name, model, ...aliases])) return Effect.succeed([])
    // A model that has just gone has no load.
    return Effect.map(Effect.option(Effect.flatMap(models.get(name), ({ status }) => status)), (status) =>
      Option.toArray(Option.map(status, (status) => [name, Load.ofModel(status, weight ?? 1)] as const))
    )
  }).pipe(Effect.map((all) => all.flat()))

const systemLoad = (surroundings: GatewayContext): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.map(loads(surroundings, caller), (all) => json({ load_percent: Load.percent(all.map(([, load]) => load)) }))
  )

const systemCapacity = (surroundings: GatewayContext): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.map(loads(surroundings, caller), (all) =>
      json({ total_max: Load.totalMax(all.map(([, load]) => load)), details: Object.fromEntries(all) })
    )
  )

const rest = Effect.map(HttpRouter.RouteContext, ({ params }) => params["*"] ?? "")

const llmOf = ({ models }: GatewayContext, name: string): Effect.Effect<LLMService, Problem.Problem> =>
  Effect.mapError(models.get(name), () => noModel(name))

/** Groups have none. */
const weightOf = ({ models }: GatewayContext, { info }: LLMService): number =>
  single(models.list).find(({ model, provider }) => model === info.model && provider === info.provider)?.weight ?? 1

/** Shows something of the model that the path names, in any way that it can be named. */
const ofModel = (surroundings: GatewayContext, show: (status: Status, weight: number) => unknown): Handler =>
  Authentication.requireAdmin(
    surroundings,
    Effect.gen(function* () {
      const llm = yield* Effect.flatMap(rest, (name) => llmOf(surroundings, name))
      return json(show(yield* llm.status, weightOf(surroundings, llm)))
    })
  )

/** Both names may have slashes in them: the places where the one may end and the other begin. */
const splits = (path: string): ReadonlyArray<readonly [model: string, key: string]> =>
  [...path.matchAll(/\//g)].map(({ index }) => [path.slice(0, index), path.slice(index + 1)] as const)

const keyLoad = (surroundings: GatewayContext): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.gen(function* () {
      const path = yield* rest
      let known: string | undefined
      for (const [name, key] of splits(path)) {
        const found = yield* Effect.option(surroundings.models.get(name))
        if (Option.isNone(found)) continue
        if (!caller.allows(namesOf(surroundings.models, name, found.value.info))) continue
        known = name
        const load = Load.ofKey(yield* found.value.status, key)
        if (load !== undefined) return json(load)
      }
      // The key is not repeated: who takes the secret for the id should not find it in a log.
      return yield* Effect.fail(
        known === undefined
          ? noModel(path.split("/").slice(0, -1).join("/"))
          : notFound(`API key not found in ${known}`)
      )
    })
  )

const models = (surroundings: GatewayContext): Handler =>
  Authentication.requireAdmin(
    surroundings,
    Effect.sync(() => json({ models: surroundings.models.list.map(({ name }) => name) }))
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

/** Requests are welcome. */
export const ready = ({ models, running }: GatewayContext): Handler =>
  Effect.gen(function* () {
    const { shuttingDown } = yield* running.status
    const status = shuttingDown ? "shutting down" : models.list.length === 0 ? "no models" : "ok"
    return HttpServerResponse.unsafeJson({ status, timestamp: yield* now }, { status: status === "ok" ? 200 : 503 })
  })

// -------------------------------------------------------------------------------------
// routes
// -------------------------------------------------------------------------------------

type Answering = (surroundings: GatewayContext, question: Question.Question) => Handler

export const make = (surroundings: GatewayContext, options: Options): Effect.Effect<ReadonlyArray<Route>> =>
  Effect.map(Question.unnamed(surroundings, options.model), (unnamed) => {
    const asked = (answering: Answering): Handler =>
      Authentication.authenticated(surroundings, (caller) =>
        Effect.flatMap(Question.read(surroundings, caller, unnamed), (question) => answering(surroundings, question))
      )
    const get = (path: `/${string}`, handler: Handler): Route => ({ method: "GET", path, handler, encodeError })
    return [
      { method: "POST", path: "/llm/chat", handler: asked(Answer.whole), encodeError },
      { method: "POST", path: "/llm/chat/stream", handler: asked(Answer.streamed), encodeError },
      get("/llm/system-load", systemLoad(surroundings)),
      get("/llm/system-capacity", systemCapacity(surroundings)),
      get("/llm/key-load/*", keyLoad(surroundings)),
      get("/llm/health", health),
      get("/health", health),
      get("/ready", ready(surroundings)),
      ...(options.details === true
        ? [
            get("/llm/models", models(surroundings)),
            get("/llm/model-load/*", ofModel(surroundings, Load.ofModel)),
            get("/llm/keys/*", ofModel(surroundings, keys))
          ]
        : [])
    ]
  })
