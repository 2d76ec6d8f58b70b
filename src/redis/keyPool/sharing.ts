/**
 * Shares the keys of a pool in memory with other processes. The pool decides; a script in Redis confirms each key that it gives to a
 * call, and says what other processes have changed. What a process changes is sent in the background, with the next script.
 */
import type { Clock, Scope } from "effect"
import { Effect, Random, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import type { SharedState } from "../../internal/waitQueue.js"
import type { Health, KeyReservation, Others, PooledKey } from "../../keyPool/key.js"
import * as PooledKeys from "../../keyPool/key.js"
import type { KeySet } from "../../keyPool/keySet.js"
import * as KeySets from "../../keyPool/keySet.js"
import type { Sharing } from "../../keyPool/service.js"
import type { PoolState } from "../../keyPool/state.js"
import * as Pool from "../../keyPool/state.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import type { RedisError } from "../model.js"
import type * as Redis from "../model.js"
import { keyOf } from "../shared/layout.js"
import * as Exchange from "./exchange.js"
import type { Weight } from "./record.js"
import * as Records from "./record.js"

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

/** A call in flight. */
interface Held {
  readonly id: string
  readonly lease: string
  /** When it started, as Redis wrote it. */
  start: string | undefined
  /** The epoch of the record for which it tests the key. */
  testOf: number | undefined
  /** Whether Redis may know it. */
  isSent: boolean
  /** Whether the call has the key, so that its lease is renewed. */
  isConfirmed: boolean
  isAccepted: boolean
  isEnded: boolean
  isUsed: boolean
}

/** What Redis knows of a key, as far as this process knows. */
interface Known {
  readonly version: number
  readonly epoch: number
  readonly health: Health
  readonly weight: number
  readonly byHand: Weight | undefined
  readonly configuredWeight: number
}

/** A record that was sent. */
interface Sent extends Omit<Known, "version"> {
  readonly id: string
}

/** The greatest number of leases that one script renews, because Redis is blocked while a script runs. */
const renewBatchSize = 500

/** How long Redis keeps the state of a pool without a process, in milliseconds. */
const ttl = 7 * 24 * 3_600_000

const noOthers: Others = { inFlight: 0, tests: 0, pacedUntil: -Infinity }

export const make =
  ({ leaseTime, pollInterval, provider, redis, script, share }: Dependencies) =>
  (state: SharedState<PoolState>): Effect.Effect<Sharing, never, Scope.Scope> =>
    Effect.gen(function* () {
      const name = keyOf(redis, { kind: "pool", name: provider, layoutVersion: Exchange.layoutVersion })
      const instance = crypto.randomUUID()
      let token: string | undefined
      /** The number of tokens that this process has known. */
      let tokens = 0
      let since = 0
      /** The time of Redis minus that of the pool; undefined before the first reply. */
      let offset: number | undefined
      let isAway = false
      let isClosed = false
      let isWarned = false
      /** Whether Redis has lost the leases of this process. */
      let isLost = false
      /** Whether a call has started to wait since the last poll. */
      let isAsked = false

      const known = new Map<string, Known>()
      const held = new Map<number, Held>()
      /** The leases that Redis has, by key. */
      const registered = new Map<string, Set<Held>>()
      /** Leases whose end or acceptance Redis does not know yet. */
      const outbox = new Set<Held>()
      /** Keys whose health or weight Redis does not know yet. */
      const dirty = new Set<string>()
      /** Keys that calls of other processes keep from being used. */
      const watched = new Set<string>()
      const unsent = yield* Effect.makeLatch(false)
      const asked = yield* Effect.makeLatch(false)

      const keySetOf = () => state.unsafeGet().keySet
      const ids = () => KeySets.keys(keySetOf()).map(({ id }) => id)

      const knownOf = (id: string, weight = 1): Known => {
        const found = known.get(id)
        if (found !== undefined) return found
        const added: Known = {
          version: 0,
          epoch: 0,
          health: PooledKeys.healthy,
          weight,
          byHand: undefined,
          configuredWeight: weight
        }
        known.set(id, added)
        return added
      }

      const changeKeys = (clock: Clock.Clock, f: (keySet: KeySet) => KeySet): void =>
        state.unsafeStep(clock, (state, now) => Pool.change(state, now, (keySet) => [undefined, f(keySet)]))

      const markChanged = (id: string): void => {
        for (const key of KeySets.groupOf(keySetOf(), id)) {
          const { health, weight } = knownOf(key.id, key.weight)
          if (!Records.isSame(key.health, health) || key.weight !== weight) dirty.add(key.id)
        }
        if (dirty.size > 0) unsent.unsafeOpen()
      }

      const sentOf = (key: PooledKey): Sent => {
        const { byHand, configuredWeight, epoch, health, weight } = knownOf(key.id)
        return {
          id: key.id,
          epoch: Records.startsEpoch(key.health, health) ? epoch + 1 : epoch,
          health: key.health,
          weight: key.weight,
          byHand: key.weight === weight ? byHand : { value: key.weight, configured: configuredWeight },
          configuredWeight
        }
      }

      /** Runs the script with all that is unsent, and applies its reply. Returns the answer to the wish. */
      const exchange = (
        clock: Clock.Clock,
        watch: Iterable<string>,
        wish?: { readonly key: PooledKey; readonly held: Held },
        renewed: ReadonlyArray<Held> = []
      ): Effect.Effect<number, RedisError> =>
        Effect.suspend(() => {
          const index = new Map<string, number>()
          const indexOf = (id: string): number => {
            const present = index.get(id)
            if (present !== undefined) return present
            index.set(id, index.size + 1)
            return index.size
          }
          for (const id of watch) indexOf(id)
          const leases = [...outbox]
          outbox.clear()
          const sent = offset === undefined ? [] : [...dirty]
          for (const id of sent) dirty.delete(id)
          const records = sent.flatMap((id) => {
            const key = KeySets.get(keySetOf(), id)
            return key === undefined ? [] : [sentOf(key)]
          })
          const { starts, maxConcurrency, health } = wish?.key ?? {}
          if (wish !== undefined) wish.held.isSent = true
          for (const lease of renewed) lease.isSent = true
          const request: Omit<Exchange.Request, "ids"> = {
            token: token ?? "",
            newToken: `${instance}:${tokens}`,
            since,
            leaseTime,
            ttl,
            ended: leases
              .filter(({ isEnded }) => isEnded)
              .map(({ id, isUsed, lease, start }) =>
                isUsed || start === undefined ? [indexOf(id), lease] : [indexOf(id), lease, start]
              ),
            accepted: leases.filter(({ isEnded }) => !isEnded).map(({ id, lease }) => [indexOf(id), lease]),
            renewed: renewed.map(({ id, lease }) => [indexOf(id), lease]),
            records: records.map(({ byHand, epoch, health, id }) => [
              indexOf(id),
              knownOf(id).version,
              Records.encode(health, epoch, byHand, offset ?? 0),
              epoch !== knownOf(id).epoch
            ]),
            ...(wish === undefined
              ? {}
              : {
                  wish: {
                    key: indexOf(wish.held.id),
                    lease: wish.held.lease,
                    version: knownOf(wish.held.id).version,
                    maxConcurrency,
                    admission: health?.admission?.limit,
                    limit: starts?.limit,
                    duration: starts?.duration
                  }
                })
          }
          const touched = [...index.keys()]
          const keys = touched.flatMap((id) => [name(`leases:${id}`), name(`tests:${id}`), name(`starts:${id}`)])
          return redis
            .run(
              script,
              [name("state"), name("versions"), ...keys],
              [JSON.stringify({ ...request, ids: touched } satisfies Exchange.Request)]
            )
            .pipe(
              Effect.map((reply) => {
                const answer = reply[4]
                for (const lease of leases) if (lease.isEnded) registered.get(lease.id)?.delete(lease)
                for (const lease of renewed) register(lease)
                if (wish !== undefined && answer === 0) {
                  wish.held.start = starts === undefined ? undefined : reply[1]
                  if (health?.admission !== undefined) wish.held.testOf = knownOf(wish.held.id).epoch
                  register(wish.held)
                }
                learn(clock, reply, touched, records)
                for (const id of sent) markChanged(id)
                return answer
              }),
              Effect.tapError((error) => {
                for (const lease of leases) outbox.add(lease)
                for (const id of sent) dirty.add(id)
                return failed(clock, error)
              })
            )
        })

      const register = (lease: Held): void => {
        // Its end was sent before this reply came.
        if (lease.isEnded && !outbox.has(lease)) return
        const present = registered.get(lease.id)
        if (present === undefined) registered.set(lease.id, new Set([lease]))
        else present.add(lease)
      }

      const learn = (
        clock: Clock.Clock,
        [now, , nextToken, version, , replaced, news, counts]: Exchange.Reply,
        touched: ReadonlyArray<string>,
        records: ReadonlyArray<Sent>
      ): void => {
        offset = now - state.timeOf(clock)
        if (token !== nextToken) {
          if (token !== undefined) forgetRedis()
          token = nextToken
          tokens++
        }
        since = version
        for (const [index, version] of replaced) {
          const record = records.find(({ id }) => id === touched[index - 1])
          if (record !== undefined) known.set(record.id, { ...record, version })
        }
        changeKeys(clock, (before) => {
          let keySet = before
          for (const [id, version, text] of news) keySet = heard(keySet, id, version, text)
          for (const [index, id] of touched.entries()) keySet = counted(keySet, id, counts[index] ?? [0, 0])
          return keySet
        })
        for (const [id] of news) if (KeySets.get(keySetOf(), id) !== undefined) markChanged(id)
      }

      /** Redis has lost its data: everything that this process knows is new to it. */
      const forgetRedis = (): void => {
        const weights = Array.from(known, ([id, { configuredWeight }]) => [id, configuredWeight] as const)
        known.clear()
        for (const [id, weight] of weights) knownOf(id, weight)
        registered.clear()
        for (const id of ids()) markChanged(id)
        isLost = true
        unsent.unsafeOpen()
      }

      /** Applies a record that another process has written. */
      const heard = (keySet: KeySet, id: string, version: number, text: string | null): KeySet => {
        const key = KeySets.get(keySet, id)
        const before = knownOf(id, key?.weight)
        if (key === undefined || before.version === version) return keySet
        const record = Records.decode(text)
        if (record === undefined) {
          known.set(id, { ...before, version, health: PooledKeys.healthy })
          return keySet
        }
        const isNewEpoch = record.epoch > before.epoch
        const theirs = Records.healthOf(record, key.health, isNewEpoch, keySet.sequence, offset ?? 0)
        const { configuredWeight } = before
        const byHand = record.weight
        const weight = byHand?.configured === configuredWeight ? byHand.value : configuredWeight
        known.set(id, { ...before, version, epoch: record.epoch, health: theirs, weight, byHand })
        const health = Records.merge(key.health, before.health, theirs, isNewEpoch)
        const others = isNewEpoch ? { ...key.others, tests: 0 } : key.others
        const next = KeySets.modify(keySet, id, (key) =>
          PooledKeys.withOthers(PooledKeys.withHealth(key, health), others, keySet.now)
        )
        return key.weight !== before.weight || key.weight === weight ? next : KeySets.reweight(next, id, weight)
      }

      /** Applies the calls in flight of all processes with a key. */
      const counted = (keySet: KeySet, id: string, [all, testing]: readonly [number, number]): KeySet => {
        const key = KeySets.get(keySet, id)
        const own = registered.get(id)
        if (key === undefined) {
          watched.delete(id)
          return keySet
        }
        let tests = testing
        if (testing > 0 && own !== undefined) {
          const { epoch } = knownOf(id)
          for (const { isAccepted, testOf } of own) if (testOf === epoch && !isAccepted) tests--
        }
        const inFlight = Math.max(0, all - (own?.size ?? 0))
        const others = { inFlight, tests: Math.max(0, tests), pacedUntil: key.others.pacedUntil }
        const next =
          inFlight === key.others.inFlight && others.tests === key.others.tests
            ? keySet
            : KeySets.modify(keySet, id, (key) => PooledKeys.withOthers(key, others, keySet.now))
        const { availability } = KeySets.get(next, id) ?? key
        const isBlocked =
          (inFlight > 0 && availability === "capped") ||
          (others.tests > 0 && (availability === "probing" || availability === "admitting"))
        if (isBlocked) {
          watched.add(id)
          asked.unsafeOpen()
        } else watched.delete(id)
        return next
      }

      /** Withdraws a reservation. `pause` is how long its key is not tried again. */
      const withdraw = (clock: Clock.Clock, reservation: KeyReservation, pause: number): void =>
        changeKeys(clock, (before) => {
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
        changeKeys(clock, (before) => {
          let keySet = before
          for (const { key } of KeySets.keys(before)) {
            const { maxConcurrency, requestsPerSecond } = key
            keySet = KeySets.modify(keySet, key.id, (pooled) =>
              PooledKeys.withLimits(
                PooledKeys.withOthers(pooled, noOthers, keySet.now),
                // A key has at least one permit; a rate has no minimum.
                maxConcurrency === undefined ? undefined : Math.max(1, Math.floor(maxConcurrency * share)),
                requestsPerSecond === undefined ? undefined : requestsPerSecond * share
              )
            )
          }
          return keySet
        })

      const leave = (clock: Clock.Clock): void => {
        if (isAway) return
        isAway = true
        watched.clear()
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
          const { id } = reservation.key
          const key = KeySets.get(keySetOf(), id)
          if (isStopped() || key === undefined) {
            withdraw(clock, reservation, 0)
            return key === undefined ? Effect.succeed(false) : Effect.fail(unavailable())
          }
          const lease: Held = {
            id,
            lease: `${instance}:${reservation.sequence}`,
            start: undefined,
            testOf: undefined,
            isSent: false,
            isConfirmed: isAway,
            isAccepted: false,
            isEnded: false,
            isUsed: false
          }
          held.set(reservation.sequence, lease)
          if (isAway) return Effect.succeed(true)
          // A call that tests the key can double the number of those that may.
          markChanged(id)
          const { version } = knownOf(id)
          return Effect.matchEffect(exchange(clock, [], { key, held: lease }), {
            onSuccess: (answer) => {
              if (answer === 0) {
                lease.isConfirmed = true
                return Effect.succeed(true)
              }
              held.delete(reservation.sequence)
              // The call may wait now.
              askSoon()
              // News change the state of the key; otherwise only time does, or what the next poll brings.
              const isNews = knownOf(id).version !== version
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
        const keySet = KeySets.withdraw(KeySets.advance(keySetOf(), state.timeOf(clock)), reservation)
        return KeySets.get(keySet, reservation.key.id)?.availability === "ready" ? pollInterval : 0
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
        markChanged(reservation.key.id)
      }

      const flush = Effect.clockWith((clock) =>
        Effect.suspend(() =>
          isAway || (outbox.size === 0 && dirty.size === 0) ? Effect.void : Effect.ignore(exchange(clock, []))
        )
      )

      /** Renews the leases, restores those that Redis has lost, and sends everything else. */
      const beat = Effect.clockWith((clock) =>
        Effect.suspend(() => {
          isLost = false
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
        Effect.suspend(() => (isAway || isClosed ? Effect.void : Effect.ignore(exchange(clock, watched))))
      )

      const pollWhileAsked = Effect.suspend(() => {
        const isIdle = !isAsked && watched.size === 0 && Pool.waiting(state.unsafeGet()) === 0
        isAsked = false
        if (!isIdle) return poll
        asked.unsafeClose()
        return Effect.void
      })

      for (const { id, weight } of KeySets.keys(keySetOf())) knownOf(id, weight)
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
                return isLost ? beat : flush
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
          markChanged(reservation.key.id)
        },
        ended,
        changed: (id) => {
          if (!known.has(id)) {
            knownOf(id, KeySets.get(keySetOf(), id)?.weight)
            since = 0
          }
          markChanged(id)
        },
        flush,
        denied: (error) => (isStopped() ? unavailable() : error),
        survey: Effect.clockWith((clock) =>
          Effect.suspend(() =>
            isAway
              ? Effect.succeed(true)
              : Effect.match(exchange(clock, ids()), { onSuccess: () => false, onFailure: () => true })
          )
        )
      }
    })
