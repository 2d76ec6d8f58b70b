/** A pool of keys as a service: steps of its state, and leases that are given back exactly once. */
import { Cause, Duration, Effect, Either, Option, Random, Ref } from "effect"
import type { InvalidPoolError, KeyInput, Lease, LeaseOptions, NoKeyError, Options, Service } from "./model.js"
import type { Strategy, Verdict } from "./model.js"
import * as Admission from "./options.js"
import type { KeySet } from "./keySet.js"
import * as Keys from "./keySet.js"
import type { Hold } from "./key.js"
import type { Denied, Granted, PoolState, Wish } from "./state.js"
import * as Pool from "./state.js"
import { denial, status } from "./report.js"
import type { Interruptibly, SharedState } from "../internal/waitQueue.js"
import * as WaitQueue from "../internal/waitQueue.js"

/** What the public module brings. */
interface Terms {
  readonly strategy: Strategy
  readonly verdictOf: (error: unknown) => Verdict
  readonly invalid: (faults: ReadonlyArray<string>) => InvalidPoolError
}

export const make = (options: Options, terms: Terms): Effect.Effect<Service, InvalidPoolError> =>
  Effect.gen(function* () {
    const settings = Admission.settings(options)
    const keys = Admission.allKeys(options.keys)
    const faults = [...keys.faults, ...settings.faults]
    if (faults.length > 0) return yield* Effect.fail(terms.invalid(faults))
    const seed = yield* Random.nextInt
    const shared = yield* WaitQueue.make(Pool.make(Keys.make(keys.value, terms.strategy, settings.value, seed)))
    return serve(options.providerId, settings.value.maxWait, terms, shared)
  })

const noKey: ReadonlySet<string> = new Set()

const neutral: Verdict = { _tag: "Neutral" }

const serve = (
  providerId: string,
  maxWait: number,
  terms: Terms,
  { waitInQueue, ref, step, timeOf }: SharedState<PoolState>
): Service => {
  /** Gets a key, by waiting if need be, and goes on with it. */
  const obtain = <A, E, R>(
    options: LeaseOptions | undefined,
    interruptibly: Interruptibly,
    next: (hold: Hold) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | NoKeyError, R> => {
    const longest = Math.min(maxWait, options?.maxWait === undefined ? Infinity : Duration.toMillis(options.maxWait))
    const wishAt = (now: number): Wish => ({
      exclude: options?.exclude ?? noKey,
      deadline: now + longest,
      patient: options?.cooling !== "fail"
    })

    const conclude = (answer: Granted | Denied): Effect.Effect<A, E | NoKeyError, R> =>
      answer._tag === "Granted" ? next(answer.hold) : Effect.fail(denial(providerId, answer))

    return step(
      (state, now) => Pool.ask(state, now, wishAt(now)),
      (answer) =>
        answer._tag === "NotQueued"
          ? waitInQueue<Granted | Denied, A, E | NoKeyError, R>(
              {
                join: (state, now, wakeup) => Pool.queue(state, now, wishAt(now), wakeup),
                look: Pool.look,
                giveUp: Pool.giveUp
              },
              interruptibly,
              conclude
            )
          : conclude(answer)
    )
  }

  const giveBack = <A, E>(
    hold: Hold,
    judge: (elapsed: number) => Verdict,
    next: Effect.Effect<A, E>
  ): Effect.Effect<A, E> =>
    step(
      (state, now) => Pool.giveBack(state, now, hold, judge),
      () => next
    )

  const lease = (hold: Hold): Effect.Effect<Lease> =>
    Effect.sync(() => {
      let isOver = false
      return {
        key: hold.key,
        settle: (verdict) =>
          Effect.uninterruptible(
            Effect.suspend(() => {
              if (isOver) return Effect.void
              isOver = true
              return giveBack(hold, () => verdict, Effect.void)
            })
          )
      }
    })

  const change = <A>(f: (keySet: KeySet) => readonly [A, KeySet]): Effect.Effect<A> =>
    Effect.uninterruptible(step((state, now) => Pool.change(state, now, f), Effect.succeed))

  /** Changes a key, and says whether it is there. */
  const changeKey = (id: string, f: (keySet: KeySet) => KeySet): Effect.Effect<boolean> =>
    change((keySet) => (Keys.get(keySet, id) === undefined ? [false, keySet] : [true, f(keySet)]))

  return {
    providerId,
    acquire: (options) => Effect.uninterruptible(obtain(options, Effect.interruptible, lease)),
    lease: (options) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.tap(obtain(options, restore, lease), ({ settle }) => Effect.addFinalizer(() => settle(neutral)))
      ),
    withKey: (use, options) =>
      Effect.uninterruptibleMask((restore) =>
        obtain(options, restore, (hold) =>
          Effect.matchCauseEffect(restore(Effect.suspend(() => use(hold.key))), {
            onSuccess: (value) =>
              giveBack(hold, (elapsed) => ({ _tag: "Served", latency: elapsed }), Effect.succeed(value)),
            onFailure: (cause) =>
              giveBack(
                hold,
                () => Option.match(Cause.failureOption(cause), { onNone: () => neutral, onSome: terms.verdictOf }),
                Effect.failCause(cause)
              )
          })
        )
      ),
    status: Effect.clockWith((clock) =>
      Effect.map(Ref.get(ref), (state) => {
        const now = timeOf(clock)
        const keySet = Keys.advance(state.keySet, now)
        return status(providerId, keySet, Pool.waiting(state), clock.unsafeCurrentTimeMillis() - now)
      })
    ),
    keys: Effect.map(Ref.get(ref), ({ keySet }) => Keys.keys(keySet).map(({ key }) => key)),
    add: (input) =>
      Effect.flatMap(
        change((keySet) => added(keySet, input)),
        Either.mapLeft(terms.invalid)
      ),
    remove: (id) => changeKey(id, (keySet) => Keys.remove(keySet, id)),
    reweight: (id, weight) =>
      Admission.isWeight(weight)
        ? Effect.flatMap(
            changeKey(id, (keySet) => Keys.reweight(keySet, id, weight)),
            (found) => (found ? Effect.void : Effect.fail(terms.invalid([`id: the pool has no key "${id}"`])))
          )
        : Effect.suspend(() => Effect.fail(terms.invalid([Admission.wrongWeight]))),
    enable: (id) => changeKey(id, (keySet) => Keys.enable(keySet, id)),
    disable: (id) => changeKey(id, (keySet) => Keys.disable(keySet, id)),
    rest: (id, duration) =>
      Effect.asVoid(changeKey(id, (keySet) => Keys.rest(keySet, id, Duration.toMillis(duration), "resting")))
  }
}

const added = (keySet: KeySet, input: KeyInput): readonly [Either.Either<string, ReadonlyArray<string>>, KeySet] => {
  const present = Keys.keys(keySet).map((pooled) => pooled.key)
  const { faults, value } = Admission.keys([input], present, () => "key")
  const [key] = value
  return key === undefined || faults.length > 0
    ? [Either.left(faults), keySet]
    : [Either.right(key.id), Keys.add(keySet, key)]
}
