/**
 * A model of a file as it stands: its entry, and what outlives a change of it. A new entry takes over as much of an old one as
 * it leaves as it was: the whole, or the pool with the health of its keys, or the limiter with what is left in it.
 */
import type { HttpClient } from "@effect/platform"
import { Duration, Effect, Option } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { InvalidPoolError } from "../keyPool/model.js"
import type { KeyStatus } from "../keyPool/model.js"
import * as KeyPool from "../keyPool/KeyPool.js"
import * as LLM from "../LLM.js"
import type { Options } from "./model.js"
import * as NamedClient from "../provider/named.js"
import { ownProtocol } from "../provider/registry.js"
import { ProviderClient } from "../wire/providerClient.js"
import type { ModelEntry } from "./fileModel.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"
import * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as Environment from "../provider/environment.js"
import type { Defaults } from "../call/request.js"
import { sameValue } from "./equal.js"

type GatewayContext = Effect.Effect.Success<typeof Environment.defaults>

export interface Standing {
  readonly entry: ModelEntry
  readonly llm: LLM.Service
  readonly pool: KeyPool.Service
  readonly limiter: RateLimiter.Service
  readonly environment: GatewayContext
}

/** What will stand, and what is to be done to what is taken over once it is certain that it will. */
export interface Plan {
  readonly standing: Standing
  readonly commit: Effect.Effect<void>
}

/** What stands in the file wins over the environment. */
const defaultsOf = (entry: ModelEntry, environment: GatewayContext): Defaults => {
  const temperature = entry.temperature ?? Option.getOrUndefined(environment.temperature)
  const maxTokens = Option.getOrUndefined(environment.maxTokens)
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { maxTokens })
  }
}

/** Where a model is, and in which protocol it is spoken to. */
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

/** What the pool and the limiter of a model are called: as unique as the name of the model, since shared state is kept under it. */
const nameOf = ({ model, provider }: ModelEntry): string => `${provider}/${model}`

const limitsOf = (entry: ModelEntry): RateLimiter.Options => ({
  capacity: entry.capacity,
  refillRate: entry.refillRate,
  ...(entry.requestsPerMinute === undefined ? {} : { requestsPerMinute: entry.requestsPerMinute }),
  ...(entry.requestsPerDay === undefined ? {} : { requestsPerDay: entry.requestsPerDay }),
  ...(entry.maxConcurrent === undefined ? {} : { maxConcurrent: entry.maxConcurrent }),
  ...(entry.tokensPerMinute === undefined ? {} : { tokensPerMinute: entry.tokensPerMinute })
})

// -------------------------------------------------------------------------------------
// keys
// -------------------------------------------------------------------------------------

interface PlannedPool {
  readonly pool: KeyPool.Service
  readonly commit: Effect.Effect<void>
}

/** How long a key is out of use, where it is. */
const rest = ({ state }: KeyStatus): Option.Option<Duration.Duration> =>
  state._tag === "Cooling" || state._tag === "Disabled" ? Option.some(state.remaining) : Option.none()

/** A key that rests in the old pool rests in the new one too. */
const carryOver = (from: KeyPool.Service, to: KeyPool.Service, ids: ReadonlySet<string>): Effect.Effect<void> =>
  Effect.flatMap(from.status, ({ keys }) =>
    Effect.forEach(
      keys.filter(({ id }) => ids.has(id)),
      (key) =>
        Option.match(rest(key), {
          onNone: () => Effect.void,
          onSome: (remaining) =>
            Duration.isFinite(remaining) ? to.rest(key.id, remaining) : Effect.asVoid(to.disable(key.id))
        }),
      { discard: true }
    )
  )

/**
 * The keys have been checked as those of a pool already: a change that is refused even so is a fault of this module. Which are to
 * be added the pool itself says, since somebody may have added or removed some by hand.
 */
