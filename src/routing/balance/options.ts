/** Checks the options of a balance and applies their defaults: every fault names its path. */
import { Order } from "effect"
import type { Deployment, Options, Strategy } from "./model.js"
import { cooldownBackoff, isWeight, wrongWeight } from "../../keyPool/options.js"
import type { FailoverLimits } from "../../call/limits.js"
import { failoverLimits } from "../../call/limits.js"
import * as Checks from "../../internal/optionChecks.js"
import * as Backoffs from "../../vocabulary/backoff.js"
import type { BreakerConfig } from "./breaker.js"
import type { DeploymentConfig } from "./deployment.js"
import type { Policy } from "./deploymentSet.js"
import type { CooldownSettings } from "../../keyPool/key.js"
import * as Rendezvous from "../../internal/rendezvous.js"
import { leastLoaded } from "./strategy.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Client } from "../../rateLimiter/model.js"
import * as Affinity from "../../call/affinity.js"

export interface CheckedOptions {
  readonly deployments: ReadonlyArray<DeploymentConfig>
  readonly policy: Policy
  readonly cooldown: CooldownSettings
  /** In milliseconds, as the next two. */
  readonly window: number
  readonly maxWait: number
  readonly failover: FailoverLimits
  /** The hash of the key of a sticky strategy. */
  readonly affinityOf: ((request: ChatRequest, client: Client) => number | undefined) | undefined
}

/** Ids by provider and model, numbered where there are several of them. */
const idsOf = (deployments: ReadonlyArray<Deployment>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  return deployments.map(({ id, llm }) => {
    if (id !== undefined) return id
    const name = `${llm.info.provider}/${llm.info.model}`
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count === 1 ? name : `${name}#${count}`
  })
}

/** The backoff of an open circuit. */
const breakerBackoff = { base: "10 seconds", max: "5 minutes" } as const

const byOrder: Strategy = Order.mapInput(Order.number, (deployment) => deployment.order)

/** The options with their defaults, and all faults. */
export const checkOptions = (
  deployments: ReadonlyArray<Deployment>,
  options: Options
): readonly [CheckedOptions, faults: ReadonlyArray<string>] => {
  const checks = Checks.make()
  const { faults, millis, number } = checks
  const ids = idsOf(deployments)
  const configs = deployments.map((deployment, index): DeploymentConfig => {
    const path = `deployments[${index}]`
    const { cost, maxConcurrency, order = 0, weight = 1 } = deployment
    const id = ids[index] ?? ""
    if (id === "") faults.push(`${path}.id: must not be empty`)
    if (ids.indexOf(id) < index) faults.push(`${path}.id: "${id}" is taken`)
    if (!isWeight(weight)) faults.push(`${path}.${wrongWeight}`)
    number(`${path}.order`, order, Number.isFinite(order), "a number")
    number(`${path}.cost`, cost ?? 0, !Number.isNaN(cost), "a number")
    number(
      `${path}.maxConcurrency`,
      maxConcurrency ?? 1,
      maxConcurrency === undefined || (Number.isInteger(maxConcurrency) && maxConcurrency > 0),
      "a positive integer"
    )
    return { id, weight, order, cost, maxConcurrency }
  })
  if (deployments.length === 0) faults.push("deployments: must have at least one deployment")

  const { cooldown = {}, strategy = leastLoaded } = options
  const breakerOptions = options.breaker === false ? {} : (options.breaker ?? {})
  const failures = breakerOptions.failures ?? 5
  const ratio = breakerOptions.ratio ?? 0.5
  const breaker: BreakerConfig = {
    failures: number("breaker.failures", failures, Number.isInteger(failures) && failures > 0, "a positive integer"),
    ratio: number("breaker.ratio", ratio, ratio >= 0 && ratio <= 1, "a number from 0 to 1"),
    window: millis("breaker.window", breakerOptions.window ?? "30 seconds", Checks.finite),
    cooldown: Backoffs.growthOf(
      checks,
      "breaker.cooldown",
      breakerOptions.cooldown ?? {},
      breakerBackoff,
      Checks.finite
    )
  }
  const sticky = typeof strategy === "function" ? undefined : strategy
  const bound = sticky?.bound ?? 1
  const checked: CheckedOptions = {
    deployments: configs,
    policy: {
      order: Order.combine(byOrder, typeof strategy === "function" ? strategy : strategy.otherwise),
      bound: number("strategy.bound", bound, bound >= 1, "a number of at least 1"),
      breaker: options.breaker === false ? undefined : breaker
    },
    cooldown: {
      ...Backoffs.growthOf(checks, "cooldown", cooldown, cooldownBackoff, Checks.finite),
      quota: breaker.cooldown.base,
      refused: breaker.cooldown.base,
      latencyDecay: millis("latencyDecay", options.latencyDecay ?? "10 seconds", Checks.finite)
    },
    window: breaker.window,
    maxWait: millis("maxWait", options.maxWait ?? "30 seconds", Checks.anyLength),
    failover: failoverLimits(checks, options.failoverAfter),
    affinityOf:
      sticky === undefined
        ? undefined
        : (request, client) => {
            const key = sticky.keyOf === undefined ? Affinity.keyOf(request, client) : sticky.keyOf(request)
            return key === undefined ? undefined : Rendezvous.hash(key)
          }
  }
  return [checked, faults]
}
