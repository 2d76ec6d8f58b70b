/** What one of several workers reports to the others, and the snapshot of all of them. */
import { Schema } from "effect"
import * as Costs from "../../vocabulary/cost.js"
import { QuantileSketch } from "../../vocabulary/quantileSketch.js"
import type { Distribution } from "./series.js"
import { timesOfDistributions } from "./series.js"
import type { Bucket, Budget, Cache, Deployment, Key, Level, Model } from "./snapshot.js"
import { Snapshot } from "./snapshot.js"

const DistributionSchema = Schema.Struct({ latency: QuantileSketch, firstEvent: QuantileSketch })

const distributionsBy = <Id extends Schema.Schema.Any>(id: Id) => Schema.Array(Schema.Tuple(id, DistributionSchema))

/** The snapshot of one worker, with the distributions that its percentiles are made of: percentiles cannot be merged. */
export const Report = Schema.Struct({
  snapshot: Snapshot,
  distributions: Schema.Struct({
    buckets: distributionsBy(Schema.Number),
    windows: distributionsBy(Schema.Number),
    models: distributionsBy(Schema.String)
  })
})

export interface Report extends Schema.Schema.Type<typeof Report> {}

// -------------------------------------------------------------------------------------
// groups
// -------------------------------------------------------------------------------------

type Groups<K, A> = ReadonlyMap<K, readonly [A, ...ReadonlyArray<A>]>

/** Groups values by a key, in the order in which the keys first occur. */
const groupBy = <K, A>(all: ReadonlyArray<A>, keyOf: (value: A) => K): Groups<K, A> => {
  const groups = new Map<K, [A, ...Array<A>]>()
  for (const value of all) {
    const group = groups.get(keyOf(value))
    if (group === undefined) groups.set(keyOf(value), [value])
    else group.push(value)
  }
  return groups
}

const sumOf = <A>(all: ReadonlyArray<A>, amountOf: (value: A) => number): number =>
  all.reduce((sum, value) => sum + amountOf(value), 0)

const dollarsOf = <A>(all: ReadonlyArray<A>, amountOf: (value: A) => number): number =>
  all.reduce((sum, value) => Costs.addDollars(sum, amountOf(value)), 0)

/** The sum of an optional field; absent if no value has it. */
const optionalSum = <K extends string, A extends { readonly [P in K]?: number | undefined }>(
  field: K,
  all: ReadonlyArray<A>
): { readonly [P in K]?: number } => {
  const result: { [P in K]?: number } = {}
  const present = all.flatMap((value) => value[field] ?? [])
  if (present.length > 0) result[field] = sumOf(present, (value) => value)
  return result
}

/** The mean latency of all served calls. */
const latencyOf = (all: ReadonlyArray<Pick<Key, "latency" | "served">>): { readonly latency?: number } => {
  const measured = all.flatMap(({ latency, served }) => (latency === undefined ? [] : [{ latency, served }]))
  const served = sumOf(measured, (each) => each.served)
  return served === 0 ? {} : { latency: sumOf(measured, (each) => each.latency * each.served) / served }
}

/** The value that the fewest calls can use, by the severity of its state, then the one that lasts longest. */
const worstOf = <A extends { readonly state: string; readonly until?: number | undefined }>(
  all: readonly [A, ...ReadonlyArray<A>],
  severity: ReadonlyArray<string>
): A =>
  all.reduce((worst, value) => {
    const difference = severity.indexOf(value.state) - severity.indexOf(worst.state)
    return difference > 0 || (difference === 0 && (value.until ?? 0) > (worst.until ?? 0)) ? value : worst
  })

// -------------------------------------------------------------------------------------
// parts of a snapshot
// -------------------------------------------------------------------------------------

const merged = <K, A, B>(
  groups: Groups<K, A>,
  merge: (group: readonly [A, ...ReadonlyArray<A>]) => B
): ReadonlyArray<B> => Array.from(groups.values(), merge)

