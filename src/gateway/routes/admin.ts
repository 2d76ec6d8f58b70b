/** What the administration may see and do, as JSON under `/admin`. */
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { DateTime, Effect, Option, ParseResult, Redacted, Schema } from "effect"
import type { Service as Balance } from "../../routing/balance/model.js"
import type { DeploymentStatus } from "../../routing/balance/model.js"
import { EmbeddingCache } from "../../caching/EmbeddingCache.js"
import type { Service as KeyPool } from "../../keyPool/model.js"
import type { Status as LLMStatus } from "../../call/model.js"
import { ResponseCache } from "../../caching/ResponseCache.js"
import * as Body from "../http/body.js"
import * as Authentication from "../auth/authenticate.js"
import * as Problem from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { single } from "../http/context.js"
import * as VirtualKeys from "../VirtualKey.js"

/** The body, decoded. What is JSON but not as it should be is a 422. */
const bodyAs = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknown(schema, { onExcessProperty: "error", errors: "all" })
  return (surroundings: GatewayContext) =>
    Effect.flatMap(Body.read(surroundings.maxBodySize), (body) =>
      Effect.mapError(decode(body), (error): Problem.Problem => {
        const faults = ParseResult.ArrayFormatter.formatErrorSync(error)
        return {
          status: 422,
          code: "invalid_request",
          message: faults.map(({ message, path }) => `${path.join(".") || "body"}: ${message}`).join("; ")
        }
      })
    )
}

const json = (body: unknown, status = 200) => HttpServerResponse.unsafeJson(body, { status })

// -------------------------------------------------------------------------------------
// virtual keys
// -------------------------------------------------------------------------------------

const storeFailed = (error: Error): Effect.Effect<never, Problem.Problem> =>
  Effect.zipRight(Effect.logError("the gateway's keys could not be reached", error), Effect.fail(Problem.keysAway))

/** As it is shown: without its hash, which is nobody's business. */
const shown = ({ hash: _, ...key }: VirtualKeys.VirtualKey) => ({
  ...key,
  createdAt: DateTime.formatIso(key.createdAt),
  ...(key.expiresAt === undefined ? {} : { expiresAt: DateTime.formatIso(key.expiresAt) })
})

const listKeys = ({ access }: GatewayContext): Handler =>
  Effect.map(Effect.catchAll(access.list, storeFailed), (keys) => json({ keys: keys.map(shown) }))

const settings = bodyAs(VirtualKeys.Settings)

const createKey = (surroundings: GatewayContext): Handler =>
  Effect.flatMap(settings(surroundings), (wanted) =>
    surroundings.access.create(wanted).pipe(
      Effect.catchTag("InvalidAccessError", ({ message }) =>
        Effect.fail<Problem.Problem>({ status: 422, code: "invalid_request", message })
      ),
      Effect.catchTag("AccessStoreError", storeFailed),
      // The one time that the secret is told.
      Effect.map(({ key, secret }) => json({ ...shown(key), key: Redacted.value(secret) }, 201))
    )
  )

const revokeKey = ({ access }: GatewayContext): Handler =>
  Effect.gen(function* () {
    const { params } = yield* HttpRouter.RouteContext
    const id = params["id"] ?? ""
    return (yield* Effect.catchAll(access.revoke(id), storeFailed))
      ? HttpServerResponse.empty({ status: 204 })
      : yield* Effect.fail(missing(`There is no key '${id.slice(0, 100)}'.`))
  })

const missing = (message: string): Problem.Problem => ({ status: 404, code: "not_found", message })

// -------------------------------------------------------------------------------------
// models and their keys
// -------------------------------------------------------------------------------------

/** Times are milliseconds, and what has no end is `null`. */
const keysOf = ({ keys }: LLMStatus["keys"]) =>
  keys.map(({ state, ...key }) => ({
    ...key,
    state: state._tag.toLowerCase(),
    ...("reason" in state ? { reason: state.reason, until: state.until ?? null } : {})
  }))

