/** The rim around the state of a balance: leases of deployments, each given back exactly once. */
import { Effect, Ref } from "effect"
import type { Verdict } from "../Balance.js"
import type { BalanceState, Denied, Granted, Wish } from "./balanceState.js"
import * as State from "./balanceState.js"
import type { Fleet } from "./fleet.js"
import * as Fleets from "./fleet.js"
import * as Turns from "./turns.js"

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

export const make = (fleet: Fleet): Effect.Effect<Rim> => Effect.map(Turns.make(State.make(fleet)), serve)

const serve = ({ attend, ref, step, timeOf }: Turns.Rim<BalanceState>): Rim => {
  const change = (f: (fleet: Fleet) => Fleet): Effect.Effect<void> =>
    Effect.uninterruptible(step((state, now) => State.change(state, now, f), Effect.succeed))

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
      const conclude = (answer: Granted | Denied): Effect.Effect<Lease, Denied> =>
        answer._tag === "Granted" ? lease(answer) : Effect.fail(answer)
      return Effect.uninterruptible(
        step(
          (state, now) => State.ask(state, now, wishAt(now)),
          (answer) =>
            answer._tag === "Unready"
              ? attend<Granted | Denied, Lease, Denied, never>(
                  {
                    join: (state, now, bell) => State.queue(state, now, wishAt(now), bell),
                    look: State.look,
                    giveUp: State.giveUp
                  },
                  Effect.interruptible,
                  conclude
                )
              : conclude(answer)
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
