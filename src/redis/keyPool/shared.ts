/** What the processes share of a pool, as effects: each is one script, run once more where Redis has forgotten the keys. */
import { Effect, Random } from "effect"
import type { ApiKey } from "../../vocabulary/ApiKey.js"
import type { CooldownSettings as Remedies } from "../../keyPool/key.js"
import type * as Redis from "../model.js"
import { RedisError } from "../model.js"
import type { Answer, ChangeRequest, Ending, KeyReport, Request, Resting, Step, Steps, Wish } from "./scripts.js"

export interface Shared {
  readonly register: Effect.Effect<void, RedisError>
  /** An answer to each wish, in their order. */
  readonly acquire: (wishes: ReadonlyArray<Wish>) => Effect.Effect<ReadonlyArray<Answer>, RedisError>
  /** How many of the leases were there. */
  readonly settle: (endings: ReadonlyArray<Ending>) => Effect.Effect<number, RedisError>
  /** The calls of this process go on; says which of its keys do not speak. */
  readonly renew: (members: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Resting>, RedisError>
  readonly change: (change: Omit<ChangeRequest, "seed">) => Effect.Effect<void, RedisError>
  /** By their place in the list of keys that is given with them. */
  readonly reports: Effect.Effect<ReadonlyArray<readonly [ApiKey, KeyReport]>, RedisError>
}

interface Terms {
  readonly redis: Redis.Service
  readonly steps: Steps
  readonly providerId: string
  readonly strategy: string
  readonly leaseTime: number
  readonly remedies: Remedies
  /** The keys of this process. */
  readonly keys: Effect.Effect<ReadonlyArray<ApiKey>>
  /** Which of them did not speak when Redis was last heard of: it is told where it has forgotten. */
  readonly resting: Effect.Effect<ReadonlyArray<Resting>>
}

const seeds = Random.nextIntBetween(0, 2 ** 31 - 1)

export const make = ({ keys, leaseTime, providerId, redis, remedies, resting, steps, strategy }: Terms): Shared => {
  const names = [redis.key("pool", providerId, "state"), redis.key("pool", providerId, "leases")]

  const run = <R extends Request, A>(step: Step<R, A>, request: (seed: number) => R): Effect.Effect<A, RedisError> =>
    Effect.flatMap(seeds, (seed) => redis.run(step.script, names, step.args(request(seed))))

  const register = Effect.flatMap(Effect.zip(keys, resting), ([keys, resting]) =>
    run(steps.register, (seed) => ({ seed, keys: keys.map(({ value: _, ...settings }) => settings), resting }))
  )

  const known = <R extends Request, A>(
    step: Step<R, A | null>,
    request: (seed: number) => R
  ): Effect.Effect<A, RedisError> =>
    Effect.flatMap(run(step, request), (reply) =>
      reply === null
        ? Effect.zipRight(
            register,
            Effect.flatMap(run(step, request), (reply) =>
              reply === null
                ? Effect.fail(new RedisError({ reason: "script", script: step.script.name, detail: "unknown keys" }))
                : Effect.succeed(reply)
            )
          )
        : Effect.succeed(reply)
    )

  const ids = Effect.map(keys, (keys) => keys.map(({ id }) => id))

  return {
    register: Effect.asVoid(register),
    acquire: (wishes) =>
      Effect.flatMap(ids, (ids) => known(steps.acquire, (seed) => ({ seed, ids, strategy, leaseTime, wishes }))),
    settle: (endings) => run(steps.settle, (seed) => ({ seed, remedies, endings })),
    renew: (members) => Effect.flatMap(ids, (ids) => known(steps.renew, (seed) => ({ seed, ids, leaseTime, members }))),
    change: (change) => Effect.asVoid(known(steps.change, (seed) => ({ seed, ...change }))),
    reports: Effect.flatMap(keys, (keys) =>
      Effect.map(
        known(steps.status, (seed) => ({ seed, ids: keys.map(({ id }) => id) })),
        (reports) =>
          keys.flatMap((key, index) => (reports[index] === undefined ? [] : [[key, reports[index]] as const]))
      )
    )
  }
}