const mergeBuckets = (
  all: ReadonlyArray<Bucket>,
  distributions: ReadonlyArray<readonly [number, Distribution]>
): ReadonlyArray<Bucket> => {
  const distributionsAt = groupBy(distributions, ([at]) => at)
  return merged(
    groupBy(all, ({ at }) => at),
    (group): Bucket => ({
      at: group[0].at,
      outcomes: Object.fromEntries(
        merged(
          groupBy(
            group.flatMap(({ outcomes }) => Object.entries(outcomes)),
            ([outcome]) => outcome
          ),
          (same) => [same[0][0], sumOf(same, ([, count]) => count)]
        )
      ),
      inputTokens: sumOf(group, ({ inputTokens }) => inputTokens),
      outputTokens: sumOf(group, ({ outputTokens }) => outputTokens),
      cost: dollarsOf(group, ({ cost }) => cost),
      unpricedTokens: sumOf(group, ({ unpricedTokens }) => unpricedTokens),
      ...timesOfDistributions((distributionsAt.get(group[0].at) ?? []).map(([, distribution]) => distribution))
    })
  ).toSorted((a, b) => a.at - b.at)
}

const keySeverity = ["ready", "busy", "cooling", "disabled"]

/** The keys of workers that divide their limits: a key has the worst state that a worker has seen. */
const mergeKeys = (all: ReadonlyArray<Key>): ReadonlyArray<Key> =>
  merged(
    groupBy(all, ({ id }) => id),
    (group): Key => {
      const { latency: _, maxConcurrency: __, ...worst } = worstOf(group, keySeverity)
      return {
        ...worst,
        inFlight: sumOf(group, ({ inFlight }) => inFlight),
        ...optionalSum("maxConcurrency", group),
        load: sumOf(group, ({ load }) => load) / group.length,
        weight: group[0].weight,
        ...latencyOf(group),
        served: sumOf(group, ({ served }) => served),
        succeeded: sumOf(group, ({ succeeded }) => succeeded),
        rateLimited: sumOf(group, ({ rateLimited }) => rateLimited),
        outOfQuota: sumOf(group, ({ outOfQuota }) => outOfQuota),
        refused: sumOf(group, ({ refused }) => refused)
      }
    }
  )

const deploymentSeverity = ["ready", "busy", "half-open", "cooling", "open", "disabled"]

const mergeDeployments = (all: ReadonlyArray<Deployment>): ReadonlyArray<Deployment> =>
  merged(
    groupBy(all, ({ id }) => id),
    (group): Deployment => {
      const { latency: _, maxConcurrency: __, ...worst } = worstOf(group, deploymentSeverity)
      return {
        ...worst,
        inFlight: sumOf(group, ({ inFlight }) => inFlight),
        ...optionalSum("maxConcurrency", group),
        weight: group[0].weight,
        ...latencyOf(group),
        served: sumOf(group, ({ served }) => served),
        failed: sumOf(group, ({ failed }) => failed)
      }
    }
  )

const mergeLevels = (all: ReadonlyArray<Level>): ReadonlyArray<Level> =>
  merged(
    groupBy(all, ({ name }) => name),
    (group) => ({
      name: group[0].name,
      available: sumOf(group, ({ available }) => available),
      limit: sumOf(group, ({ limit }) => limit)
    })
  )

