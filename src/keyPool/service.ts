/** A pool of keys as a service: transitions of its state, and leases that are settled exactly once. */
import type { Clock } from "effect"
import { Cause, Duration, Effect, Either, Option, Random } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type {
  InvalidPoolError,
  KeyInput,
  LeaseOptions,
  ModelViewOptions,
  NoKeyError,
  Options,
  Service,
  UnsafeLease
} from "./model.js"
import type { Strategy, Verdict } from "./model.js"
import * as PoolOptions from "./options.js"
import type { KeySet } from "./keySet.js"
import * as KeySets from "./keySet.js"
import type { KeyReservation, View } from "./key.js"
import type { Affinity } from "./ranking.js"
import type { AcquireRequest, PoolState } from "./state.js"
import * as Pool from "./state.js"
import { denial, queueFull, status } from "./report.js"
import { synchronously } from "../internal/clock.js"
import * as Rendezvous from "../internal/rendezvous.js"
import type { Interruptibly, SharedState } from "../internal/waitQueue.js"
import * as WaitQueue from "../internal/waitQueue.js"

/** What the public module provides. */
interface Dependencies {
  readonly strategy: Strategy
  readonly verdictOf: (error: unknown) => Verdict
  readonly invalid: (faults: ReadonlyArray<string>) => InvalidPoolError
  /** Faults of options that the pool does not know. @default none */
  readonly faults?: ReadonlyArray<string>
}

/** Shares the keys with other processes: a reservation counts once it holds for all of them. */
export interface Sharing {
  /** Applies what other processes have changed, before a call waits or fails. */
  readonly refresh: Effect.Effect<void, NoKeyError>
  /** Whether a reservation holds for all processes. Otherwise it is withdrawn, and the state says what stands against it. */
  readonly confirm: (reservation: KeyReservation) => Effect.Effect<boolean, NoKeyError>
  /** Notes that the provider has accepted the call of a reservation. */
  readonly accepted: (reservation: KeyReservation) => void
  /** Notes that a reservation has ended, and whether a call was made with it. */
  readonly ended: (reservation: KeyReservation, isUsed: boolean) => void
  /** Notes that a key was added or changed by hand. */
  readonly changed: (id: string) => void
  /** Follows what the other processes know of the keys with the model of a view. */
  readonly addView: (view: View) => void
  /** Sends to the other processes what was noted; what cannot be sent now is sent later. */
  readonly flush: Effect.Effect<void>
  /** The error of a call that gets no key. */
  readonly denied: (error: NoKeyError) => NoKeyError
  /** Asks for the calls of all processes, and returns whether they are unreachable. */
  readonly survey: Effect.Effect<boolean>
}

/** Makes a pool. `share` connects its state with that of other processes. */
export const make = <R = never>(
  options: Options,
  dependencies: Dependencies,
  share?: (state: SharedState<PoolState>) => Effect.Effect<Sharing, never, R>
): Effect.Effect<Service, InvalidPoolError, R> =>
  Effect.gen(function* () {
    const settings = PoolOptions.settings(options)
    const keys = PoolOptions.allKeys(options.keys)
    const faults = [...keys.faults, ...settings.faults, ...(dependencies.faults ?? [])]
    if (faults.length > 0) return yield* Effect.fail(dependencies.invalid(faults))
    const seed = yield* Random.nextInt
    const shared = yield* WaitQueue.make(
      Pool.make(KeySets.make(keys.value, dependencies.strategy, settings.value, seed))
    )
    const sharing = share === undefined ? undefined : yield* share(shared)
    return makeService(options.provider, settings.value, dependencies, shared, sharing)
  })

const noExclusions: ReadonlySet<string> = new Set()

const neutral: Verdict = { _tag: "Neutral" }

