/** Checks the options of a pool, and makes it: a pool in memory that shares its keys. */
import type { Scope } from "effect"
import { Duration, Effect, Option } from "effect"
import type { Service } from "../../keyPool/model.js"
import * as KeyPool from "../../keyPool/model.js"
import { InvalidPoolError } from "../../keyPool/model.js"
import * as PoolService from "../../keyPool/service.js"
import type { Script } from "../model.js"
import { Redis } from "../model.js"
import type { Reply } from "./exchange.js"
import type { Options, Strategy } from "./model.js"
import * as Sharing from "./sharing.js"

const strategies: Readonly<Record<Strategy, KeyPool.Strategy>> = {
  "least-loaded": KeyPool.leastLoaded,
  weighted: KeyPool.weighted,
  "round-robin": KeyPool.roundRobin,
  latency: KeyPool.latency,
  random: KeyPool.random,
  failover: KeyPool.failover
}

/** `script` uses Redis's clock, except in tests. */
export const make = (
  {
    leaseTime = "30 seconds",
    pollInterval = "50 millis",
    strategy = "least-loaded",
    whenAway = { share: 0.25 },
    ...options
  }: Options,
  script: Script<Reply>
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
      {
        strategy: strategies[strategy],
        verdictOf: KeyPool.verdictOf,
        invalid: (faults) => new InvalidPoolError({ provider: options.provider, faults }),
        faults
      },
      Sharing.make({ redis, script, provider: options.provider, share, ...times })
    )
  })
