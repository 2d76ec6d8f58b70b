/** Converts the status of models, budgets and caches to their parts of a snapshot, with ids and no secrets. */
import { Effect, Option } from "effect"
import type * as Balance from "../../routing/balance/model.js"
import type * as Budgets from "../../accounting/budget/model.js"
import type * as EmbeddingCache from "../../caching/EmbeddingCache.js"
import type * as KeyPool from "../../keyPool/model.js"
import type { Service as LLMService } from "../../call/model.js"
import type { ModelNotFoundError } from "../../vocabulary/LLMError.js"
import type { Listed, Service as ModelsService } from "../../models/model.js"
import type { LimiterStatus } from "../../rateLimiter/model.js"
import type * as ResponseCache from "../../caching/ResponseCache.js"
import type { KeyBudget, Service as AccessService } from "../auth/model.js"
import type { Counts, Totals } from "./series.js"
import type { Budget, Cache, Deployment, Key, Level, Model } from "./snapshot.js"

// -------------------------------------------------------------------------------------
// keys and limits
// -------------------------------------------------------------------------------------

const states = { Ready: "ready", Busy: "busy", Cooling: "cooling", Disabled: "disabled" } as const

const keyOf = (key: KeyPool.KeyStatus): Key => {
  const { state } = key
  return {
    id: key.id,
    state: states[state._tag],
    ...("reason" in state ? { reason: state.reason } : {}),
    ...("until" in state && state.until !== undefined ? { until: state.until } : {}),
    inFlight: key.inFlight,
    ...(key.maxConcurrency === undefined ? {} : { maxConcurrency: key.maxConcurrency }),
    load: key.loadFactor,
    weight: key.weight,
    ...(key.latency === undefined ? {} : { latency: key.latency }),
    served: key.served,
    succeeded: key.succeeded,
    rateLimited: key.rateLimited,
    outOfQuota: key.outOfQuota,
    refused: key.refused
  }
}

/** The levels of all finite limits. */
const levelsOf = ({ available, capacity, concurrency, day, minute, tokens }: LimiterStatus): ReadonlyArray<Level> =>
  [
    { name: "requests", available, limit: capacity },
    ...(tokens === undefined ? [] : [{ name: "tokens", available: tokens.available, limit: tokens.capacity }]),
    ...(minute === undefined ? [] : [{ name: "this minute", ...minute }]),
    ...(day === undefined ? [] : [{ name: "today", ...day }]),
    ...(concurrency === undefined
      ? []
      : [{ name: "at once", available: concurrency.limit - concurrency.inFlight, limit: concurrency.limit }])
  ].filter(({ limit }) => Number.isFinite(limit))

// -------------------------------------------------------------------------------------
// groups
// -------------------------------------------------------------------------------------

const deploymentStates = {
  Ready: "ready",
  Busy: "busy",
  Cooling: "cooling",
  Open: "open",
  HalfOpen: "half-open",
  Disabled: "disabled"
} as const

const deploymentOf = (deployment: Balance.DeploymentStatus): Deployment => {
  const { state } = deployment
  return {
    id: deployment.id,
    provider: deployment.provider,
    model: deployment.model,
    state: deploymentStates[state._tag],
    ...("until" in state ? { until: state.until } : {}),
    inFlight: deployment.inFlight,
    ...(deployment.maxConcurrency === undefined ? {} : { maxConcurrency: deployment.maxConcurrency }),
    weight: deployment.weight,
    order: deployment.order,
    ...(deployment.latency === undefined ? {} : { latency: deployment.latency }),
    served: deployment.served,
    failed: deployment.failed
  }
}

const deploymentsOf = (
  service: ModelsService,
  { members, name }: Listed
): Effect.Effect<ReadonlyArray<Deployment>, ModelNotFoundError> =>
  members === undefined
    ? Effect.succeed([])
    : Effect.flatMap(service.group(name), ({ deployments }) => Effect.map(deployments, (all) => all.map(deploymentOf)))

// -------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------

const modelOf = (
  service: ModelsService,
  listed: Listed,
  llm: LLMService,
  totals: Counts | Totals
): Effect.Effect<Model, ModelNotFoundError> =>
  Effect.zipWith(llm.status, deploymentsOf(service, listed), ({ keys, limiter }, deployments) => {
    const limits = limiter.models?.[listed.model] ?? limiter
    return {
      id: listed.name,
      aliases: listed.aliases,
      wire: listed.wire,
      ...totals,
      waiting: keys.waiting,
      waitingForPermit: limits.waiting,
      isAway: limits.degraded === true || keys.degraded === true,
      levels: levelsOf(limits),
      hasPool: llm.keys !== undefined,
      // The keys of a group are listed at its members.
      keys: listed.members === undefined ? keys.keys.map(keyOf) : [],
      deployments
    }
  })

/** All models in the order of the file, without those that a reload has just removed. */
export const models = (
  service: ModelsService,
  totalsOf: (id: string) => Counts | Totals
): Effect.Effect<ReadonlyArray<Model>> =>
  Effect.map(
    Effect.forEach(
      service.list,
      (listed) =>
        Effect.option(
          Effect.flatMap(service.get(listed.name), (llm) => modelOf(service, listed, llm, totalsOf(listed.name)))
        ),
      { concurrency: 16 }
    ),
    (all) => all.flatMap(Option.toArray)
  )

// -------------------------------------------------------------------------------------
// budgets and caches
// -------------------------------------------------------------------------------------

const budgetOf = ({ budget, label, limit, reserved, resetsAt, spent, unit }: Budgets.Status): Budget => ({
  budget,
  ...(Option.isSome(label) ? { label: label.value } : {}),
  unit,
  limit,
  spent,
  reserved,
  ...(Option.isSome(resetsAt) ? { resetsAt: resetsAt.value } : {})
})

/** Identifies the budget by the label or the id of the key, never by its secret. */
const budgetOfKey = ({ key, status }: KeyBudget): Budget => ({
  ...budgetOf(status),
  budget: key.label ?? key.id,
  key: key.id,
  period: key.budget?.period ?? "forever"
})

/** The budgets of the context, and those of the gateway's keys. */
export const budgets = (
  service: Option.Option<Budgets.Service>,
  access: AccessService
): Effect.Effect<ReadonlyArray<Budget>> =>
  Effect.zipWith(
    Option.match(service, { onNone: () => Effect.succeed([]), onSome: ({ status }) => status }),
    access.budgets,
    (all, keyBudgets) => [...all.map(budgetOf), ...keyBudgets.map(budgetOfKey)]
  )

interface Stats {
  readonly hits: number
  readonly misses: number
  readonly hitRate: number
  readonly storeFailures: number
  readonly entries?: number
}

const cacheOf = (name: Cache["name"], { entries, hitRate, hits, misses, storeFailures }: Stats): Cache => ({
  name,
  hits,
  misses,
  hitRate,
  storeFailures,
  ...(entries === undefined ? {} : { entries })
})

export const caches = (
  responses: Option.Option<ResponseCache.Service>,
  embeddings: Option.Option<EmbeddingCache.Service>
): Effect.Effect<ReadonlyArray<Cache>> =>
  Effect.all([
    ...Option.toArray(responses).map(({ stats }) =>
      Effect.map(stats, ({ shared, ...all }) => cacheOf("responses", { ...all, hits: all.hits + shared }))
    ),
    ...Option.toArray(embeddings).map(({ stats }) => Effect.map(stats, (all) => cacheOf("embeddings", all)))
  ])
