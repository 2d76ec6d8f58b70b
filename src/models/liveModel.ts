/**
 * A model in service: its entry, and the state that survives a reload. A new entry takes over what it leaves unchanged: the whole
 * model, or the pool with the state of its keys, or the limiter with its remaining permits.
 */
import type { HttpClient } from "@effect/platform"
import { Duration, Effect, Option } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { InvalidPoolError } from "../keyPool/model.js"
import type { KeyStatus } from "../keyPool/model.js"
import { KeyPoolFactory } from "../keyPool/factory.js"
import * as KeyPool from "../keyPool/KeyPool.js"
import * as LLM from "../LLM.js"
import type { Options } from "./model.js"
import * as NamedClient from "../provider/named.js"
import { ownProtocol } from "../provider/registry.js"
import { ProviderClient } from "../wire/providerClient.js"
import type { ModelEntry } from "./fileModel.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"
import { RateLimiterFactory } from "../rateLimiter/factory.js"
import * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as Environment from "../provider/environment.js"
import type { Defaults } from "../call/request.js"
import { idOf } from "./catalogue.js"
import { sameValue } from "./equal.js"

type EnvironmentDefaults = Effect.Effect.Success<typeof Environment.defaults>

export interface LiveModel {
  readonly entry: ModelEntry
  readonly llm: LLM.Service
  readonly pool: KeyPool.Service
  readonly limiter: RateLimiter.Service
  readonly environment: EnvironmentDefaults
}

/** The model after a reload, and the effect that changes the pool and limiter it takes over. */
export interface Plan {
  readonly model: LiveModel
  readonly commit: Effect.Effect<void>
}

/** The file takes precedence over the environment. */
const defaultsOf = (entry: ModelEntry, environment: EnvironmentDefaults): Defaults => {
  const temperature = entry.temperature ?? Option.getOrUndefined(environment.temperature)
  const maxTokens = Option.getOrUndefined(environment.maxTokens)
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { maxTokens })
  }
}

/** The endpoint of a model and its protocol. */
export const endpointOf = (entry: ModelEntry, options: Options): NamedClient.Named => {
  const own = ownProtocol(entry.preset ?? entry.provider, entry.baseUrl)
  const wire = entry.wire ?? own ?? options.wire
  return {
    provider: entry.provider,
    headers: entry.headers,
    ...(wire === undefined ? {} : { wire }),
    ...(entry.preset === undefined ? {} : { preset: entry.preset }),
    ...(entry.baseUrl === undefined ? {} : { baseUrl: entry.baseUrl })
  }
}

const limitsOf = (entry: ModelEntry): RateLimiter.Options => ({
  capacity: entry.capacity,
  refillRate: entry.refillRate,
  ...(entry.requestsPerMinute === undefined ? {} : { requestsPerMinute: entry.requestsPerMinute }),
  ...(entry.requestsPerDay === undefined ? {} : { requestsPerDay: entry.requestsPerDay }),
  ...(entry.maxConcurrency === undefined ? {} : { maxConcurrency: entry.maxConcurrency }),
  ...(entry.tokensPerMinute === undefined ? {} : { tokensPerMinute: entry.tokensPerMinute })
})

// -------------------------------------------------------------------------------------
// keys
// -------------------------------------------------------------------------------------

interface PlannedPool {
  readonly pool: KeyPool.Service
  readonly commit: Effect.Effect<void>
}

/** The remaining cooldown of a key; infinite when the key was disabled for good. */
const remainingCooldown = ({ state }: KeyStatus): Option.Option<Duration.Duration> =>
  state._tag === "Cooling" || state._tag === "Disabled" ? Option.some(state.remaining) : Option.none()

/** Copies cooldowns and disabled states from one pool to another. */
const carryCooldowns = (from: KeyPool.Service, to: KeyPool.Service, ids: ReadonlySet<string>): Effect.Effect<void> =>
  Effect.flatMap(from.status, ({ keys }) =>
    Effect.forEach(
      keys.filter(({ id }) => ids.has(id)),
      (key) =>
        Option.match(remainingCooldown(key), {
          onNone: () => Effect.void,
          onSome: (remaining) =>
            Duration.isFinite(remaining) ? to.rest(key.id, remaining) : Effect.asVoid(to.disable(key.id))
        }),
      { discard: true }
    )
  )

/**
 * Changes the keys of a pool. The keys have been checked, so a refusal is a defect. Keys to add are compared with the pool, not
 * with `before`, because keys can have been added or removed by hand.
 */
