/** The shared pool as effects: each runs one script, and once more after a registration when Redis does not have the keys. */
import { Effect, Random } from "effect"
import type { ApiKey } from "../../vocabulary/ApiKey.js"
import type { CooldownSettings } from "../../keyPool/key.js"
import type * as Redis from "../model.js"
import { RedisError } from "../model.js"
import { keyOf } from "../shared/layout.js"
import { layoutVersion } from "./luaKeys.js"
import type {
  AcquireRequest,
  AcquireResult,
  ChangeInput,
  KeyReport,
  PoolScript,
  ScriptInput,
  Scripts,
  Settlement,
  UnavailableKey
} from "./scripts.js"

export interface SharedPool {
  readonly register: Effect.Effect<void, RedisError>
  /** A result for each request, in their order. */
  readonly acquire: (requests: ReadonlyArray<AcquireRequest>) => Effect.Effect<ReadonlyArray<AcquireResult>, RedisError>
  /** Returns how many of the leases existed. */
  readonly settle: (settlements: ReadonlyArray<Settlement>) => Effect.Effect<number, RedisError>
  /** Renews the leases of this process, and returns those of its keys that are unavailable. */
  readonly renew: (members: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<UnavailableKey>, RedisError>
  readonly change: (change: Omit<ChangeInput, "seed">) => Effect.Effect<void, RedisError>
  /** The keys of this process with their reports. */
  readonly reports: Effect.Effect<ReadonlyArray<readonly [ApiKey, KeyReport]>, RedisError>
}

interface Dependencies {
  readonly redis: Redis.Service
  readonly scripts: Scripts
  readonly provider: string
  readonly strategy: string
  readonly leaseTime: number
  readonly remedies: CooldownSettings
  /** The keys of this process. */
  readonly keys: Effect.Effect<ReadonlyArray<ApiKey>>
  /** Those that were unavailable in the last reply of Redis, to register them again when Redis has lost them. */
  readonly unavailableKeys: Effect.Effect<ReadonlyArray<UnavailableKey>>
}

const seeds = Random.nextIntBetween(0, 2 ** 31 - 1)

export const make = ({
  keys,
  leaseTime,
  provider,
  redis,
  remedies,
  scripts,
  strategy,
  unavailableKeys
}: Dependencies): SharedPool => {
  const redisKeys = ["state", "leases"].map(keyOf(redis, { kind: "pool", name: provider, layoutVersion }))

  const run = <R extends ScriptInput, A>(
    poolScript: PoolScript<R, A>,
    input: (seed: number) => R
  ): Effect.Effect<A, RedisError> =>
    Effect.flatMap(seeds, (seed) => redis.run(poolScript.script, redisKeys, poolScript.args(input(seed))))

  const register = Effect.flatMap(Effect.zip(keys, unavailableKeys), ([keys, unavailableKeys]) =>
    run(scripts.register, (seed) => ({
      seed,
      keys: keys.map(({ value: _, ...settings }) => settings),
      resting: unavailableKeys
    }))
  )

  const runRegistered = <R extends ScriptInput, A>(
    poolScript: PoolScript<R, A | null>,
    input: (seed: number) => R
  ): Effect.Effect<A, RedisError> =>
    Effect.flatMap(run(poolScript, input), (reply) =>
      reply === null
        ? Effect.zipRight(
            register,
            Effect.flatMap(run(poolScript, input), (reply) =>
              reply === null
                ? Effect.fail(
                    new RedisError({ reason: "script", script: poolScript.script.name, detail: "unknown keys" })
                  )
                : Effect.succeed(reply)
            )
          )
        : Effect.succeed(reply)
    )

  const ids = Effect.map(keys, (keys) => keys.map(({ id }) => id))

  return {
    register: Effect.asVoid(register),
    acquire: (requests) =>
      Effect.flatMap(ids, (ids) =>
        runRegistered(scripts.acquire, (seed) => ({ seed, ids, strategy, leaseTime, wishes: requests }))
      ),
    settle: (settlements) => run(scripts.settle, (seed) => ({ seed, remedies, endings: settlements })),
    renew: (members) =>
      Effect.flatMap(ids, (ids) => runRegistered(scripts.renew, (seed) => ({ seed, ids, leaseTime, members }))),
    change: (change) => Effect.asVoid(runRegistered(scripts.change, (seed) => ({ seed, ...change }))),
    reports: Effect.flatMap(keys, (keys) =>
      Effect.map(
        runRegistered(scripts.status, (seed) => ({ seed, ids: keys.map(({ id }) => id) })),
        (reports) =>
          keys.flatMap((key, index) => (reports[index] === undefined ? [] : [[key, reports[index]] as const]))
      )
    )
  }
}
