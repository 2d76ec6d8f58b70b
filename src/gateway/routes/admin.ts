/** The routes under `/admin`: status, virtual keys, key pools, deployments and caches, as JSON. */
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Option, Redacted, Schema } from "effect"
import type { Service as Balance } from "../../routing/balance/model.js"
import type { DeploymentStatus } from "../../routing/balance/model.js"
import { EmbeddingCache } from "../../caching/EmbeddingCache.js"
import type { KeyAdministration } from "../../keyPool/model.js"
import type { Status as LLMStatus } from "../../call/model.js"
import { ResponseCache } from "../../caching/ResponseCache.js"
import type { AccessStoreError } from "../AccessStore.js"
import type { InvalidAccessError, NewKey } from "../auth/model.js"
import * as Body from "../http/body.js"
import * as Authentication from "../auth/authenticate.js"
import * as HttpErrors from "../http/error.js"
import { requestOf } from "../http/hotApp.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { withoutGroups } from "../http/context.js"
import * as VirtualKeys from "../VirtualKey.js"
import { Peers } from "../workers/peers.js"
import { issuesOf } from "../../internal/faults.js"

/** Reads the body of a request. */
const readBody = ({ bodies, bodyLimits }: GatewayContext) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const account = bodies.make("admin")
    const read = Body.read(requestOf(request), bodyLimits, account)
    return Effect.ensuring(
      Effect.map(read, ({ json }) => json),
      Effect.sync(account.release)
    )
  })

/** Decodes a body. JSON that does not match the schema is a 422. */
const decoderOf = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknown(schema, { onExcessProperty: "error", errors: "all" })
  return (body: unknown): Effect.Effect<A, HttpErrors.HttpError> =>
    Effect.mapError(decode(body), ({ issue }): HttpErrors.HttpError => {
      const faults = issuesOf(issue)
      return {
        status: 422,
        code: "invalid_request",
        message: faults.map(({ message, path }) => `${path.join(".") || "body"}: ${message}`).join("; ")
      }
    })
}

/** An action that each worker of a gateway performs: it changes the state of a process, and succeeds with the response. */
type Action = (context: GatewayContext, body: unknown) => Effect.Effect<unknown, HttpErrors.HttpError>

const json = (body: unknown, status = 200) => HttpServerResponse.unsafeJson(body, { status })

// -------------------------------------------------------------------------------------
// virtual keys
// -------------------------------------------------------------------------------------

const storeFailed = (error: Error): Effect.Effect<never, HttpErrors.HttpError> =>
  Effect.zipRight(
    Effect.logError("the gateway's keys could not be reached", error),
    Effect.fail(HttpErrors.keyStoreUnavailable)
  )

/** A key as the routes show it, without what only the gateway needs. */
const encodeKey = Schema.encode(VirtualKeys.VirtualKey.omit("hash", "budgetAccount"))

/** Every key can be encoded: it was decoded or made by the same schema. */
const keyView = (key: VirtualKeys.VirtualKey) => Effect.orDie(encodeKey(key))

const listKeys = ({ access }: GatewayContext): Handler =>
  Effect.map(Effect.flatMap(Effect.catchAll(access.list, storeFailed), Effect.forEach(keyView)), (keys) =>
    json({ keys })
  )

const settings = decoderOf(VirtualKeys.Settings)

const notFound = (message: string): HttpErrors.HttpError => ({ status: 404, code: "not_found", message })

const invalidValue = ({ message }: Error): HttpErrors.HttpError => ({ status: 422, code: "invalid_request", message })

const changing = <A>(change: Effect.Effect<A, InvalidAccessError | AccessStoreError>) =>
  change.pipe(
    Effect.catchTag("InvalidAccessError", (error) => Effect.fail(invalidValue(error))),
    Effect.catchTag("AccessStoreError", storeFailed)
  )

