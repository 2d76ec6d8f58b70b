/** The options of a pool, checked, and what they stand for. */
import type { Scope } from "effect"
import { Duration, Effect, Option } from "effect"
import type { InvalidPoolError, Service } from "../../keyPool/model.js"
import * as KeyPool from "../../keyPool/model.js"
import { Redis } from "../model.js"
import type { Options, Strategy } from "./model.js"
import * as PoolService from "./service.js"
import type { Steps } from "./scripts.js"

/** For the pool of a process alone. The script knows them by their names. */
const strategies: Readonly<Record<Strategy, KeyPool.Strategy>> = {
  "least-loaded": KeyPool.leastLoaded,
  weighted: KeyPool.weighted,
  "round-robin": KeyPool.roundRobin,
  latency: KeyPool.latency,
  random: KeyPool.random,
  failover: KeyPool.failover
}

/** `steps` are by Redis's clock, but in tests. */
export const make = (
  {
    leaseTime = "30 seconds",
    pollInterval = "50 millis",
    strategy = "least-loaded",
    whenAway = { share: 0.25 },
    ...options
  }: Options,
  steps: Steps
): Effect.Effect<Service, InvalidPoolError, Redis | Scope.Scope> =>
  Effect.flatMap(Redis, (redis) => {
    const faults: Array<string> = []
    const millis = (name: string, input: Duration.DurationInput): number => {
      const decoded = Option.getOrElse(Option.map(Duration.decodeUnknown(input), Duration.toMillis), () => 0)
      if (!(decoded > 0 && decoded < Infinity)) faults.push(`${name}: must be a positive and finite duration`)
      return decoded
    }
    const share = whenAway === "fail" ? undefined : whenAway.share
    if (share !== undefined && !(share > 0 && share <= 1)) faults.push("whenAway.share: must be above 0 and at most 1")
    if (!Object.hasOwn(strategies, strategy)) {
      faults.push(`strategy: must be one of ${Object.keys(strategies).join(", ")}`)
    }
    const times = { leaseTime: millis("leaseTime", leaseTime), pollInterval: millis("pollInterval", pollInterval) }
    return PoolService.make(
      { ...options, strategy: strategies[strategy] },
      { redis, steps, strategy, share, faults, ...times }
    )
  })