const makeService = (
  provider: string,
  settings: PoolOptions.Settings,
  dependencies: Dependencies,
  shared: SharedState<PoolState>,
  sharing: Sharing | undefined,
  ofModel?: View
): Service => {
  let view = ofModel
  if (view !== undefined) sharing?.addView(view)
  const affinityOf = (affinity: string | undefined): Affinity | undefined =>
    affinity === undefined || affinityBound === undefined
      ? undefined
      : { hash: Rendezvous.hash(affinity), bound: affinityBound }
  const { affinityBound, maxQueueLength, maxWait } = settings
  const { step, timeOf, unsafeGet, unsafeStep, waitInQueue } = shared
  /** Reserves a key, waiting if necessary, and continues with it: in one step where a key is ready. */
  const withReservation = <A, E, R>(
    options: LeaseOptions | undefined,
    interruptibly: Interruptibly,
    next: (reservation: KeyReservation) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | NoKeyError, R> => {
    const maxWaitMillis = Math.min(maxWait - millisOf(options?.waited, 0), millisOf(options?.maxWait, Infinity))
    const arrivedAgo = millisOf(options?.arrivedAgo, 0)

    /** `startedAt` is when a call of a shared pool began, which can try several times; `isRefreshed` whether it may wait. */
    const attempt = (startedAt?: number, isRefreshed = sharing === undefined): Effect.Effect<A, E | NoKeyError, R> => {
      const requestAt = (now: number): AcquireRequest => ({
        exclude: options?.exclude ?? noExclusions,
        deadline: (startedAt ?? now) + maxWaitMillis,
        waitsForCooldown: options?.onCooldown !== "fail",
        isFailover: options?.failover === true,
        view,
        affinity: affinityOf(options?.affinity)
      })

      const conclude = (answer: Pool.Answer): Effect.Effect<A, E | NoKeyError, R> => {
        switch (answer._tag) {
          case "Granted":
            return sharing === undefined
              ? next(answer.reservation)
              : Effect.flatMap(sharing.confirm(answer.reservation), (holds) =>
                  holds ? next(answer.reservation) : attempt(startedAt, true)
                )
          case "Denied": {
            const error = denial(provider, answer)
            return Effect.fail(sharing === undefined ? error : sharing.denied(error))
          }
          case "Broken":
            return Effect.die(answer.defect)
        }
      }

      return step(
        (state, now) => Pool.tryAcquire(state, now, requestAt(now)),
        (answer) => {
          if (answer._tag === "Granted") return conclude(answer)
          if (sharing !== undefined && !isRefreshed) {
            return Effect.zipRight(
              sharing.refresh,
              Effect.suspend(() => attempt(startedAt, true))
            )
          }
          if (answer._tag === "Denied") return conclude(answer)
          return Pool.waiting(unsafeGet(), view) >= maxQueueLength
            ? Effect.fail(queueFull(provider, maxQueueLength))
            : Effect.uninterruptible(
                waitInQueue<Pool.Answer, A, E | NoKeyError, R, Pool.Place>(
                  {
                    join: (state, now, wakeup) =>
                      Pool.enqueue(state, now, requestAt(now), wakeup, (startedAt ?? now) - arrivedAgo),
                    look: Pool.look,
                    giveUp: Pool.giveUp
                  },
                  interruptibly,
                  conclude
                )
              )
        }
      )
    }
    return sharing === undefined
      ? attempt()
      : Effect.uninterruptible(Effect.clockWith((clock) => attempt(timeOf(clock))))
  }

  const settle = <A, E>(
    reservation: KeyReservation,
    verdictAfter: (elapsed: number) => Verdict,
    next: Effect.Effect<A, E>
  ): Effect.Effect<A, E> =>
    step(
      (state, now) => Pool.settle(state, now, reservation, verdictAfter),
      () => {
        if (sharing === undefined) return next
        sharing.ended(reservation, true)
        return Effect.zipRight(sharing.flush, next)
      }
    )

  /** Sends a change to the other processes, too. */
  const flushed = <A, E>(change: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    sharing === undefined ? change : Effect.uninterruptible(Effect.zipLeft(change, sharing.flush))

  const makeLease = (granted: KeyReservation): UnsafeLease => {
    let reservation = granted
    let isSettled = false
    const end = (
      clock: Clock.Clock,
      isUsed: boolean,
      take: (state: PoolState, now: number) => Pool.Step<void>
    ): void => {
      if (isSettled) return
      isSettled = true
      unsafeStep(clock, take)
      sharing?.ended(reservation, isUsed)
    }
    const unsafeSettle: UnsafeLease["unsafeSettle"] = (clock, verdict) =>
      end(clock, true, (state, now) => Pool.settle(state, now, reservation, () => verdict))
    const unsafeGiveBack: UnsafeLease["unsafeGiveBack"] = (clock) =>
      end(clock, false, (state, now) => Pool.withdraw(state, now, reservation))
    const unsafeAccept: UnsafeLease["unsafeAccept"] = (clock) => {
      if (isSettled || reservation.isAccepted === true || !KeySets.isTested(unsafeGet().keySet, reservation)) return
      unsafeStep(clock, (state, now) => Pool.accept(state, now, reservation))
      reservation = { ...reservation, isAccepted: true }
      sharing?.accepted(reservation)
    }
    return {
      key: reservation.key,
      settle: (verdict) => flushed(synchronously((clock) => unsafeSettle(clock, verdict))),
      giveBack: flushed(synchronously(unsafeGiveBack)),
      accept: flushed(synchronously(unsafeAccept)),
      unsafeSettle,
      unsafeGiveBack,
      unsafeAccept
    }
  }

  const lease = (reservation: KeyReservation): Effect.Effect<UnsafeLease> => Effect.succeed(makeLease(reservation))

  const changeKeys = <A>(f: (keySet: KeySet) => readonly [A, KeySet]): Effect.Effect<A> =>
    Effect.uninterruptible(step((state, now) => Pool.change(state, now, f), Effect.succeed))

  /** Changes a key and returns whether the pool has it. */
  const changeKey = (id: string, f: (keySet: KeySet) => KeySet): Effect.Effect<boolean> => {
    const change = changeKeys((keySet) => (KeySets.get(keySet, id) === undefined ? [false, keySet] : [true, f(keySet)]))
    return sharing === undefined ? change : flushed(Effect.tap(change, () => Effect.sync(() => sharing.changed(id))))
  }

  const unsafeRest: NonNullable<Service["unsafeRest"]> = (clock, id, duration) => {
    unsafeStep(clock, (state, now) =>
      Pool.change(state, now, (keySet) => [
        undefined,
        KeySets.rest(keySet, id, Duration.toMillis(duration), "resting", view)
      ])
    )
    sharing?.changed(id)
  }

  const ownStatus = Effect.clockWith((clock) =>
    Effect.sync(() => {
      const state = unsafeGet()
      const now = timeOf(clock)
      const keySet = KeySets.advance(state.keySet, now)
      return status(provider, keySet, view, Pool.waiting(state, view), clock.unsafeCurrentTimeMillis() - now)
    })
  )

  const unsafeTryReserve: NonNullable<Service["unsafeTryReserve"]> = (
    clock,
    exclude = noExclusions,
    isFailover = false,
    affinity
  ) => {
    const request = immediate(exclude, isFailover, view, affinityOf(affinity))
    const answer = unsafeStep(clock, (state, now) => Pool.tryAcquire(state, now, request))
    return answer._tag === "Granted" ? makeLease(answer.reservation) : undefined
  }

  const unsafeKeys = (): ReadonlyArray<ApiKey> => KeySets.keys(unsafeGet().keySet, view).map(({ key }) => key)

  return {
    provider,
    reserve: (options) => withReservation(options, Effect.interruptible, lease),
    lease: (options) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.tap(withReservation(options, restore, lease), ({ settle }) => Effect.addFinalizer(() => settle(neutral)))
      ),
    withKey: (use, options) =>
      Effect.uninterruptibleMask((restore) =>
        withReservation(options, restore, (reservation) =>
          Effect.matchCauseEffect(restore(Effect.suspend(() => use(reservation.key))), {
            onSuccess: (value) =>
              settle(reservation, (elapsed) => ({ _tag: "Served", latency: elapsed }), Effect.succeed(value)),
            onFailure: (cause) =>
              settle(
                reservation,
                () =>
                  Option.match(Cause.failureOption(cause), { onNone: () => neutral, onSome: dependencies.verdictOf }),
                Effect.failCause(cause)
              )
          })
        )
      ),
    status:
      sharing === undefined
        ? ownStatus
        : Effect.flatMap(sharing.survey, (degraded) => Effect.map(ownStatus, (status) => ({ ...status, degraded }))),
    keys: Effect.sync(unsafeKeys),
    add: (input) =>
      Effect.flatMap(
        changeKeys((keySet) => addKey(keySet, input)),
        Either.match({
          onLeft: (faults) => Effect.fail(dependencies.invalid(faults)),
          onRight: (id) => {
            if (view?.keys !== undefined) view = { ...view, keys: new Set(view.keys).add(id) }
            if (sharing === undefined) return Effect.succeed(id)
            if (view !== undefined) sharing.addView(view)
            sharing.changed(id)
            return Effect.as(sharing.flush, id)
          }
        })
      ),
    remove: (id) => changeKey(id, (keySet) => KeySets.remove(keySet, id)),
    reweight: (id, weight) =>
      PoolOptions.isWeight(weight)
        ? Effect.flatMap(
            changeKey(id, (keySet) => KeySets.reweight(keySet, id, weight)),
            (exists) => (exists ? Effect.void : Effect.fail(dependencies.invalid([`id: the pool has no key "${id}"`])))
          )
        : Effect.suspend(() => Effect.fail(dependencies.invalid([PoolOptions.wrongWeight]))),
    enable: (id) => changeKey(id, (keySet) => KeySets.enable(keySet, id)),
    disable: (id) => changeKey(id, (keySet) => KeySets.disable(keySet, id)),
    rest: (id, duration) => flushed(synchronously((clock) => unsafeRest(clock, id, duration))),
    ...(sharing === undefined ? { unsafeTryReserve } : {}),
    usesAffinity: affinityBound !== undefined,
    unsafeRest,
    unsafeKeys,
    unsafeAccounts: () => KeySets.accounts(unsafeGet().keySet, view),
    ...(ofModel === undefined
      ? {
          forModel: (model: string, options: ModelViewOptions = {}) =>
            makeService(
              options.name ?? provider,
              withAffinity(settings, options.affinity),
              dependencies,
              shared,
              sharing,
              { model, keys: options.keys }
            )
        }
      : {})
  }
}

const withAffinity = (settings: PoolOptions.Settings, affinity: boolean | undefined): PoolOptions.Settings =>
  affinity === undefined
    ? settings
    : { ...settings, affinityBound: affinity ? (settings.affinityBound ?? PoolOptions.affinityBound) : undefined }

const millisOf = (duration: Duration.DurationInput | undefined, otherwise: number): number =>
  duration === undefined ? otherwise : Duration.toMillis(duration)

/** A request of a call that does not wait. */
const immediate = (
  exclude: ReadonlySet<string>,
  isFailover: boolean,
  view: View | undefined,
  affinity: Affinity | undefined
): AcquireRequest => ({
  exclude,
  deadline: -Infinity,
  waitsForCooldown: false,
  isFailover,
  view,
  affinity
})

const addKey = (keySet: KeySet, input: KeyInput): readonly [Either.Either<string, ReadonlyArray<string>>, KeySet] => {
  const present = KeySets.keys(keySet).map((pooled) => pooled.key)
  const { faults, value } = PoolOptions.keys([input], present, () => "key")
  const [key] = value
  return key === undefined || faults.length > 0
    ? [Either.left(faults), keySet]
    : [Either.right(key.id), KeySets.add(keySet, key)]
}