/** The only responses that contain a secret. */
const withSecret =
  (status: number) =>
  ({ key, secret }: NewKey) =>
    Effect.map(keyView(key), (view) =>
      HttpServerResponse.unsafeJson(
        { ...view, key: Redacted.value(secret) },
        { status, headers: { "cache-control": "no-store" } }
      )
    )

const createKey = (context: GatewayContext): Handler =>
  Effect.flatMap(Effect.flatMap(readBody(context), settings), (input) =>
    Effect.flatMap(changing(context.access.create(input)), withSecret(201))
  )

/** The key of the id in the path; fails if there is none. */
const onClientKey = <A>(act: (id: string) => Effect.Effect<Option.Option<A>, HttpErrors.HttpError>) =>
  Effect.flatMap(HttpRouter.RouteContext, ({ params }) => {
    const id = params["id"] ?? ""
    return Effect.flatMap(
      act(id),
      Option.match({
        onNone: () => Effect.fail(notFound(`There is no key '${id.slice(0, 100)}'.`)),
        onSome: (found) => Effect.succeed(found)
      })
    )
  })

const updateKey = (context: GatewayContext): Handler =>
  Effect.flatMap(Effect.flatMap(readBody(context), settings), (input) =>
    Effect.flatMap(
      onClientKey((id) => changing(context.access.update(id, input))),
      (key) => Effect.map(keyView(key), (view) => json(view))
    )
  )

const rotateKey = ({ access }: GatewayContext): Handler =>
  Effect.flatMap(
    onClientKey((id) => changing(access.rotate(id))),
    withSecret(200)
  )

const revokeKey = ({ access }: GatewayContext): Handler =>
  Effect.as(
    onClientKey((id) =>
      Effect.map(Effect.catchAll(access.revoke(id), storeFailed), (revoked) =>
        revoked ? Option.some(id) : Option.none()
      )
    ),
    HttpServerResponse.empty({ status: 204 })
  )

// -------------------------------------------------------------------------------------
// models and their keys
// -------------------------------------------------------------------------------------

/** Times are milliseconds; `null` where there is no end. */
const keysOf = ({ keys }: LLMStatus["keys"]) =>
  keys.map(({ state, ...key }) => ({
    ...key,
    state: state._tag.toLowerCase(),
    ...("reason" in state ? { reason: state.reason, until: state.until ?? null } : {})
  }))

const statusOf = ({ models }: GatewayContext) =>
  Effect.forEach(withoutGroups(models.list), ({ aliases, name }) =>
    Effect.map(
      Effect.option(Effect.flatMap(models.get(name), ({ status }) => status)),
      Option.map(({ keys, limiter }) => ({
        id: name,
        aliases,
        keys: keysOf(keys),
        waiting: keys.waiting,
        limiter
      }))
    )
  ).pipe(Effect.map((all) => all.flatMap(Option.toArray)))

const deploymentsOf = (deployments: ReadonlyArray<DeploymentStatus>) =>
  deployments.map(({ state, ...deployment }) => ({
    ...deployment,
    state: state._tag.toLowerCase(),
    ...("until" in state ? { until: state.until } : {})
  }))

/** The groups, with the status of their deployments. */
const groupsOf = ({ models }: GatewayContext) =>
  Effect.forEach(
    models.list.filter(({ members }) => members !== undefined),
    ({ aliases, name }) =>
      Effect.map(
        Effect.option(Effect.flatMap(models.group(name), ({ deployments }) => deployments)),
        Option.map((deployments) => ({
          id: name,
          aliases,
          deployments: deploymentsOf(deployments)
        }))
      )
  ).pipe(Effect.map((all) => all.flatMap(Option.toArray)))

const status = (context: GatewayContext): Handler =>
  Effect.gen(function* () {
    const { inFlight, shuttingDown } = yield* context.requests.status
    return json({
      inFlight,
      shuttingDown,
      models: yield* statusOf(context),
      groups: yield* groupsOf(context)
    })
  })

const pools = (context: GatewayContext): Handler =>
  Effect.map(statusOf(context), (models) => json({ models: models.map(({ id, keys }) => ({ id, keys })) }))

