/** How models, budgets and caches stand: ids, and never secrets. */
import { Effect, Option } from "effect"
import type * as Balance from "../../Balance.js"
import type * as Budgets from "../../Budget.js"
import type * as EmbeddingCache from "../../EmbeddingCache.js"
import type * as KeyPool from "../../KeyPool.js"
import type { Service as LLMService } from "../../LLM.js"
import type { Listed, Service as ModelsService } from "../../Models.js"
import type { LimiterStatus } from "../../RateLimiter.js"
import type * as ResponseCache from "../../ResponseCache.js"
import type { Totals } from "./series.js"
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

/** Every limit that there is; what is not limited is left out. */
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

const isBalance = (llm: LLMService): llm is Balance.Service => "deployments" in llm && "reweight" in llm

const deploymentsOf = (llm: LLMService): Effect.Effect<ReadonlyArray<Deployment>> =>
  isBalance(llm) ? Effect.map(llm.deployments, (all) => all.map(deploymentOf)) : Effect.succeed([])

// -------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------

export const idOf = ({ model, provider }: { readonly provider: string; readonly model: string }): string =>
  `${provider}/${model}`

const modelOf = (listed: Listed, llm: LLMService, totals: Totals): Effect.Effect<Model> =>
  Effect.zipWith(llm.status, deploymentsOf(llm), ({ keys, limiter }, deployments) => ({
    id: idOf(listed),
    aliases: listed.aliases,
    wire: listed.wire,
    ...totals,
    waiting: keys.waiting,
    levels: levelsOf(limiter.models?.[listed.model] ?? limiter),
    hasPool: llm.pool !== undefined,
    keys: keys.keys.map(keyOf),
    deployments
  }))

/** Every model in the order of its file. One that has just left the file is left out. */
export const models = (service: ModelsService, totalsOf: (id: string) => Totals): Effect.Effect<ReadonlyArray<Model>> =>
  Effect.map(
    Effect.forEach(
      service.list,
      (listed) =>
        Effect.option(
          Effect.flatMap(service.get(listed.provider, listed.model), (llm) =>
            modelOf(listed, llm, totalsOf(idOf(listed)))
          )
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

export const budgets = (service: Option.Option<Budgets.Service>): Effect.Effect<ReadonlyArray<Budget>> =>
  Option.match(service, {
    onNone: () => Effect.succeed([]),
    onSome: ({ status }) => Effect.map(status, (all) => all.map(budgetOf))
  })

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
