/**
 * A model in service: its entry, and the state that survives a reload. A new entry takes over what it leaves unchanged: the whole
 * model, or the limiter with its remaining permits. Its keys are planned together with those of the other models (`sharedKeys.ts`).
 */
import type { HttpClient } from "@effect/platform"
import { Effect, Option } from "effect"
import type { InvalidPoolError, Service as KeyPoolService } from "../keyPool/model.js"
import { KeyPool } from "../keyPool/model.js"
import * as LLM from "../LLM.js"
import type { Options } from "./model.js"
import * as NamedClient from "../provider/named.js"
import { ownProtocol } from "../provider/registry.js"
import type { Service as Client } from "../wire/providerClient.js"
import { ProviderClient } from "../wire/providerClient.js"
import type { ModelEntry } from "./fileModel.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"
import { RateLimiterFactory } from "../rateLimiter/factory.js"
import * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as Environment from "../provider/environment.js"
import type { Defaults } from "../call/request.js"
import { idOf } from "./catalogue.js"
import { sameValue } from "./equal.js"
import type { ModelKeys } from "./sharedKeys.js"
import * as SharedKeys from "./sharedKeys.js"

type EnvironmentDefaults = Effect.Effect.Success<typeof Environment.defaults>

export interface LiveModel {
  readonly entry: ModelEntry
  readonly llm: LLM.Service
  /** Its keys, as its calls see them in the pool of all models that share them. */
  readonly pool: KeyPoolService
  readonly limiter: RateLimiter.Service
  readonly environment: EnvironmentDefaults
}

/** All models in service by their ids. */
export interface LiveModels {
  readonly models: ReadonlyMap<string, LiveModel>
  readonly keys: ReadonlyMap<string, ModelKeys>
}

export const none: LiveModels = { models: new Map(), keys: new Map() }

/** The model after a reload, and the effect that changes the limiter it takes over. */
interface Planned {
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
const planModel = (
  entry: ModelEntry,
  client: Client,
  pool: KeyPoolService,
  options: Options,
  environment: EnvironmentDefaults,
  previous: LiveModel | undefined
): Effect.Effect<Planned, InvalidLimitError> =>
  Effect.gen(function* () {
    if (
      previous !== undefined &&
      previous.pool === pool &&
      sameValue(entry, previous.entry) &&
      sameValue(environment, previous.environment)
    ) {
      return { model: previous, commit: Effect.void }
    }
    const isSameEndpoint =
      previous !== undefined && sameValue(endpointOf(entry, options), endpointOf(previous.entry, options))
    const { limiter, commit } = yield* planLimiter(entry, previous, isSameEndpoint)
    const total = entry.timeout ?? Option.getOrUndefined(environment.timeout)
    const llm = yield* LLM.make({
      model: entry.model,
      // A file names its models: a request of embeddings for one that has none must not go to another one.
      embeddingModel: entry.model,
      contextWindow: entry.contextWindow,
      defaults: defaultsOf(entry, environment),
      retry: { maxAttempts: entry.attempts, backoff: { base: entry.retryDelay } },
      timeouts: total === undefined ? {} : { total },
      ...(entry.onDisconnect === undefined ? {} : { onDisconnect: entry.onDisconnect }),
      ...(entry.price === undefined ? {} : { price: entry.price }),
      ...(entry.onUnsupported === undefined ? {} : { onUnsupported: entry.onUnsupported }),
      ...(entry.onOwnerUnavailable === undefined ? {} : { onOwnerUnavailable: entry.onOwnerUnavailable }),
      ...(options.telemetry === undefined ? {} : { telemetry: options.telemetry })
    }).pipe(
      Effect.provideService(ProviderClient, client),
      Effect.provideService(KeyPool, pool),
      Effect.provideService(RateLimiter.RateLimiter, limiter),
      // The name of the pool is the id of the model, and so never that of a provider.
      Effect.orDie
    )
    return { model: { entry, llm, pool, limiter, environment }, commit }
  })

/** All models after a reload, and the effect that changes the pools and limiters that they take over. */
export interface Plan {
  readonly after: LiveModels
  readonly commit: Effect.Effect<void>
}

/** Plans the models of a file, reusing the state of the previous ones when possible. Nothing changes until the plan is committed. */
export const plan = (
  entries: ReadonlyArray<ModelEntry>,
  options: Options,
  environment: EnvironmentDefaults,
  previous: LiveModels
): Effect.Effect<Plan, InvalidPoolError | InvalidLimitError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const clients = yield* Effect.forEach(entries, (entry) => NamedClient.make(endpointOf(entry, options)))
    const subjects = entries.map((entry, index) => ({ entry, baseUrl: clients[index]?.baseUrl ?? "" }))
    const keys = yield* SharedKeys.plan(subjects, previous.keys)
    const models = new Map<string, LiveModel>()
    const commits = [keys.commit]
    for (const [index, entry] of entries.entries()) {
      const id = idOf(entry)
      const [client, pool] = [clients[index], keys.byModel.get(id)?.pool]
      if (client === undefined || pool === undefined) continue
      const { commit, model } = yield* planModel(entry, client, pool, options, environment, previous.models.get(id))
      models.set(id, model)
      commits.push(commit)
    }
    return { after: { models, keys: keys.byModel }, commit: Effect.all(commits, { discard: true }) }
  })
