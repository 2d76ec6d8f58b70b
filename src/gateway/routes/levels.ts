/** The levels of a gateway as gauges: of its models, budgets and caches. */
import { Effect, Option } from "effect"
import * as Budgets from "../../accounting/budget/model.js"
import * as EmbeddingCache from "../../caching/EmbeddingCache.js"
import * as ResponseCache from "../../caching/ResponseCache.js"
import * as Levels from "../../telemetry/levels.js"
import * as MetricKeys from "../../telemetry/metricKeys.js"
import * as LiveStatus from "../dashboard/liveStatus.js"
import type { GatewayContext } from "../http/context.js"
import { withoutGroups } from "../http/context.js"

const keys = {
  spent: MetricKeys.gauge("llm_budget_spent_ratio", "The part of a budget that is spent or reserved"),
  hits: MetricKeys.gauge("llm_cache_hits", "Calls that a cache answered since it was made"),
  misses: MetricKeys.gauge("llm_cache_misses", "Calls that a cache could not answer since it was made"),
  entries: MetricKeys.gauge("llm_cache_entries", "Entries of a cache in memory")
}

/** Returns what sets the gauges when metrics are collected. */
export const make = ({
  access,
  models
}: Pick<GatewayContext, "access" | "models">): Effect.Effect<Effect.Effect<void>> =>
  Effect.gen(function* () {
    const budget = yield* Effect.serviceOption(Budgets.Budget)
    const responses = yield* Effect.serviceOption(ResponseCache.ResponseCache)
    const embeddings = yield* Effect.serviceOption(EmbeddingCache.EmbeddingCache)
    // A reload can have removed a model from the list since.
    const llms = Effect.suspend(() =>
      Effect.forEach(withoutGroups(models.list), ({ name }) => Effect.option(models.get(name)))
    )
    const recordBudgets = Effect.flatMap(
      LiveStatus.budgets(budget, access),
      Effect.forEach(
        ({ budget, label, limit, reserved, spent }) => {
          const labels = { budget, ...(label === undefined ? {} : { label }) }
          return Levels.setGauge(keys.spent, labels, (spent + reserved) / limit)
        },
        { discard: true }
      )
    )
    const recordCaches = Effect.flatMap(
      LiveStatus.caches(responses, embeddings),
      Effect.forEach(
        ({ entries = Infinity, hits, misses, name }) =>
          Effect.all([
            Levels.setGauge(keys.hits, { cache: name }, hits),
            Levels.setGauge(keys.misses, { cache: name }, misses),
            Levels.setGauge(keys.entries, { cache: name }, entries)
          ]),
        { discard: true }
      )
    )
    return Effect.all(
      [Effect.flatMap(llms, (all) => Levels.record(all.flatMap(Option.toArray))), recordBudgets, recordCaches],
      { discard: true }
    )
  })
