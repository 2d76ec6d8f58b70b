/** The pool in Redis as a service: leases, changes by hand, and the local fallback while Redis is away. */
import type { Scope } from "effect"
import { Cause, Duration, Effect, Exit, Option, Ref, Scope as Scopes, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import type { ApiKey } from "../../vocabulary/ApiKey.js"
import * as PoolOptions from "../../keyPool/options.js"
import type { CooldownSettings } from "../../keyPool/key.js"
import * as MonotonicClock from "../../internal/clock.js"
import type { KeyInput, Lease, LeaseOptions, NoKeyError, Options, Service } from "../../keyPool/model.js"
import { InvalidPoolError } from "../../keyPool/model.js"
import { Verdict, verdictOf } from "../../keyPool/model.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import type * as Redis from "../model.js"
import type { RedisError } from "../model.js"
import type { Interruptibly } from "./waiters.js"
import * as Waiters from "./waiters.js"
import * as Leases from "./leases.js"
import * as Report from "./report.js"
import * as SharedPool from "./shared.js"
import * as LocalFallback from "./localFallback.js"
import type { ChangeInput, Grant, Scripts } from "./scripts.js"
import { finite } from "./scripts.js"

export interface Dependencies {
  readonly redis: Redis.Service
  readonly scripts: Scripts
  /** The name of the strategy in the scripts. */
  readonly strategy: string
  /** In milliseconds. */
  readonly leaseTime: number
  readonly pollInterval: number
  /** The part of each limit that this process uses while Redis is away; undefined fails calls instead. */
  readonly share: number | undefined
  readonly faults: ReadonlyArray<string>
}

export const make = (
  options: Options,
  { faults, leaseTime, pollInterval, redis, share, scripts, strategy }: Dependencies
): Effect.Effect<Service, InvalidPoolError, Scope.Scope> =>
  Effect.gen(function* () {
    const { provider } = options
    const invalid = (faults: ReadonlyArray<string>) => new InvalidPoolError({ provider, faults })
    const settings = PoolOptions.settings(options)
    const checkedKeys = PoolOptions.allKeys(options.keys)
    const all = [...checkedKeys.faults, ...settings.faults, ...faults]
    if (all.length > 0) return yield* invalid(all)

    const { maxWait, ...remedies } = settings.value
    const keysRef = yield* Ref.make(checkedKeys.value)
    const keys = Ref.get(keysRef)
    const localFallback = yield* LocalFallback.make(options, checkedKeys.value, share ?? 1)
    const pool = SharedPool.make({
      redis,
      scripts,
      provider,
      strategy,
      leaseTime,
      remedies: finiteAll(remedies),
      keys,
      unavailableKeys: localFallback.unavailableKeys
    })
    const leases = yield* Leases.make(pool)
    const waiters = yield* Waiters.make({ redis, pool, leases, provider, maxWait, pollInterval })

    // If this fails, the first script that misses the keys registers them.
    yield* Effect.ignore(pool.register)

    const heartbeat = Effect.zipRight(
      Effect.ignore(Effect.flatMap(leases.flushAndRenew, localFallback.applyUnavailable)),
      waiters.notify
    )
    yield* inBackground(Effect.forever(Effect.zipRight(heartbeat, Effect.sleep(Math.min(leaseTime / 3, 60_000)))))
    yield* inBackground(
      redis.changes.pipe(
        Stream.drop(1),
        Stream.runForEach((now) => (now === "up" ? heartbeat : Effect.void))
      )
    )

    const leaseOf = (grant: Grant, key: ApiKey): Lease => {
      let isSettled = false
      const end = (effect: Effect.Effect<void>): Effect.Effect<void> =>
        Effect.uninterruptible(
          Effect.suspend(() => {
            if (isSettled) return Effect.void
            isSettled = true
            return Effect.zipRight(effect, waiters.notify)
          })
        )
      return {
        key,
        settle: (verdict) => end(leases.settle(grant, verdict)),
        giveBack: end(leases.withdraw(grant))
      }
    }

    /** A key of the shared pool; none when this process removed the key during the request. */
    const sharedLease = (
      options: LeaseOptions | undefined,
      interruptibly: Interruptibly
    ): Effect.Effect<Option.Option<Lease>, NoKeyError | RedisError> =>
      Effect.flatMap(waiters.take(options, interruptibly), (grant) =>
        Effect.flatMap(keys, (keys) => {
          const key = keys.find(({ id }) => id === grant.key)
          return key === undefined
            ? Effect.as(leases.withdraw(grant), Option.none())
            : Effect.succeedSome(leaseOf(grant, key))
        })
      )

    /** A key of the local fallback. Its scope is closed only when the call gets no key. */
    const localLease = (options: LeaseOptions, interruptibly: Interruptibly): Effect.Effect<Lease, NoKeyError> =>
      Effect.flatMap(Scopes.make(), (scope) =>
        Effect.onError(interruptibly(Scopes.extend(localFallback.pool.lease(options), scope)), () =>
          Scopes.close(scope, Exit.void)
        )
      )

    const withoutRedis = (
      error: RedisError,
      options: LeaseOptions | undefined,
      waited: number,
      interruptibly: Interruptibly
    ): Effect.Effect<Lease, NoKeyError> => {
      if (share === undefined) {
        return Effect.fail(
          new SharedStateError({
            provider,
            model: "",
            attempts: [],
            reason: error.reason,
            message: `The keys for ${provider} are shared through Redis, which is unavailable (${error.detail}). Restore Redis, or set whenAway to a share so that the pool continues without it.`
          })
        )
      }
      const maxWaitMillis = options?.maxWait === undefined ? maxWait : Duration.toMillis(options.maxWait)
      return localLease({ ...options, maxWait: Duration.millis(Math.max(0, maxWaitMillis - waited)) }, interruptibly)
    }

    const acquireLease = (
      options: LeaseOptions | undefined,
      interruptibly: Interruptibly
    ): Effect.Effect<Lease, NoKeyError> =>
      Effect.flatMap(Effect.clock, (clock) => {
        const startedAt = MonotonicClock.now(clock)
        return sharedLease(options, interruptibly).pipe(
          Effect.flatMap(
            Option.match({
              onNone: () => acquireLease(options, interruptibly),
              onSome: (lease) => Effect.succeed(lease)
            })
          ),
          Effect.catchTag("RedisError", (error) =>
            withoutRedis(error, options, MonotonicClock.now(clock) - startedAt, interruptibly)
          )
        )
      })

    /** Changes a key for all processes, and returns whether this process has it. */
    const change = (
      id: string,
      kind: ChangeInput["change"],
      amount: number | undefined,
      localChange: Effect.Effect<unknown>
    ): Effect.Effect<boolean> =>
      Effect.uninterruptible(
        Effect.flatMap(keys, (keys) =>
          keys.some((key) => key.id === id)
            ? Effect.as(
                Effect.zipRight(
                  localChange,
                  Effect.zipRight(
                    leases.send(pool.change({ key: id, change: kind, ...(amount === undefined ? {} : { amount }) })),
                    waiters.notify
                  )
                ),
                true
              )
            : Effect.succeed(false)
        )
      )

    const add = (input: KeyInput): Effect.Effect<string, InvalidPoolError> =>
      Effect.flatMap(
        Ref.modify(keysRef, (present): readonly [PoolOptions.Checked<ReadonlyArray<ApiKey>>, ReadonlyArray<ApiKey>] => {
          const admission = PoolOptions.keys([input], present, () => "key")
          return [admission, admission.faults.length > 0 ? present : [...present, ...admission.value]]
        }),
        ({ faults, value: [key] }) =>
          key === undefined || faults.length > 0
            ? Effect.fail(invalid(faults))
            : Effect.as(
                Effect.zipRight(localFallback.add(key), Effect.zipRight(leases.send(pool.register), waiters.notify)),
                key.id
              )
      )

    return {
      provider,
      reserve: (options) => Effect.uninterruptible(acquireLease(options, Effect.interruptible)),
      lease: (options) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.tap(acquireLease(options, restore), ({ settle }) =>
            Effect.addFinalizer(() => settle(Verdict.Neutral()))
          )
        ),
      withKey: (use, options) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Effect.zip(acquireLease(options, restore), Effect.clock), ([{ key, settle }, clock]) => {
            const startedAt = MonotonicClock.now(clock)
            return Effect.matchCauseEffect(restore(Effect.suspend(() => use(key))), {
              onSuccess: (value) =>
                Effect.as(settle(Verdict.Served({ latency: MonotonicClock.now(clock) - startedAt })), value),
              onFailure: (cause) =>
                Effect.zipRight(
                  settle(
                    Option.match(Cause.failureOption(cause), { onNone: () => Verdict.Neutral(), onSome: verdictOf })
                  ),
                  Effect.failCause(cause)
                )
            })
          })
        ),
      status: Effect.flatMap(waiters.waiting, (waiting) =>
        Effect.matchEffect(pool.reports, {
          onSuccess: (reports) =>
            Effect.succeed({
              provider,
              keys: reports.map(([key, report]) => Report.statusOf(key, report)),
              waiting,
              degraded: false
            }),
          onFailure: () =>
            Effect.map(localFallback.pool.status, (status) => ({
              ...status,
              waiting: waiting + status.waiting,
              degraded: true
            }))
        })
      ),
      keys,
      add: (input) => Effect.uninterruptible(add(input)),
      remove: (id) =>
        Effect.uninterruptible(
          Effect.zipRight(
            localFallback.pool.remove(id),
            Effect.zipLeft(
              Ref.modify(keysRef, (keys) => [keys.some((key) => key.id === id), keys.filter((key) => key.id !== id)]),
              waiters.notify
            )
          )
        ),
      reweight: (id, weight) =>
        PoolOptions.isWeight(weight)
          ? Effect.flatMap(
              Effect.zipRight(
                Ref.update(keysRef, (keys) => keys.map((key) => (key.id === id ? { ...key, weight } : key))),
                change(id, "reweight", weight, Effect.ignore(localFallback.pool.reweight(id, weight)))
              ),
              (isFound) => (isFound ? Effect.void : Effect.fail(invalid([`id: the pool has no key "${id}"`])))
            )
          : Effect.suspend(() => Effect.fail(invalid([PoolOptions.wrongWeight]))),
      enable: (id) => change(id, "enable", undefined, localFallback.pool.enable(id)),
      disable: (id) => change(id, "disable", undefined, localFallback.pool.disable(id)),
      rest: (id, duration) =>
        Effect.asVoid(change(id, "rest", finite(Duration.toMillis(duration)), localFallback.pool.rest(id, duration)))
    }
  })

const finiteAll = ({ base, factor, latencyDecay, max, quota, refused }: CooldownSettings): CooldownSettings => ({
  base: finite(base),
  factor,
  latencyDecay,
  max: finite(max),
  quota: finite(quota),
  refused: finite(refused)
})
