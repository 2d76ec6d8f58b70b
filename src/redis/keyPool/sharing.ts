/**
 * Shares the keys of a pool in memory with other processes. The pool decides; a script in Redis confirms each key that it gives to a
 * call, and says what other processes have changed. What a process changes is sent in the background, with the next script.
 */
import type { Clock, Scope } from "effect"
import { Effect, Random, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import type { SharedState } from "../../internal/waitQueue.js"
import type { KeyReservation, PooledKey, View } from "../../keyPool/key.js"
import * as PooledKeys from "../../keyPool/key.js"
import * as KeySets from "../../keyPool/keySet.js"
import type { Sharing } from "../../keyPool/service.js"
import type { PoolState } from "../../keyPool/state.js"
import * as Pool from "../../keyPool/state.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import type { RedisError } from "../model.js"
import type * as Redis from "../model.js"
import { keyOf } from "../shared/layout.js"
import * as Exchange from "./exchange.js"
import type { Held } from "./replica.js"
import * as Replicas from "./replica.js"

export interface Dependencies {
  readonly redis: Redis.Service
  readonly script: Redis.Script<Exchange.Reply>
  readonly provider: string
  /** In milliseconds. */
  readonly leaseTime: number
  readonly pollInterval: number
  /** The part of each limit that this process uses while Redis is away; undefined fails calls instead. */
  readonly share: number | undefined
}

/** The greatest number of leases that one script renews, because Redis is blocked while a script runs. */
const renewBatchSize = 500

/** How long Redis keeps the state of a pool without a process, in milliseconds. */
const ttl = 7 * 24 * 3_600_000

export const make =
  ({ leaseTime, pollInterval, provider, redis, script, share }: Dependencies) =>
  (state: SharedState<PoolState>): Effect.Effect<Sharing, never, Scope.Scope> =>
    Effect.gen(function* () {
      const name = keyOf(redis, { kind: "pool", name: provider, layoutVersion: Exchange.layoutVersion })
      const instance = crypto.randomUUID()
      let isAway = false
      let isClosed = false
      let isWarned = false
      /** Whether a call has started to wait since the last poll. */
      let isAsked = false

      const held = new Map<number, Held>()
      /** Leases whose end or acceptance Redis does not know yet. */
      const outbox = new Set<Held>()
      const unsent = yield* Effect.makeLatch(false)
      const asked = yield* Effect.makeLatch(false)
      const replica = Replicas.make(state, {
        onBlocked: () => asked.unsafeOpen(),
        onUnsent: () => unsent.unsafeOpen()
      })

      /** Runs the script with all that is unsent, and applies its reply. Returns the answer to the wish. */
      const exchange = (
        clock: Clock.Clock,
        watch: Iterable<string>,
        wish?: { readonly key: PooledKey; readonly held: Held; readonly view: View | undefined },
        renewed: ReadonlyArray<Held> = []
      ): Effect.Effect<number, RedisError> =>
        Effect.suspend(() => {
          const index = new Map<string, number>()
          const indexOf = (subject: string): number => {
            const present = index.get(subject)
            if (present !== undefined) return present
            index.set(subject, index.size + 1)
            return index.size
          }
          for (const subject of watch) indexOf(subject)
          const leases = [...outbox]
          outbox.clear()
          const records = replica.takeRecords()
          for (const lease of renewed) lease.isSent = true
          const { since, token, tokens } = replica.position()
          const testsOf = ({ lease, tests }: Held) =>
            tests.map(({ subject }): readonly [number, string] => [indexOf(subject), lease])
          const request: Omit<Exchange.Request, "subjects"> = {
            token,
            newToken: `${instance}:${tokens}`,
            since,
            leaseTime,
            ttl,
            ended: leases
              .filter(({ isEnded }) => isEnded)
              .flatMap((held) => {
                const { id, isUsed, lease, start } = held
                const ended: Exchange.Request["ended"][number] =
                  isUsed || start === undefined ? [indexOf(id), lease] : [indexOf(id), lease, start]
                return [ended, ...testsOf(held)]
              }),
            accepted: leases.filter(({ isEnded }) => !isEnded).flatMap(testsOf),
            renewed: renewed.map(({ id, lease }) => [indexOf(id), lease]),
            testing: renewed.flatMap(testsOf),
            records: records.map(({ isNewEpoch, replaces, subject, text }) => [
              indexOf(subject),
              replaces,
              text,
              isNewEpoch
            ]),
            ...(wish === undefined ? {} : { wish: wishOf(wish, indexOf) })
          }
          const subjects = [...index.keys()]
          const keys = subjects.flatMap((subject) => [
            name(`leases:${subject}`),
            name(`tests:${subject}`),
            name(`starts:${subject}`)
          ])
          return redis
            .run(
              script,
              [name("state"), name("versions"), ...keys],
              [JSON.stringify({ ...request, subjects } satisfies Exchange.Request)]
            )
            .pipe(
              Effect.map((reply) => {
                const answer = reply[4]
                for (const lease of leases) if (lease.isEnded) replica.unregister(lease)
                for (const lease of renewed) register(lease)
                if (wish !== undefined && answer === 0) {
                  wish.held.start = wish.key.starts === undefined ? undefined : reply[1]
                  register(wish.held)
                }
                replica.learn(clock, reply, subjects, records)
                return answer
              }),
              Effect.tapError((error) => {
                for (const lease of leases) outbox.add(lease)
                replica.returnRecords(records)
                return failed(clock, error)
              })
            )
        })

      /** The lease that a call needs. The lease tests the subjects that take few calls after a cooldown. */
      const wishOf = (
        { held, key, view }: { readonly key: PooledKey; readonly held: Held; readonly view: View | undefined },
        indexOf: (subject: string) => number
      ): Exchange.Wish => {
        const { id, lease } = held
        const healths = [{ subject: id, health: key.health }]
        if (view !== undefined) {
          healths.push({
            subject: Replicas.subjectOf(id, view),
            health: KeySets.healthOf(replica.keySetOf(), key, view)
          })
        }
        held.isSent = true
        held.tests = healths.flatMap(({ health, subject }) =>
          health.admission === undefined ? [] : [{ subject, epoch: replica.epoch(subject) }]
        )
        return {
          key: indexOf(id),
          lease,
          checks: healths.map(({ health: { admission }, subject }) => ({
            subject,
            version: replica.version(subject),
            test: admission && ([indexOf(subject), admission.limit] as const)
          })),
          maxConcurrency: key.maxConcurrency,
          limit: key.starts?.limit,
          duration: key.starts?.duration
        }
      }

      const register = (lease: Held): void => {
        // Its end can have been sent before this reply came.
        if (!lease.isEnded || outbox.has(lease)) replica.register(lease)
      }

      /** Withdraws a reservation. `pause` is how long its key is not tried again. */
      const withdraw = (clock: Clock.Clock, reservation: KeyReservation, pause: number): void =>
        replica.changeKeys(clock, (before) => {
          const keySet = KeySets.withdraw(before, reservation)
          return pause === 0
            ? keySet
            : KeySets.modify(keySet, reservation.key.id, (key) =>
                PooledKeys.withOthers(key, { ...key.others, pacedUntil: keySet.now + pause }, keySet.now)
              )
        })

      const sharedStateError = (reason: RedisError["reason"], detail: string): SharedStateError =>
        new SharedStateError({
          provider,
          model: "",
          attempts: [],
          reason,
          message: `The keys for ${provider} are shared through Redis, which is unavailable (${detail}). Restore Redis, or set whenAway to a share so that the pool continues without it.`
        })

      const unavailable = (): SharedStateError =>
        sharedStateError("connection", isClosed ? "the pool is closed" : "Redis is away")

      /** Whether calls get no key. */
      const isStopped = () => isClosed || (isAway && share === undefined)

      /** The limits of all keys: those of all processes, or the share of this one. */
      const limitKeys = (clock: Clock.Clock, share: number): void =>
        replica.changeKeys(clock, (before) => {
          let keySet = before
          const alone = (key: PooledKey): PooledKey => PooledKeys.withOthers(key, PooledKeys.noOthers, before.now)
          for (const { key } of KeySets.keys(before)) {
            const { maxConcurrency, requestsPerSecond } = key
            keySet = KeySets.modify(
              keySet,
              key.id,
              (pooled) =>
                PooledKeys.withLimits(
                  alone(pooled),
                  // A key has at least one permit; a rate has no minimum.
                  maxConcurrency === undefined ? undefined : Math.max(1, Math.floor(maxConcurrency * share)),
                  requestsPerSecond === undefined ? undefined : requestsPerSecond * share
                ),
              alone
            )
          }
          return keySet
        })

      const leave = (clock: Clock.Clock): void => {
        if (isAway) return
        isAway = true
        replica.stopWatching()
        if (share === undefined) state.unsafeStep(clock, Pool.refuseAll)
        else limitKeys(clock, share)
      }

      const comeBack = (clock: Clock.Clock): void => {
        if (!isAway) return
        isAway = false
        limitKeys(clock, 1)
      }

      /** The connection logs that Redis is away; a failing script fails for every call, so it is logged once. */
      const failed = (clock: Clock.Clock, error: RedisError): Effect.Effect<void> =>
        Effect.flatMap(redis.status, (status) => {
          if (status === "away") leave(clock)
          if (error.reason !== "script" || isWarned) return Effect.void
          isWarned = true
          return Effect.logError(`The key pool of ${provider} cannot share its keys: ${error.message}`)
        })

      const confirm: Sharing["confirm"] = (reservation) =>
        Effect.clockWith((clock) => {
          const { view } = reservation
          const { id } = reservation.key
          const key = KeySets.get(replica.keySetOf(), id)
          if (isStopped() || key === undefined) {
            withdraw(clock, reservation, 0)
            return key === undefined ? Effect.succeed(false) : Effect.fail(unavailable())
          }
          const lease: Held = {
            id,
            lease: `${instance}:${reservation.sequence}`,
            start: undefined,
            tests: [],
            isSent: false,
            isConfirmed: isAway,
            isAccepted: false,
            isEnded: false,
            isUsed: false
          }
          held.set(reservation.sequence, lease)
          if (isAway) return Effect.succeed(true)
          // A call that tests the key can double the number of those that may.
          replica.changedBy(reservation)
          const subjects = view === undefined ? [id] : [id, Replicas.subjectOf(id, view)]
          const versions = subjects.map(replica.version)
          return Effect.matchEffect(exchange(clock, [], { key, held: lease, view }), {
            onSuccess: (answer) => {
              if (answer === 0) {
                lease.isConfirmed = true
                return Effect.succeed(true)
              }
              held.delete(reservation.sequence)
              // The call may wait now.
              askSoon()
              // News change the state of the key; otherwise only time does, or what the next poll brings.
              const isNews = subjects.some((subject, index) => replica.version(subject) !== versions[index])
              withdraw(clock, reservation, answer > 0 ? answer : isNews ? 0 : blockedPause(clock, reservation))
              return Effect.succeed(false)
            },
            onFailure: (error) => {
              if (error.reason === "script" && share !== undefined) {
                lease.isConfirmed = true
                return Effect.succeed(true)
              }
              ended(reservation, false)
              withdraw(clock, reservation, 0)
              return share === undefined
                ? Effect.fail(sharedStateError(error.reason, error.detail))
                : Effect.succeed(false)
            }
          })
        })

      /** The pause of a key that was refused, where the calls in flight that are known do not explain it. */
      const blockedPause = (clock: Clock.Clock, reservation: KeyReservation): number => {
        const keySet = KeySets.withdraw(KeySets.advance(replica.keySetOf(), state.timeOf(clock)), reservation)
        const key = KeySets.get(keySet, reservation.key.id)
        return key && KeySets.asSeen(keySet, key, reservation.view).availability === "ready" ? pollInterval : 0
      }

      const ended: Sharing["ended"] = (reservation, isUsed) => {
        const lease = held.get(reservation.sequence)
        if (lease !== undefined) {
          held.delete(reservation.sequence)
          lease.isEnded = true
          lease.isUsed = isUsed
          if (lease.isSent) outbox.add(lease)
          unsent.unsafeOpen()
        }
        replica.changedBy(reservation)
      }

      const flush = Effect.clockWith((clock) =>
        Effect.suspend(() =>
          isAway || (outbox.size === 0 && !replica.hasUnsent()) ? Effect.void : Effect.ignore(exchange(clock, []))
        )
      )

      /** Renews the leases, restores those that Redis has lost, and sends everything else. */
      const beat = Effect.clockWith((clock) =>
        Effect.suspend(() => {
          replica.restored()
          const leases = [...held.values()].filter(({ isConfirmed }) => isConfirmed)
          const batches = Math.max(1, Math.ceil(leases.length / renewBatchSize))
          return Effect.ignore(
            Effect.forEach(
              Array.from({ length: batches }, (_, batch) =>
                leases.slice(batch * renewBatchSize, (batch + 1) * renewBatchSize)
              ),
              (batch) => exchange(clock, [], undefined, batch),
              { discard: true }
            )
          )
        })
      )

      /** Follows the availability of Redis, also where an event was missed. */
      const synchronize = Effect.flatMap(redis.status, (status) =>
        Effect.clockWith((clock) => {
          if (status === "up") comeBack(clock)
          else leave(clock)
          return status === "up" ? beat : Effect.void
        })
      )

      const askSoon = (): void => {
        isAsked = true
        asked.unsafeOpen()
      }

      const poll = Effect.clockWith((clock) =>
        Effect.suspend(() => (isAway || isClosed ? Effect.void : Effect.ignore(exchange(clock, replica.watched))))
      )

      const pollWhileAsked = Effect.suspend(() => {
        const isIdle = !isAsked && replica.watched.size === 0 && Pool.waiting(state.unsafeGet()) === 0
        isAsked = false
        if (!isIdle) return poll
        asked.unsafeClose()
        return Effect.void
      })

      yield* synchronize
      yield* Effect.addFinalizer(() =>
        Effect.zipRight(
          Effect.clockWith((clock) =>
            Effect.sync(() => {
              isClosed = true
              state.unsafeStep(clock, Pool.refuseAll)
            })
          ),
          flush
        )
      )
      yield* inBackground(
        Effect.forever(
          Effect.zipRight(Effect.sleep(Math.min(leaseTime / 3, 60_000)), Effect.uninterruptible(synchronize))
        )
      )
      yield* inBackground(Stream.runForEach(Stream.drop(redis.changes, 1), () => Effect.uninterruptible(synchronize)))
      yield* inBackground(
        Effect.forever(
          Effect.zipRight(
            unsent.await,
            Effect.uninterruptible(
              Effect.suspend(() => {
                unsent.unsafeClose()
                return replica.isLost() ? beat : flush
              })
            )
          )
        )
      )
      yield* inBackground(
        Effect.forever(
          Effect.zipRight(
            asked.await,
            Effect.flatMap(Random.nextRange(0.5, 1), (part) =>
              Effect.zipRight(Effect.sleep(pollInterval * part), Effect.uninterruptible(pollWhileAsked))
            )
          )
        )
      )

      return {
        refresh: Effect.zipRight(
          poll,
          Effect.suspend(() => {
            askSoon()
            return isStopped() ? Effect.fail(unavailable()) : Effect.void
          })
        ),
        confirm,
        accepted: (reservation) => {
          const lease = held.get(reservation.sequence)
          if (lease !== undefined) {
            lease.isAccepted = true
            if (lease.isSent) outbox.add(lease)
          }
          replica.changedBy(reservation)
        },
        ended,
        changed: replica.changed,
        addView: replica.addView,
        flush,
        denied: (error) => (isStopped() ? unavailable() : error),
        survey: Effect.clockWith((clock) =>
          Effect.suspend(() =>
            isAway
              ? Effect.succeed(true)
              : Effect.match(exchange(clock, replica.ids()), { onSuccess: () => false, onFailure: () => true })
          )
        )
      }
    })