const KeyTarget = { model: Schema.NonEmptyString, key: Schema.NonEmptyString }

const Amount = Schema.Number.pipe(Schema.finite(), Schema.positive())

/** The administration of the keys of a model; fails unless it has the key. */
const keysWith = (
  { models }: GatewayContext,
  { key, model }: { readonly key: string; readonly model: string }
): Effect.Effect<KeyAdministration, HttpErrors.HttpError> =>
  Effect.flatMap(
    Effect.mapError(models.get(model), () => HttpErrors.unknownModel(model)),
    ({ keys: administration }) =>
      administration === undefined
        ? Effect.fail(notFound(`'${model}' has no pool of its own.`))
        : Effect.flatMap(administration.status, ({ keys }) =>
            keys.some(({ id }) => id === key)
              ? Effect.succeed(administration)
              : Effect.fail(notFound(`'${model}' has no key '${key}'.`))
          )
  )

/** Changes a key of a model, and responds with the new status of all its keys. */
const onKey = <A extends { readonly model: string; readonly key: string }, I>(
  schema: Schema.Schema<A, I>,
  act: (keys: KeyAdministration, input: A) => Effect.Effect<unknown, HttpErrors.HttpError>
): Action => {
  const decode = decoderOf(schema)
  return (context, body) =>
    Effect.gen(function* () {
      const input = yield* decode(body)
      const keys = yield* keysWith(context, input)
      yield* act(keys, input)
      return { keys: keysOf(yield* keys.status) }
    })
}

const disable = onKey(Schema.Struct(KeyTarget), (keys, { key }) => keys.disable(key))

const enable = onKey(Schema.Struct(KeyTarget), (keys, { key }) => keys.enable(key))

const cool = onKey(Schema.Struct({ ...KeyTarget, seconds: Amount }), (keys, { key, seconds }) =>
  keys.rest(key, `${seconds} seconds`)
)

const reweight = onKey(Schema.Struct({ ...KeyTarget, weight: Amount }), (keys, { key, weight }) =>
  Effect.mapError(keys.reweight(key, weight), invalidValue)
)

// -------------------------------------------------------------------------------------
// groups and their deployments
// -------------------------------------------------------------------------------------

const DeploymentTarget = { model: Schema.NonEmptyString, deployment: Schema.NonEmptyString }

/** The balance of a group; fails unless it has the deployment. */
const balanceWith = (
  { models }: GatewayContext,
  { deployment, model }: { readonly deployment: string; readonly model: string }
): Effect.Effect<Balance, HttpErrors.HttpError> =>
  Effect.gen(function* () {
    const balance = yield* Effect.mapError(models.group(model), () => notFound(`There is no group '${model}'.`))
    const exists = (yield* balance.deployments).some(({ id }) => id === deployment)
    return exists ? balance : yield* Effect.fail(notFound(`'${model}' has no deployment '${deployment}'.`))
  })

/** Changes a deployment of a group, and responds with the new status of all of them. */
const onDeployment = <A extends { readonly model: string; readonly deployment: string }, I>(
  schema: Schema.Schema<A, I>,
  act: (balance: Balance, input: A) => Effect.Effect<unknown, HttpErrors.HttpError>
): Action => {
  const decode = decoderOf(schema)
  return (context, body) =>
    Effect.gen(function* () {
      const input = yield* decode(body)
      const balance = yield* balanceWith(context, input)
      yield* act(balance, input)
      return { deployments: deploymentsOf(yield* balance.deployments) }
    })
}

const disableDeployment = onDeployment(Schema.Struct(DeploymentTarget), (balance, { deployment }) =>
  balance.disable(deployment)
)

const enableDeployment = onDeployment(Schema.Struct(DeploymentTarget), (balance, { deployment }) =>
  balance.enable(deployment)
)

const reweightDeployment = onDeployment(
  Schema.Struct({ ...DeploymentTarget, weight: Amount }),
  (balance, { deployment, weight }) => Effect.mapError(balance.reweight(deployment, weight), invalidValue)
)

