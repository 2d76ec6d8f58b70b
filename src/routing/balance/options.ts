/** What a balance is given, checked: every fault is told with its place. */
import { Order } from "effect"
import type { Deployment, InvalidBalanceError, Options } from "./model.js"
import type { Strategy, Verdict } from "./model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { isWeight, wrongWeight } from "../../keyPool/options.js"
import * as Checks from "../../internal/optionChecks.js"
import type { Breaker, Settings } from "./deployment.js"
import type { Rules } from "./deploymentSet.js"
import type { CooldownSettings as Remedies } from "../../keyPool/key.js"
import * as Rendezvous from "./rendezvous.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"

/** What the public module brings. */
export interface Terms {
  readonly strategy: Strategy
  readonly handsOn: (error: LLMError) => boolean
  readonly verdictOf: (error: LLMError) => Verdict
  readonly invalid: (faults: ReadonlyArray<string>) => InvalidBalanceError
}

export interface Admitted {
  readonly settings: ReadonlyArray<Settings>
  readonly rules: Rules
  readonly remedies: Remedies
  /** In milliseconds, like those below. */
  readonly window: number
  readonly maxWait: number
  readonly patience: number
  readonly affinityOf: ((request: ChatRequest) => number | undefined) | undefined
}

/** Ids by provider and model, numbered where there are several of them. */
const ids = (deployments: ReadonlyArray<Deployment>): ReadonlyArray<string> => {
  const seen = new Map<string, number>()
  return deployments.map(({ id, llm }) => {
    if (id !== undefined) return id
    const name = `${llm.info.provider}/${llm.info.model}`
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return count === 1 ? name : `${name}#${count}`
  })
}

const byOrder: Strategy = Order.mapInput(Order.number, (deployment) => deployment.order)

/** What is right of what was given, and what is wrong. */
export const admit = (
  deployments: ReadonlyArray<Deployment>,
  options: Options,
  terms: Terms
): readonly [Admitted, faults: ReadonlyArray<string>] => {
  const { factor, faults, millis, number } = Checks.make()
  const names = ids(deployments)
  const settings = deployments.map((deployment, index): Settings => {
    const path = `deployments[${index}]`
    const { cost, maxConcurrency, order = 0, weight = 1 } = deployment
    const id = names[index] ?? ""
    if (id === "") faults.push(`${path}.id: must not be empty`)
    if (names.indexOf(id) < index) faults.push(`${path}.id: "${id}" is taken`)
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

  const { cooldown = {}, strategy = terms.strategy } = options
  const given = options.breaker === false ? {} : (options.breaker ?? {})
  const failures = given.failures ?? 5
  const ratio = given.ratio ?? 0.5
  const breaker: Breaker = {
    failures: number("breaker.failures", failures, Number.isInteger(failures) && failures > 0, "a positive integer"),
    ratio: number("breaker.ratio", ratio, ratio >= 0 && ratio <= 1, "a number from 0 to 1"),
    window: millis("breaker.window", given.window ?? "30 seconds", Checks.finite),
    base: millis("breaker.rest", given.rest ?? "10 seconds", Checks.finite),
    factor: factor("breaker.factor", given.factor),
    max: millis("breaker.maxRest", given.maxRest ?? "5 minutes", Checks.finite)
  }
  const sticky = typeof strategy === "function" ? undefined : strategy
  const bound = sticky?.bound ?? 1
  const admitted: Admitted = {
    settings,
    rules: {
      order: Order.combine(byOrder, typeof strategy === "function" ? strategy : strategy.otherwise),
      bound: number("strategy.bound", bound, bound >= 1, "a number of at least 1"),
      breaker: options.breaker === false ? undefined : breaker
    },
    remedies: {
      base: millis("cooldown.base", cooldown.base ?? "1 second", Checks.finite),
      factor: factor("cooldown.factor", cooldown.factor),
      max: millis("cooldown.max", cooldown.max ?? "60 seconds", Checks.finite),
      quota: breaker.base,
      refused: breaker.base,
      latencyDecay: millis("latencyDecay", options.latencyDecay ?? "10 seconds", Checks.finite)
    },
    window: breaker.window,
    maxWait: millis("maxWait", options.maxWait ?? "30 seconds", Checks.anyLength),
    patience: millis("patience", options.patience ?? "1 second", Checks.anyLength),
    affinityOf:
      sticky === undefined
        ? undefined
        : (request) => {
            const key = sticky.keyOf(request)
            return key === undefined ? undefined : Rendezvous.hash(key)
          }
  }
  return [admitted, faults]
}