const updateKeys = (pool: KeyPool.Service, before: ReadonlyArray<ApiKey>, after: ReadonlyArray<ApiKey>) =>
  Effect.flatMap(pool.keys, (keys) => {
    const [previous, present, next] = [byId(before), byId(keys), byId(after)]
    const added = after.filter(({ id }) => !present.has(id))
    const reweighted = after.filter(({ id, weight }) => present.has(id) && previous.get(id)?.weight !== weight)
    const removed = before.filter(({ id }) => !next.has(id))
    // New keys first, because a pool without keys would refuse calls meanwhile.
    return Effect.forEach(added, pool.add, { discard: true }).pipe(
      Effect.zipRight(Effect.forEach(reweighted, ({ id, weight }) => pool.reweight(id, weight), { discard: true })),
      Effect.zipRight(Effect.forEach(removed, ({ id }) => pool.remove(id), { discard: true })),
      // The reader of the file has checked the keys, so a refusal is a defect.
      Effect.orDie
    )
  })

const byId = (keys: ReadonlyArray<ApiKey>): ReadonlyMap<string, ApiKey> => new Map(keys.map((key) => [key.id, key]))

const planPool = (
  entry: ModelEntry,
  previous: LiveModel | undefined,
  isSameEndpoint: boolean
): Effect.Effect<PlannedPool, InvalidPoolError> => {
  // Unique, because shared state is stored under it.
  const options = { provider: idOf(entry), keys: entry.keys }
  const created = Effect.flatMap(KeyPoolFactory, (make) => make(options))
  if (previous === undefined || !isSameEndpoint) {
    return Effect.map(created, (pool) => ({ pool, commit: Effect.void }))
  }
  const before = byId(previous.entry.keys)
  const keptKeys = entry.keys.filter(({ id }) => before.has(id))
  // A pool can add, remove and reweight keys, but not change the secret or the limits of a key.
  return keptKeys.every((key) => sameValue({ ...before.get(key.id), weight: key.weight }, key))
    ? // A pool in memory reports faults before anything is changed.
      Effect.as(KeyPool.make(options), {
        pool: previous.pool,
        commit: updateKeys(previous.pool, previous.entry.keys, entry.keys)
      })
    : Effect.map(created, (pool) => ({
        pool,
        commit: carryCooldowns(
          previous.pool,
          pool,
          new Set(keptKeys.filter(({ id, value }) => sameValue(before.get(id)?.value, value)).map(({ id }) => id))
        )
      }))
}

// -------------------------------------------------------------------------------------
// limits
// -------------------------------------------------------------------------------------

interface PlannedLimiter {
  readonly limiter: RateLimiter.Service
  readonly commit: Effect.Effect<void>
}

const planLimiter = (
  entry: ModelEntry,
  previous: LiveModel | undefined,
  isSameEndpoint: boolean
): Effect.Effect<PlannedLimiter, InvalidLimitError> => {
  const limits = limitsOf(entry)
  if (previous !== undefined && isSameEndpoint && sameValue(limits, limitsOf(previous.entry))) {
    return Effect.succeed({ limiter: previous.limiter, commit: Effect.void })
  }
  const created = Effect.flatMap(RateLimiterFactory, (make) => make(idOf(entry), limits))
  return Effect.map(created, (limiter) => ({
    limiter,
    // Permits that were used count under the new limits too.
    commit:
      previous === undefined || !isSameEndpoint
        ? Effect.void
        : Effect.flatMap(previous.limiter.status, ({ available, tokens }) =>
            limiter.lower({ requests: available, ...(tokens === undefined ? {} : { tokens: tokens.available }) })
          )
  }))
}

// -------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------

/** Plans a model, reusing the previous one's state when possible. Nothing changes until the plan is committed. */
export const plan = (
  entry: ModelEntry,
  options: Options,
  environment: EnvironmentDefaults,
  previous?: LiveModel
): Effect.Effect<Plan, InvalidPoolError | InvalidLimitError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    if (previous !== undefined && sameValue(entry, previous.entry) && sameValue(environment, previous.environment)) {
      return { model: previous, commit: Effect.void }
    }
    const endpoint = endpointOf(entry, options)
    const isSameEndpoint = previous !== undefined && sameValue(endpoint, endpointOf(previous.entry, options))
    const client = yield* NamedClient.make(endpoint)
    const { pool, commit: changeKeys } = yield* planPool(entry, previous, isSameEndpoint)
    const { limiter, commit: changeLimits } = yield* planLimiter(entry, previous, isSameEndpoint)
    const total = entry.timeout ?? Option.getOrUndefined(environment.timeout)
    const llm = yield* LLM.make({
      model: entry.model,
      contextWindow: entry.contextWindow,
      defaults: defaultsOf(entry, environment),
      retry: { maxAttempts: entry.attempts, backoff: { base: entry.retryDelay } },
      timeouts: total === undefined ? {} : { total },
      ...(entry.price === undefined ? {} : { price: entry.price }),
      ...(options.telemetry === undefined ? {} : { telemetry: options.telemetry })
    }).pipe(
      Effect.provideService(ProviderClient, client),
      Effect.provideService(KeyPool.KeyPool, pool),
      Effect.provideService(RateLimiter.RateLimiter, limiter),
      // The name of the pool is the id of the model, and so never that of a provider.
      Effect.orDie
    )
    return {
      model: { entry, llm, pool, limiter, environment },
      commit: Effect.zipRight(changeKeys, changeLimits)
    }
  })
