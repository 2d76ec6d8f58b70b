/** The metric of costs: what the attempts of calls cost, by the label of the caller. */
import { Context, Effect, Option } from "effect"
import type { Middleware } from "../call/model.js"
import type { Listener } from "../call/usageListeners.js"
import { withUsageListener } from "../call/wrap.js"
import { callerLabel } from "../telemetry/boundedLabel.js"
import { memoized } from "../telemetry/metrics.js"
import * as Priced from "./pricing/cost.js"
import * as Pricing from "./pricing/model.js"
import * as MetricKeys from "../telemetry/metricKeys.js"

const key = MetricKeys.counter("llm_cost_dollars_total", "Costs in dollars of calls with a known price")

/** The counters of all models and callers. Labelling costs ten times as much as counting, so each is labelled once. */
const counters = memoized((provider) =>
  memoized((model) =>
    memoized((label) =>
      MetricKeys.metricOf(MetricKeys.withLabels({ provider, model, ...(label === "" ? {} : { label }) })(key))
    )
  )
)

/**
 * Makes the middleware that counts the cost of every attempt at the prices in context of the call, else at the price of the model,
 * else at `pricing`. An attempt without a known price counts nothing.
 */
export const make = (pricing: Pricing.Service): Middleware => {
  const listener: Listener = {
    owner: counters,
    onUsage: (attempt, context) => {
      const { endedAt, label, model, provider, usage } = attempt
      if (usage.totalTokens === 0) return Effect.void
      const callPricing = Context.get(context, Pricing.Pricing)
      const cost = Priced.costWithin(callPricing, pricing, usage, Priced.answererOfAttempt(attempt), endedAt)
      if (Option.isSome(cost)) counters(provider)(model)(callerLabel(label)).unsafeUpdate(cost.value.total, [])
      return Effect.void
    }
  }
  return (next) => Effect.succeed(withUsageListener(next, listener))
}
