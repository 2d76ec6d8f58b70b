/** The rim around the state of a balance: it reads the clock, takes one step at a time in a `Ref`, and rings bells. */
import type { Clock } from "effect"
import { Deferred, Effect, Fiber, Ref } from "effect"
import type { Verdict } from "../Balance.js"
import type { BalanceState, Bell, Denied, Granted, Step, Waiting, Wish } from "./balanceState.js"
import * as State from "./balanceState.js"
import type { Fleet } from "./fleet.js"
import * as Fleets from "./fleet.js"

/** A deployment in the hands of a call. */
export interface Lease {
  readonly position: number
  /** Whether another deployment that the call could use was ready too. */
  readonly behind: boolean
  /** Says that the call has been answered so far, and keeps the deployment. */
  readonly answered: Effect.Effect<void>
  /** Gives the deployment back with what the call says about it. The first time counts; later ones do nothing. */
  readonly end: (verdict: Verdict) => Effect.Effect<void>
  /** The same for a call that was answered, with the time it took. */
  readonly served: Effect.Effect<void>
}

export interface Rim {
  /**
   * Picks and reserves a deployment in one step, or waits in line for one, `longest` milliseconds at the most. Run it where the
   * fiber cannot be interrupted: the wait, and nothing else of it, is interruptible even there, so that none is ever lost.
   */
  readonly acquire: (wish: Fleets.Wish, longest: number) => Effect.Effect<Lease, Denied>
  readonly change: (f: (fleet: Fleet) => Fleet) => Effect.Effect<void>
  /** The state as it is now, and the wall-clock time at which its time was 0. */
  readonly now: Effect.Effect<{ readonly state: BalanceState; readonly epoch: number }>
}

/** A timer that was set to more than this would never go off. */
const longestTimer = 2 ** 31 - 1

export const make = (fleet: Fleet): Effect.Effect<Rim> =>
  Effect.map(Effect.zip(Ref.make(State.make(fleet)), Effect.clock), ([ref, clock]) =>
    serve(ref, clock.unsafeCurrentTimeNanos())
  )

const serve = (ref: Ref.Ref<BalanceState>, origin: bigint): Rim => {
  /** In milliseconds since the balance was made; it never runs backwards. */
  const timeOf = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos() - origin) / 1e6

  /** Takes a step. Must not be interrupted: a bell that is not rung is a call that waits in vain. */
  const step = <A>(take: (state: BalanceState, now: number) => Step<A>): Effect.Effect<A> =>
    Effect.clockWith((clock) =>
      Effect.flatMap(
        Ref.modify(ref, (state) => take(state, timeOf(clock))),
        ({ bells, value }) => (bells.length === 0 ? Effect.succeed(value) : Effect.as(sound(bells), value))
      )
    )

  const change = (f: (fleet: Fleet) => Fleet): Effect.Effect<void> =>
    Effect.uninterruptible(step((state, now) => State.change(state, now, f)))

  const attend = (
    look: (state: BalanceState, now: number, bell: Bell) => Step<Granted | Denied | Waiting>
  ): Effect.Effect<Granted | Denied> =>
    Effect.flatMap(Deferred.make<void>(), (bell) =>
      Effect.flatMap(
        step((state, now) => look(state, now, bell)),
        (answer) => (answer._tag === "Waiting" ? wait(answer, bell) : Effect.succeed(answer))
      )
    )

  const wait = ({ ticket, until }: Waiting, bell: Bell): Effect.Effect<Granted | Denied> =>
    Effect.zipRight(
      Effect.onError(heard(bell, until), () => step((state, now) => State.giveUp(state, now, ticket))),
      attend((state, now, bell) => State.look(state, now, ticket, bell))
    )

  /** Waits for the bell, which rings by itself when it is time. */
  const heard = (bell: Bell, until: number): Effect.Effect<void> =>
    until === Infinity
      ? Effect.interruptible(Deferred.await(bell))
      : Effect.clockWith((clock) => {
          const millis = Math.min(Math.ceil(until - timeOf(clock)), longestTimer)
          const alarm = Effect.zipRight(Effect.sleep(millis), Deferred.succeed(bell, undefined))
          return Effect.flatMap(Effect.fork(Effect.interruptible(alarm)), (timer) =>
            Effect.ensuring(Effect.interruptible(Deferred.await(bell)), Fiber.interrupt(timer))
          )
        })

  const lease = ({ behind, hold }: Granted): Effect.Effect<Lease, Denied> =>
    Effect.sync(() => {
      let isOver = false
      const end = (f: (fleet: Fleet) => Fleet): Effect.Effect<void> =>
        Effect.suspend(() => {
          if (isOver) return Effect.void
          isOver = true
          return change(f)
        })
      const elapsed = (fleet: Fleet): number => fleet.now - hold.startedAt
      return {
        position: hold.position,
        behind,
        answered: change((fleet) => Fleets.answered(fleet, hold, elapsed(fleet))),
        end: (verdict) => end((fleet) => Fleets.settle(fleet, hold, verdict)),
        served: end((fleet) => Fleets.settle(fleet, hold, { _tag: "Served", latency: elapsed(fleet) }))
      }
    })

  return {
    acquire: (wish, longest) => {
      const wishAt = (now: number): Wish => ({
        exclude: wish.exclude,
        affinity: wish.affinity,
        deadline: now + longest
      })
      return Effect.uninterruptible(
        step((state, now) => State.ask(state, now, wishAt(now))).pipe(
          Effect.flatMap((answer) =>
            answer._tag === "Unready"
              ? attend((state, now, bell) => State.queue(state, now, wishAt(now), bell))
              : Effect.succeed(answer)
          ),
          Effect.flatMap((answer) => (answer._tag === "Granted" ? lease(answer) : Effect.fail(answer)))
        )
      )
    },
    change,
    now: Effect.clockWith((clock) =>
      Effect.map(Ref.get(ref), (state) => {
        const now = timeOf(clock)
        const advanced = { ...state, fleet: Fleets.advance(state.fleet, now) }
        return { state: advanced, epoch: clock.unsafeCurrentTimeMillis() - now }
      })
    )
  }
}

const sound = (bells: ReadonlyArray<Bell>): Effect.Effect<void> =>
  Effect.forEach(bells, (bell) => Deferred.succeed(bell, undefined), { discard: true })
