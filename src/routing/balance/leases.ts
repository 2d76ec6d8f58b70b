/** The leases around the state of a balance: leases of deployments, each given back exactly once. */
import { Duration, Effect, Option, Ref } from "effect"
import type { Verdict } from "./model.js"
import type { Notice } from "./health.js"
import * as BalanceHealth from "./health.js"
import type { BalanceState, Denied, Granted, Wish } from "./state.js"
import * as State from "./state.js"
import type { DeploymentSet } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"
import * as WaitQueue from "../../internal/waitQueue.js"

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

export interface DeploymentLeases {
  /**
   * Picks and reserves a deployment in one step, or waits in line for one, `longest` milliseconds at the most. Run it where the
   * fiber cannot be interrupted: the wait, and nothing else of it, is interruptible even there, so that none is ever lost.
   */
  readonly acquire: (wish: DeploymentSets.Wish, longest: number) => Effect.Effect<Lease, Denied>
  /** Changes one deployment. */
  readonly change: (position: number, f: (deploymentSet: DeploymentSet) => DeploymentSet) => Effect.Effect<void>
  /** The state as it is now, and the wall-clock time at which its time was 0. */
  readonly now: Effect.Effect<{ readonly state: BalanceState; readonly epoch: number }>
}

/** The other balances that have the same deployments. */
interface Company {
  readonly health: BalanceHealth.Service
  /** What this balance is called among them. */
  readonly author: string
}

export const make = (deploymentSet: DeploymentSet): Effect.Effect<DeploymentLeases> => {
  const ids = deploymentSet.deployments.map(({ load }) => load.id)
  return Effect.flatMap(Effect.serviceOption(BalanceHealth.BalanceHealth), (found) => {
    if (Option.isNone(found))
      return Effect.map(WaitQueue.make(State.make(deploymentSet)), (shared) => serve(shared, ids, undefined))
    const company: Company = { health: found.value, author: crypto.randomUUID() }
    return Effect.map(WaitQueue.make(State.make(deploymentSet), hearing(company)), (shared) =>
      serve(shared, ids, company)
    )
  })
}

/** Others are heard before each step. */
const hearing =
  ({ author, health }: Company) =>
  (origin: number): WaitQueue.Incoming<BalanceState> =>
    Effect.map(health.notices, (notices) => (state, now) => State.hear(state, now, notices, author, origin))

const serve = (
  { origin, ref, step, timeOf, waitInQueue }: WaitQueue.SharedState<BalanceState>,
  ids: ReadonlyArray<string>,
  company: Company | undefined
): DeploymentLeases => {
  /** Takes a step, and goes on with what others should know of it. */
  const changeThen = (
    position: number,
    f: (deploymentSet: DeploymentSet) => DeploymentSet,
    next: (notice: Notice | undefined, company: Company) => Effect.Effect<void>
  ): Effect.Effect<void> =>
    Effect.uninterruptible(
      company === undefined
        ? step((state, now) => State.change(state, now, f), Effect.succeed)
        : step(
            (state, now) => State.changeOne(state, now, position, f),
            (news) =>
              next(
                news === undefined ? undefined : { ...news, until: origin + news.until, author: company.author },
                company
              )
          )
    )

  const idOf = (position: number): string => ids[position] ?? ""

  const change: DeploymentLeases["change"] = (position, f) =>
    changeThen(position, f, (notice, { health }) =>
      notice === undefined ? Effect.void : health.tell(idOf(position), notice)
    )

  const lease = ({ behind, hold, probes }: Granted): Effect.Effect<Lease, Denied> =>
    Effect.sync(() => {
      const { position } = hold
      let isOver = false
      let isProbe = probes
      /** A probe is over when it has found something out, and with its call at the latest. */
      const told = (f: (deploymentSet: DeploymentSet) => DeploymentSet, isLast: boolean): Effect.Effect<void> =>
        Effect.suspend(() =>
          isProbe
            ? changeThen(position, f, (notice, { author, health }) => {
                if (notice === undefined && !isLast) return Effect.void
                isProbe = false
                return health.proved(idOf(position), author, notice)
              })
            : change(position, f)
        )
      const end = (f: (deploymentSet: DeploymentSet) => DeploymentSet): Effect.Effect<void> =>
        Effect.suspend(() => {
          if (isOver) return Effect.void
          isOver = true
          return told(f, true)
        })
      const elapsed = (deploymentSet: DeploymentSet): number => deploymentSet.now - hold.startedAt
      return {
        position,
        behind,
        answered: told((deploymentSet) => DeploymentSets.answered(deploymentSet, hold, elapsed(deploymentSet)), false),
        end: (verdict) => end((deploymentSet) => DeploymentSets.settle(deploymentSet, hold, verdict)),
        served: end((deploymentSet) =>
          DeploymentSets.settle(deploymentSet, hold, { _tag: "Served", latency: elapsed(deploymentSet) })
        )
      }
    })

  /** Of all balances, one call finds out whether a deployment is good again; whoever comes second looks for another one. */
  const admitted = (granted: Granted, again: Effect.Effect<Lease, Denied>): Effect.Effect<Lease, Denied> => {
    if (company === undefined || !granted.probes) return lease(granted)
    const { position } = granted.hold
    return Effect.flatMap(company.health.probe(idOf(position), company.author), (permission) =>
      permission._tag === "Granted"
        ? lease(granted)
        : Effect.zipRight(
            changeThen(
              position,
              (deploymentSet) =>
                DeploymentSets.postpone(
                  deploymentSet,
                  granted.hold,
                  deploymentSet.now + Math.max(briefest, Duration.toMillis(permission.again))
                ),
              // That is not its own news.
              () => Effect.void
            ),
            again
          )
    )
  }

  const acquire = (wish: Wish): Effect.Effect<Lease, Denied> => {
    const conclude = (answer: Granted | Denied): Effect.Effect<Lease, Denied> =>
      answer._tag === "Granted"
        ? admitted(
            answer,
            Effect.suspend(() => acquire(wish))
          )
        : Effect.fail(answer)
    return step(
      (state, now) => State.ask(state, now, wish),
      (answer) =>
        answer._tag === "NotQueued"
          ? waitInQueue<Granted | Denied, Lease, Denied, never>(
              {
                join: (state, now, wakeup) => State.queue(state, now, wish, wakeup),
                look: State.look,
                giveUp: State.giveUp
              },
              Effect.interruptible,
              conclude
            )
          : conclude(answer)
    )
  }

  return {
    acquire: ({ affinity, exclude }, longest) =>
      Effect.uninterruptible(
        Effect.clockWith((clock) => acquire({ exclude, affinity, deadline: timeOf(clock) + longest }))
      ),
    change,
    now: Effect.clockWith((clock) =>
      Effect.zipWith(Ref.get(ref), company?.health.notices ?? unheard, (told, notices) => {
        const now = timeOf(clock)
        const state = company === undefined ? told : State.hear(told, now, notices, company.author, origin)[1]
        const advanced = { ...state, deploymentSet: DeploymentSets.advance(state.deploymentSet, now) }
        return { state: advanced, epoch: clock.unsafeCurrentTimeMillis() - now }
      })
    )
  }
}

/** In milliseconds: what may be asked again at once would be asked for ever. */
const briefest = 1

const unheard: Effect.Effect<State.Notices> = Effect.succeed(new Map())
