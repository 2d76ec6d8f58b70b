/** The rim of the pool in Redis: the calls, the changes by hand, and what is done while Redis is away. */
import type { Scope } from "effect"
import { Cause, Duration, Effect, Exit, Option, Ref, Scope as Scopes, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import type { ApiKey } from "../../vocabulary/ApiKey.js"
import * as Admission from "../../keyPool/options.js"
import type { CooldownSettings as Remedies } from "../../keyPool/key.js"
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
import * as Sharing from "./shared.js"
import * as LocalFallback from "./localFallback.js"
import type { ChangeRequest, Grant, Steps } from "./scripts.js"
import { finite } from "./scripts.js"

export interface Terms {
  readonly redis: Redis.Service
  readonly steps: Steps
  /** By name, as the script knows it. */
  readonly strategy: string
  /** In milliseconds. */
  readonly leaseTime: number
  readonly pollInterval: number
  /** The part of each limit that this process takes while Redis is away; undefined where it then takes none. */
  readonly share: number | undefined
  readonly faults: ReadonlyArray<string>
}

export const make = (
  options: Options,
  { faults, leaseTime, pollInterval, redis, share, steps, strategy }: Terms
): Effect.Effect<Service, InvalidPoolError, Scope.Scope> =>
  Effect.gen(function* () {
    const { providerId } = options
    const invalid = (faults: ReadonlyArray<string>) => new InvalidPoolError({ providerId, faults })
    const settings = Admission.settings(options)
    const admitted = Admission.allKeys(options.keys)
    const all = [...admitted.faults, ...settings.faults, ...faults]
    if (all.length > 0) return yield* invalid(all)

    const { maxWait, ...remedies } = settings.value
    const roster = yield* Ref.make(admitted.value)
    const keys = Ref.get(roster)
    const spare = yield* LocalFallback.make(options, admitted.value, share ?? 1)
    const shared = Sharing.make({
      redis,
      steps,
      providerId,
      strategy,
      leaseTime,
      remedies: finiteAll(remedies),
      keys,
      resting: spare.resting
    })
    const ledger = yield* Leases.make(shared)
    const attendant = yield* Waiters.make({ redis, shared, ledger, providerId, maxWait, pollInterval })

    // A Redis that is away now learns of the keys by the first step that does not find them.
    yield* Effect.ignore(shared.register)

    const heartbeat = Effect.zipRight(Effect.ignore(Effect.flatMap(ledger.report, spare.learn)), attendant.ring)
    yield* inBackground(Effect.forever(Effect.zipRight(heartbeat, Effect.sleep(Math.min(leaseTime / 3, 60_000)))))
    yield* inBackground(
      redis.changes.pipe(
        Stream.drop(1),
        Stream.runForEach((now) => (now === "up" ? heartbeat : Effect.void))
      )
    )

    const leaseOf = (grant: Grant, key: ApiKey): Lease => {
      let isOver = false
      return {
        key,
        settle: (verdict) =>
          Effect.uninterruptible(
            Effect.suspend(() => {
              if (isOver) return Effect.void
              isOver = true
              return Effect.zipRight(ledger.end(grant, verdict), attendant.ring)
            })
          )
      }
    }

    /** A key of the pool that is shared; none where this process has removed it between the question and the answer. */
    const sharedLease = (
      options: LeaseOptions | undefined,
      interruptibly: Interruptibly
    ): Effect.Effect<Option.Option<Lease>, NoKeyError | RedisError> =>
      Effect.flatMap(attendant.take(options, interruptibly), (grant) =>
        Effect.flatMap(keys, (keys) => {
          const key = keys.find(({ id }) => id === grant.key)
          return key === undefined
            ? Effect.as(ledger.withdraw(grant), Option.none())
            : Effect.succeedSome(leaseOf(grant, key))
        })
      )

    /** A key of the pool of this process alone. Its scope is closed where the call gets none, and else never. */
    const spareLease = (options: LeaseOptions, interruptibly: Interruptibly): Effect.Effect<Lease, NoKeyError> =>
      Effect.flatMap(Scopes.make(), (scope) =>
        Effect.onError(interruptibly(Scopes.extend(spare.pool.lease(options), scope)), () =>
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
            provider: providerId,
            model: "",
            attempts: [],
            reason: error.reason,
            message: `The keys for ${providerId} are shared through Redis, which is out of reach: ${error.detail}. Bring it back, or let the pool go on without it (whenAway).`
          })
        )
      }
      const longest = options?.maxWait === undefined ? maxWait : Duration.toMillis(options.maxWait)
      return spareLease({ ...options, maxWait: Duration.millis(Math.max(0, longest - waited)) }, interruptibly)
    }

    const obtain = (
      options: LeaseOptions | undefined,
      interruptibly: Interruptibly
    ): Effect.Effect<Lease, NoKeyError> =>
      Effect.flatMap(Effect.clock, (clock) => {
        const startedAt = MonotonicClock.now(clock)
        return sharedLease(options, interruptibly).pipe(
          Effect.flatMap(
            Option.match({ onNone: () => obtain(options, interruptibly), onSome: (lease) => Effect.succeed(lease) })
          ),
          Effect.catchTag("RedisError", (error) =>
            withoutRedis(error, options, MonotonicClock.now(clock) - startedAt, interruptibly)
          )
        )
      })

    /** Changes a key for all processes, and says whether this one has it. */
    const change = (
      id: string,
      step: ChangeRequest["change"],
      amount: number | undefined,
      spared: Effect.Effect<unknown>
    ): Effect.Effect<boolean> =>
      Effect.uninterruptible(
        Effect.flatMap(keys, (keys) =>
          keys.some((key) => key.id === id)
            ? Effect.as(
                Effect.zipRight(
                  spared,
                  Effect.zipRight(
                    ledger.tell(shared.change({ key: id, change: step, ...(amount === undefined ? {} : { amount }) })),
                    attendant.ring
                  )
                ),
                true
              )
            : Effect.succeed(false)
        )
      )

    const add = (input: KeyInput): Effect.Effect<string, InvalidPoolError> =>
      Effect.flatMap(
        Ref.modify(roster, (present): readonly [Admission.Checked<ReadonlyArray<ApiKey>>, ReadonlyArray<ApiKey>] => {
          const admission = Admission.keys([input], present, () => "key")
          return [admission, admission.faults.length > 0 ? present : [...present, ...admission.value]]
        }),
        ({ faults, value: [key] }) =>
          key === undefined || faults.length > 0
            ? Effect.fail(invalid(faults))
            : Effect.as(
                Effect.zipRight(spare.add(key), Effect.zipRight(ledger.tell(shared.register), attendant.ring)),
                key.id
              )
      )

    return {
      providerId,
      acquire: (options) => Effect.uninterruptible(obtain(options, Effect.interruptible)),
      lease: (options) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.tap(obtain(options, restore), ({ settle }) => Effect.addFinalizer(() => settle(Verdict.Neutral())))
        ),
      withKey: (use, options) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Effect.zip(obtain(options, restore), Effect.clock), ([{ key, settle }, clock]) => {
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
      status: Effect.flatMap(attendant.waiting, (waiting) =>
        Effect.matchEffect(shared.reports, {
          onSuccess: (reports) =>
            Effect.succeed({
              providerId,
              keys: reports.map(([key, report]) => Report.statusOf(key, report)),
              waiting,
              degraded: false
            }),
          onFailure: () =>
            Effect.map(spare.pool.status, (status) => ({
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
            spare.pool.remove(id),
            Effect.zipLeft(
              Ref.modify(roster, (keys) => [keys.some((key) => key.id === id), keys.filter((key) => key.id !== id)]),
              attendant.ring
            )
          )
        ),
      reweight: (id, weight) =>
        Admission.isWeight(weight)
          ? Effect.flatMap(
              Effect.zipRight(
                Ref.update(roster, (keys) => keys.map((key) => (key.id === id ? { ...key, weight } : key))),
                change(id, "reweight", weight, Effect.ignore(spare.pool.reweight(id, weight)))
              ),
              (found) => (found ? Effect.void : Effect.fail(invalid([`id: the pool has no key "${id}"`])))
            )
          : Effect.suspend(() => Effect.fail(invalid([Admission.wrongWeight]))),
      enable: (id) => change(id, "enable", undefined, spare.pool.enable(id)),
      disable: (id) => change(id, "disable", undefined, spare.pool.disable(id)),
      rest: (id, duration) =>
        Effect.asVoid(change(id, "rest", finite(Duration.toMillis(duration)), spare.pool.rest(id, duration)))
    }
  })

const finiteAll = ({ base, factor, latencyDecay, max, quota, refused }: Remedies): Remedies => ({
  base: finite(base),
  factor,
  latencyDecay,
  max: finite(max),
  quota: finite(quota),
  refused: finite(refused)
})