const statusOf = ({ models }: GatewayContext) =>
  Effect.forEach(single(models.list), ({ aliases, name }) =>
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

/** Groups with how their members are doing. */
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

const status = (surroundings: GatewayContext): Handler =>
  Effect.gen(function* () {
    const { inFlight, shuttingDown } = yield* surroundings.running.status
    return json({
      inFlight,
      shuttingDown,
      models: yield* statusOf(surroundings),
      groups: yield* groupsOf(surroundings)
    })
  })

const pools = (surroundings: GatewayContext): Handler =>
  Effect.map(statusOf(surroundings), (models) => json({ models: models.map(({ id, keys }) => ({ id, keys })) }))

const Which = { model: Schema.NonEmptyString, key: Schema.NonEmptyString }

const Amount = Schema.Number.pipe(Schema.finite(), Schema.positive())

/** The pool of a model, where it has the key. */
const poolWith = (
  { models }: GatewayContext,
  { key, model }: { readonly key: string; readonly model: string }
): Effect.Effect<KeyPool, Problem.Problem> =>
  Effect.flatMap(
    Effect.mapError(models.get(model), () => Problem.unknownModel(model)),
    ({ pool }) =>
      pool === undefined
        ? Effect.fail(missing(`'${model}' has no pool of its own.`))
        : Effect.flatMap(pool.status, ({ keys }) =>
            keys.some(({ id }) => id === key)
              ? Effect.succeed(pool)
              : Effect.fail(missing(`'${model}' has no key '${key}'.`))
          )
  )

/** Does something to a key of a model, and shows how its pool stands then. */
const onKey = <A extends { readonly model: string; readonly key: string }, I>(
  schema: Schema.Schema<A, I>,
  act: (pool: KeyPool, wanted: A) => Effect.Effect<unknown, Problem.Problem>
): ((surroundings: GatewayContext) => Handler) => {
  const body = bodyAs(schema)
  return (surroundings) =>
    Effect.gen(function* () {
      const wanted = yield* body(surroundings)
      const pool = yield* poolWith(surroundings, wanted)
      yield* act(pool, wanted)
      return json({ keys: keysOf(yield* pool.status) })
    })
}

const disable = onKey(Schema.Struct(Which), (pool, { key }) => pool.disable(key))

const enable = onKey(Schema.Struct(Which), (pool, { key }) => pool.enable(key))

const cool = onKey(Schema.Struct({ ...Which, seconds: Amount }), (pool, { key, seconds }) =>
  pool.rest(key, `${seconds} seconds`)
)

const senseless = ({ message }: Error): Problem.Problem => ({ status: 422, code: "invalid_request", message })

const reweight = onKey(Schema.Struct({ ...Which, weight: Amount }), (pool, { key, weight }) =>
  Effect.mapError(pool.reweight(key, weight), senseless)
)

// -------------------------------------------------------------------------------------
// groups and their deployments
// -------------------------------------------------------------------------------------

const Where = { model: Schema.NonEmptyString, deployment: Schema.NonEmptyString }

/** The balance of a group, where it has the deployment. */
const balanceWith = (
  { models }: GatewayContext,
  { deployment, model }: { readonly deployment: string; readonly model: string }
): Effect.Effect<Balance, Problem.Problem> =>
  Effect.gen(function* () {
    const balance = yield* Effect.mapError(models.group(model), () => missing(`There is no group '${model}'.`))
    const known = (yield* balance.deployments).some(({ id }) => id === deployment)
    return known ? balance : yield* Effect.fail(missing(`'${model}' has no deployment '${deployment}'.`))
  })

/** Does something to a deployment of a group, and shows how all of them stand then. */
const onDeployment = <A extends { readonly model: string; readonly deployment: string }, I>(
  schema: Schema.Schema<A, I>,
  act: (balance: Balance, wanted: A) => Effect.Effect<unknown, Problem.Problem>
): ((surroundings: GatewayContext) => Handler) => {
  const body = bodyAs(schema)
  return (surroundings) =>
    Effect.gen(function* () {
      const wanted = yield* body(surroundings)
      const balance = yield* balanceWith(surroundings, wanted)
      yield* act(balance, wanted)
      return json({ deployments: deploymentsOf(yield* balance.deployments) })
    })
}

const disableDeployment = onDeployment(Schema.Struct(Where), (balance, { deployment }) => balance.disable(deployment))

const enableDeployment = onDeployment(Schema.Struct(Where), (balance, { deployment }) => balance.enable(deployment))

const reweightDeployment = onDeployment(
  Schema.Struct({ ...Where, weight: Amount }),
  (balance, { deployment, weight }) => Effect.mapError(balance.reweight(deployment, weight), senseless)
)

// -------------------------------------------------------------------------------------
// caches
// -------------------------------------------------------------------------------------

/** Clears the caches in context, and says which there were. */
const clearCaches: Handler = Effect.gen(function* () {
  const answers = yield* Effect.serviceOption(ResponseCache)
  const vectors = yield* Effect.serviceOption(EmbeddingCache)
  const clearing = [
    ...Option.toArray(Option.map(answers, ({ clear }) => ["responses", clear] as const)),
    ...Option.toArray(Option.map(vectors, ({ clear }) => ["embeddings", clear] as const))
  ]
  if (clearing.length === 0) return yield* Effect.fail(missing("No cache is configured."))
  yield* Effect.catchAll(
    Effect.forEach(clearing, ([, clear]) => clear, { discard: true }),
    (error) => Effect.zipRight(Effect.logError("a cache could not be cleared", error), Effect.fail(Problem.keysAway))
  )
  return json({ cleared: clearing.map(([name]) => name) })
})

// -------------------------------------------------------------------------------------
// routes
// -------------------------------------------------------------------------------------

interface AdminRoute {
  readonly method: "GET" | "POST" | "DELETE"
  readonly path: `/admin/${string}`
  readonly handler: Handler
}

export const routes = (surroundings: GatewayContext): ReadonlyArray<AdminRoute> =>
  (
    [
      { method: "GET", path: "/admin/status", handler: status(surroundings) },
      { method: "GET", path: "/admin/keys", handler: listKeys(surroundings) },
      { method: "POST", path: "/admin/keys", handler: createKey(surroundings) },
      { method: "DELETE", path: "/admin/keys/:id", handler: revokeKey(surroundings) },
      { method: "GET", path: "/admin/pools", handler: pools(surroundings) },
      { method: "POST", path: "/admin/pools/disable", handler: disable(surroundings) },
      { method: "POST", path: "/admin/pools/enable", handler: enable(surroundings) },
      { method: "POST", path: "/admin/pools/cool", handler: cool(surroundings) },
      { method: "POST", path: "/admin/pools/reweight", handler: reweight(surroundings) },
      { method: "POST", path: "/admin/deployments/disable", handler: disableDeployment(surroundings) },
      { method: "POST", path: "/admin/deployments/enable", handler: enableDeployment(surroundings) },
      { method: "POST", path: "/admin/deployments/reweight", handler: reweightDeployment(surroundings) },
      { method: "POST", path: "/admin/caches/clear", handler: clearCaches }
    ] satisfies ReadonlyArray<AdminRoute>
  ).map((route) => ({ ...route, handler: Authentication.requireAdmin(surroundings, route.handler) }))
