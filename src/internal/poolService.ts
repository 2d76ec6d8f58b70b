/** The rim around the state of a pool: it reads the clock, takes one step at a time in a `Ref`, and rings bells. */
import type { Clock } from "effect"
import { Cause, Deferred, Duration, Effect, Either, Exit, Option, Random, Ref } from "effect"
import type {
  InvalidPoolError,
  KeyInput,
  Lease,
  LeaseOptions,
  NoKeyError,
  Options,
  Service,
  Strategy,
  Verdict
} from "../KeyPool.js"
import * as Admission from "./admission.js"
import type { KeyRing } from "./keyRing.js"
import * as Ring from "./keyRing.js"
import type { Hold } from "./pooledKey.js"
import type { Bell, Denied, Granted, PoolState, Step, Waiting } from "./poolState.js"
import * as Pool from "./poolState.js"
import { denial, status } from "./poolStatus.js"

/** What the public module brings. */
interface Terms {
  readonly strategy: Strategy
  readonly verdictOf: (error: unknown) => Verdict
  readonly invalid: (faults: ReadonlyArray<string>) => InvalidPoolError
}

export const make = (options: Options, terms: Terms): Effect.Effect<Service, InvalidPoolError> =>
  Effect.gen(function* () {
    const settings = Admission.settings(options)
    const keys = Admission.keys(options.keys, [], (index) => `keys[${index}]`)
    const faults = [
      ...(options.keys.length === 0 ? ["keys: must have at least one key"] : []),
      ...keys.faults,
      ...settings.faults
    ]
    if (faults.length > 0) return yield* Effect.fail(terms.invalid(faults))
    const seed = yield* Random.nextInt
    const ref = yield* Ref.make(Pool.make(Ring.make(keys.value, terms.strategy, settings.value, seed)))
    const clock = yield* Effect.clock
    return serve(options.providerId, settings.value.maxWait, terms, ref, clock.unsafeCurrentTimeNanos())
  })

type Interruptibly = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A timer that was set to more than this would never go off. */
const longestTimer = 2 ** 31 - 1

const noKey: ReadonlySet<string> = new Set()

const neutral: Verdict = { _tag: "Neutral" }