// -------------------------------------------------------------------------------------
// caches
// -------------------------------------------------------------------------------------

/** Clears the caches in context, and responds with their names. */
const clearCaches: Action = () =>
  Effect.gen(function* () {
    const responseCache = yield* Effect.serviceOption(ResponseCache)
    const embeddingCache = yield* Effect.serviceOption(EmbeddingCache)
    const clearing = [
      ...Option.toArray(Option.map(responseCache, ({ clear }) => ["responses", clear] as const)),
      ...Option.toArray(Option.map(embeddingCache, ({ clear }) => ["embeddings", clear] as const))
    ]
    if (clearing.length === 0) return yield* Effect.fail(notFound("No cache is configured."))
    yield* Effect.catchAll(
      Effect.forEach(clearing, ([, clear]) => clear, { discard: true }),
      (error) =>
        Effect.zipRight(
          Effect.logError("a cache could not be cleared", error),
          Effect.fail(HttpErrors.cacheUnavailable)
        )
    )
    return { cleared: clearing.map(([name]) => name) }
  })

// -------------------------------------------------------------------------------------
// actions
// -------------------------------------------------------------------------------------

const actions: ReadonlyMap<AdminRoute["path"], Action> = new Map<AdminRoute["path"], Action>([
  ["/admin/pools/disable", disable],
  ["/admin/pools/enable", enable],
  ["/admin/pools/cool", cool],
  ["/admin/pools/reweight", reweight],
  ["/admin/deployments/disable", disableDeployment],
  ["/admin/deployments/enable", enableDeployment],
  ["/admin/deployments/reweight", reweightDeployment],
  ["/admin/caches/clear", clearCaches]
])

/** Repeats an action of another worker. It can fail where this worker has just reloaded its files and that one has not. */
export const perform = (context: GatewayContext, path: AdminRoute["path"], body: unknown): Effect.Effect<void> => {
  const action = actions.get(path)
  return action === undefined
    ? Effect.logWarning(`Another worker performed ${path}, which this worker does not know: restart the command.`)
    : Effect.catchAll(action(context, body), ({ message }) =>
        Effect.logWarning(`${path} has no effect in this worker: ${message}`)
      )
}

/** Performs an action here, and then in the other workers. */
const actionRoute =
  (context: GatewayContext) =>
  ([path, action]: readonly [AdminRoute["path"], Action]): AdminRoute => ({
    method: "POST",
    path,
    handler: Effect.gen(function* () {
      // Clearing the caches takes no body.
      const body = action === clearCaches ? {} : yield* readBody(context)
      const response = yield* action(context, body)
      const peers = yield* Peers
      if (peers !== undefined) yield* peers.perform(path, body)
      return json(response)
    })
  })

// -------------------------------------------------------------------------------------
// routes
// -------------------------------------------------------------------------------------

interface AdminRoute {
  readonly method: "GET" | "POST" | "PUT" | "DELETE"
  readonly path: `/admin/${string}`
  readonly handler: Handler
}

export const routes = (context: GatewayContext): ReadonlyArray<AdminRoute> =>
  (
    [
      { method: "GET", path: "/admin/status", handler: status(context) },
      { method: "GET", path: "/admin/keys", handler: listKeys(context) },
      { method: "POST", path: "/admin/keys", handler: createKey(context) },
      { method: "PUT", path: "/admin/keys/:id", handler: updateKey(context) },
      { method: "POST", path: "/admin/keys/:id/rotate", handler: rotateKey(context) },
      { method: "DELETE", path: "/admin/keys/:id", handler: revokeKey(context) },
      { method: "GET", path: "/admin/pools", handler: pools(context) },
      ...Array.from(actions, actionRoute(context))
    ] satisfies ReadonlyArray<AdminRoute>
  ).map((route) => ({ ...route, handler: Authentication.requireAdmin(context, route.handler) }))