const mergeModel = (
  group: readonly [Model, ...ReadonlyArray<Model>],
  distributions: ReadonlyArray<Distribution>,
  divided: boolean
): Model => {
  const [{ firstEvent: _, latency: __, ...own }] = group
  return {
    ...own,
    inFlight: sumOf(group, ({ inFlight }) => inFlight),
    waiting: sumOf(group, ({ waiting }) => waiting),
    waitingForPermit: sumOf(group, ({ waitingForPermit }) => waitingForPermit),
    isAway: group.some(({ isAway }) => isAway),
    recent: {
      ended: sumOf(group, ({ recent }) => recent.ended),
      failed: sumOf(group, ({ recent }) => recent.failed),
      measured: sumOf(group, ({ recent }) => recent.measured),
      slow: sumOf(group, ({ recent }) => recent.slow)
    },
    requests: sumOf(group, ({ requests }) => requests),
    failed: sumOf(group, ({ failed }) => failed),
    inputTokens: sumOf(group, ({ inputTokens }) => inputTokens),
    outputTokens: sumOf(group, ({ outputTokens }) => outputTokens),
    cost: dollarsOf(group, ({ cost }) => cost),
    unpricedTokens: sumOf(group, ({ unpricedTokens }) => unpricedTokens),
    minutes: own.minutes.map((_, index) => sumOf(group, ({ minutes }) => minutes[index] ?? 0)),
    levels: divided ? mergeLevels(group.flatMap(({ levels }) => levels)) : own.levels,
    keys: divided ? mergeKeys(group.flatMap(({ keys }) => keys)) : own.keys,
    deployments: mergeDeployments(group.flatMap(({ deployments }) => deployments)),
    ...timesOfDistributions(distributions)
  }
}

/** The budgets of workers that divide their limits. */
const mergeBudgets = (all: ReadonlyArray<Budget>): ReadonlyArray<Budget> =>
  merged(
    groupBy(all, ({ budget, key, label, unit }) => JSON.stringify([budget, key, label, unit])),
    (group): Budget => ({
      ...group[0],
      limit: dollarsOf(group, ({ limit }) => limit),
      spent: dollarsOf(group, ({ spent }) => spent),
      reserved: dollarsOf(group, ({ reserved }) => reserved)
    })
  )

const mergeCaches = (all: ReadonlyArray<Cache>): ReadonlyArray<Cache> =>
  merged(
    groupBy(all, ({ name }) => name),
    (group): Cache => {
      const [hits, misses] = [sumOf(group, (each) => each.hits), sumOf(group, (each) => each.misses)]
      return {
        name: group[0].name,
        hits,
        misses,
        hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
        storeFailures: sumOf(group, ({ storeFailures }) => storeFailures),
        ...optionalSum("entries", group)
      }
    }
  )

/**
 * The snapshot of several workers. What the workers share through a store is that of the first; everything else is added. With
 * `divided`, the workers share nothing, so their limits, keys and budgets are added, too. Models are those of the first: another
 * worker can be in the middle of a reload.
 */
export const merge = (own: Report, others: ReadonlyArray<Report>, divided: boolean): Snapshot => {
  const reports = [own, ...others]
  const snapshots = reports.map(({ snapshot }) => snapshot)
  const models = groupBy(
    snapshots.flatMap(({ models }) => models),
    ({ id }) => id
  )
  const ofModels = groupBy(
    reports.flatMap(({ distributions }) => distributions.models),
    ([id]) => id
  )
  const ofWindows = groupBy(
    reports.flatMap(({ distributions }) => distributions.windows),
    ([minutes]) => minutes
  )
  return {
    ...own.snapshot,
    startedAt: Math.min(...snapshots.map(({ startedAt }) => startedAt)),
    inFlight: sumOf(snapshots, ({ inFlight }) => inFlight),
    buckets: mergeBuckets(
      snapshots.flatMap(({ buckets }) => buckets),
      reports.flatMap(({ distributions }) => distributions.buckets)
    ),
    windows: own.snapshot.windows.map(({ minutes }) => ({
      minutes,
      ...timesOfDistributions((ofWindows.get(minutes) ?? []).map(([, distribution]) => distribution))
    })),
    // Each as its worker sees it.
    alerts: snapshots.flatMap(({ alerts }) => alerts),
    models: own.snapshot.models.map((model) =>
      mergeModel(
        models.get(model.id) ?? [model],
        (ofModels.get(model.id) ?? []).map(([, distribution]) => distribution),
        divided
      )
    ),
    budgets: divided ? mergeBudgets(snapshots.flatMap(({ budgets }) => budgets)) : own.snapshot.budgets,
    caches: mergeCaches(snapshots.flatMap(({ caches }) => caches))
  }
}