const serve = (providerId: string, maxWait: number, terms: Terms, ref: Ref.Ref<PoolState>, origin: bigint): Service => {
  /** In milliseconds since the pool was made; it never runs backwards. */
  const timeOf = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos() - origin) / 1e6

  /** Must not be interrupted: a bell that is not rung is a call that waits in vain. */
  const step = <A>(take: (state: PoolState, now: number) => Step<A>): Effect.Effect<A> =>
    Effect.clockWith((clock) =>
      Effect.flatMap(
        Ref.modify(ref, (state) => take(state, timeOf(clock))),
        ({ bells, value }) => (bells.length === 0 ? Effect.succeed(value) : Effect.as(sound(bells), value))
      )
    )

  const obtain = (options: LeaseOptions | undefined, interruptibly: Interruptibly): Effect.Effect<Hold, NoKeyError> => {
    const longest = options?.maxWait === undefined ? maxWait : Duration.toMillis(options.maxWait)
    const wishAt = (now: number): Pool.Wish => ({
      exclude: options?.exclude ?? noKey,
      deadline: now + longest,
      patient: options?.cooling !== "fail"
    })
    return Effect.flatMap(
      step((state, now) => Pool.ask(state, now, wishAt(now))),
      (answer) =>
        answer._tag === "Unready"
          ? attend((bell) => step((state, now) => Pool.queue(state, now, wishAt(now), bell)), interruptibly)
          : conclude(answer)
    )
  }

  const attend = (
    take: (bell: Bell) => Effect.Effect<Granted | Denied | Waiting>,
    interruptibly: Interruptibly
  ): Effect.Effect<Hold, NoKeyError> =>
    Effect.flatMap(Deferred.make<void>(), (bell) =>
      Effect.flatMap(take(bell), (answer) => {
        if (answer._tag !== "Waiting") return conclude(answer)
        const { ticket, until } = answer
        return Effect.zipRight(
          Effect.onError(interruptibly(heard(bell, until)), () =>
            step((state, now) => Pool.giveUp(state, now, ticket))
          ),
          attend((next) => step((state, now) => Pool.look(state, now, ticket, next)), interruptibly)
        )
      })
    )

  /** Waits for the bell, but not past `until`. */
  const heard = (bell: Bell, until: number): Effect.Effect<void> =>
    until === Infinity
      ? Deferred.await(bell)
      : Effect.clockWith((clock) =>
          Effect.raceFirst(Deferred.await(bell), Effect.sleep(Math.min(Math.ceil(until - timeOf(clock)), longestTimer)))
        )

  const conclude = (answer: Granted | Denied): Effect.Effect<Hold, NoKeyError> =>
    answer._tag === "Granted"
      ? Effect.succeed(answer.hold)
      : Effect.suspend(() => Effect.fail(denial(providerId, answer)))

  const giveBack = (hold: Hold, judge: (elapsed: number) => Verdict): Effect.Effect<void> =>
    step((state, now) => Pool.giveBack(state, now, hold, judge))

  const leaseOf = (hold: Hold): Effect.Effect<Lease> =>
    Effect.map(Ref.make(false), (over) => ({
      key: hold.key,
      settle: (verdict) =>
        Effect.uninterruptible(
          Effect.flatMap(Ref.getAndSet(over, true), (already) =>
            already ? Effect.void : giveBack(hold, () => verdict)
          )
        )
    }))

  const acquire = (options: LeaseOptions | undefined, interruptibly: Interruptibly) =>
    Effect.flatMap(obtain(options, interruptibly), leaseOf)

  const judgeExit = (exit: Exit.Exit<unknown, unknown>, elapsed: number): Verdict =>
    Exit.match(exit, {
      onSuccess: () => ({ _tag: "Served", latency: elapsed }),
      onFailure: (cause) => Option.match(Cause.failureOption(cause), { onNone: () => neutral, onSome: terms.verdictOf })
    })

  const change = <A>(f: (ring: KeyRing) => readonly [A, KeyRing]): Effect.Effect<A> =>
    Effect.uninterruptible(step((state, now) => Pool.change(state, now, f)))

  /** Changes a key, and says whether it is there. */
  const changeKey = (id: string, f: (ring: KeyRing) => KeyRing): Effect.Effect<boolean> =>
    change((ring) => (Ring.get(ring, id) === undefined ? [false, ring] : [true, f(ring)]))

  return {
    providerId,
    acquire: (options) => Effect.uninterruptible(acquire(options, Effect.interruptible)),
    lease: (options) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.tap(acquire(options, restore), (lease) => Effect.addFinalizer(() => lease.settle(neutral)))
      ),
    withKey: (use, options) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(obtain(options, restore), (hold) =>
          Effect.onExit(restore(Effect.suspend(() => use(hold.key))), (exit) =>
            giveBack(hold, (elapsed) => judgeExit(exit, elapsed))
          )
        )
      ),
    status: Effect.clockWith((clock) =>
      Effect.map(Ref.get(ref), (state) => {
        const now = timeOf(clock)
        const ring = Ring.advance(state.ring, now)
        return status(providerId, ring, Pool.waiting(state), clock.unsafeCurrentTimeMillis() - now)
      })
    ),
    add: (input) =>
      Effect.flatMap(
        change((ring) => added(ring, input)),
        Either.mapLeft(terms.invalid)
      ),
    remove: (id) => changeKey(id, (ring) => Ring.remove(ring, id)),
    reweight: (id, weight) =>
      Admission.isWeight(weight)
        ? Effect.flatMap(
            changeKey(id, (ring) => Ring.reweight(ring, id, weight)),
            (found) => (found ? Effect.void : Effect.fail(terms.invalid([`id: the pool has no key "${id}"`])))
          )
        : Effect.suspend(() => Effect.fail(terms.invalid([Admission.wrongWeight]))),
    enable: (id) => changeKey(id, (ring) => Ring.enable(ring, id)),
    disable: (id) => changeKey(id, (ring) => Ring.disable(ring, id)),
    rest: (id, duration) =>
      Effect.asVoid(changeKey(id, (ring) => Ring.rest(ring, id, Duration.toMillis(duration), "resting")))
  }
}

const added = (ring: KeyRing, input: KeyInput): readonly [Either.Either<string, ReadonlyArray<string>>, KeyRing] => {
  const present = Ring.keys(ring).map((pooled) => pooled.key)
  const { faults, value } = Admission.keys([input], present, () => "key")
  const [key] = value
  return key === undefined || faults.length > 0
    ? [Either.left(faults), ring]
    : [Either.right(key.id), Ring.add(ring, key)]
}

const sound = (bells: ReadonlyArray<Bell>): Effect.Effect<void> =>
  Effect.forEach(bells, (bell) => Deferred.succeed(bell, undefined), { discard: true })