const edit = (pool: KeyPool.Service, before: ReadonlyArray<ApiKey>, after: ReadonlyArray<ApiKey>) =>
  Effect.flatMap(pool.keys, (keys) => {
    const [old, present, young] = [byId(before), byId(keys), byId(after)]
    const added = after.filter(({ id }) => !present.has(id))
    const reweighted = after.filter(({ id, weight }) => present.has(id) && old.get(id)?.weight !== weight)
    const removed = before.filter(({ id }) => !young.has(id))
    // The new ones first: a pool that is without keys for a moment would refuse a call.
    return Effect.forEach(added, pool.add, { discard: true }).pipe(
      Effect.zipRight(Effect.forEach(reweighted, ({ id, weight }) => pool.reweight(id, weight), { discard: true })),
      Effect.zipRight(Effect.forEach(removed, ({ id }) => pool.remove(id), { discard: true })),
      Effect.orDie
    )
  })

const byId = (keys: ReadonlyArray<ApiKey>): ReadonlyMap<string, ApiKey> => new Map(keys.map((key) => [key.id, key]))

const planPool = (
  entry: ModelEntry,
  previous: Standing | undefined,
  isSameEndpoint: boolean
): Effect.Effect<PlannedPool, InvalidPoolError> => {
  const options = { providerId: nameOf(entry), keys: entry.keys }
  const created = Effect.flatMap(KeyPool.Maker, (make) => make(options))
  if (previous === undefined || !isSameEndpoint) {
    return Effect.map(created, (pool) => ({ pool, commit: Effect.void }))
  }
  const before = byId(previous.entry.keys)
  const kept = entry.keys.filter(({ id }) => before.has(id))
  // A pool can add, remove and reweight its keys, but not put another secret or another limit under an id that it has.
  return kept.every((key) => sameValue({ ...before.get(key.id), weight: key.weight }, key))
    ? // Made in memory, to be told of faults before anything is changed.
      Effect.as(KeyPool.make(options), {
        pool: previous.pool,
        commit: edit(previous.pool, previous.entry.keys, entry.keys)
      })
    : Effect.map(created, (pool) => ({
        pool,
        commit: carryOver(
          previous.pool,
          pool,
          new Set(kept.filter(({ id, value }) => sameValue(before.get(id)?.value, value)).map(({ id }) => id))
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
  previous: Standing | undefined,
  isSameEndpoint: boolean
): Effect.Effect<PlannedLimiter, InvalidLimitError> => {
  const limits = limitsOf(entry)
  if (previous !== undefined && isSameEndpoint && sameValue(limits, limitsOf(previous.entry))) {
    return Effect.succeed({ limiter: previous.limiter, commit: Effect.void })
  }
  const created = Effect.flatMap(RateLimiter.Maker, (make) => make(nameOf(entry), limits))
  return Effect.map(created, (limiter) => ({
    limiter,
    // What has been used up is used up under the new limits too.
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

/** Plans a model over what stood under its name until now. Nothing is touched until the plan is committed. */
export const plan = (
  entry: ModelEntry,
  options: Options,
  environment: GatewayContext,
  previous?: Standing
): Effect.Effect<Plan, InvalidPoolError | InvalidLimitError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    if (previous !== undefined && sameValue(entry, previous.entry) && sameValue(environment, previous.environment)) {
      return { standing: previous, commit: Effect.void }
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
      retry: { attempts: entry.attempts, base: entry.retryDelay },
      timeouts: total === undefined ? {} : { total },
      ...(entry.price === undefined ? {} : { price: entry.price }),
      ...(options.telemetry === undefined ? {} : { telemetry: options.telemetry })
    }).pipe(
      Effect.provideService(ProviderClient, client),
      Effect.provideService(KeyPool.KeyPool, pool),
      Effect.provideService(RateLimiter.RateLimiter, limiter)
    )
    return {
      standing: { entry, llm, pool, limiter, environment },
      commit: Effect.zipRight(changeKeys, changeLimits)
    }
  })
