/** Leases of deployments, each released exactly once, over the state of a balance. */
import type { Clock } from "effect"
import { Duration, Effect, Option } from "effect"
import type { Verdict } from "./model.js"
import type { Notice } from "./health.js"
import type { HealthStore } from "./health.js"
import { DeploymentHealth } from "./health.js"
import type { AcquireRequest, BalanceState, Denied, Granted } from "./state.js"
import * as State from "./state.js"
import type { Criteria, DeploymentSet } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"
import type { KeyReservation } from "../../keyPool/key.js"
import * as WaitQueue from "../../internal/waitQueue.js"

/** A deployment that a call has reserved. */
export interface Lease {
  readonly position: number
  /** Whether another deployment that the call could use was ready too. */
  readonly hasAlternative: boolean
  readonly reservation: KeyReservation
  readonly clock: Clock.Clock
  isSettled: boolean
  /** Whether the call is the probe of its deployment, and has not ended as such. */
  holdsProbe: boolean
}

/**
 * Leases of deployments. What settles a lease changes the balance at once, or returns the effect that does so where balances share
 * their health. It must be called, and its effect run, uninterruptible.
 */
export interface DeploymentLeases {
  /**
   * Picks and reserves a deployment in one step, or waits in the queue for `maxWait` milliseconds at most. Must run
   * uninterruptible, or a lease could be lost: the wait alone is interruptible even there.
   */
  readonly acquire: (criteria: Criteria, clock: Clock.Clock, maxWait: number) => Effect.Effect<Lease, Denied>
  /** Picks and reserves a deployment at once, if one is ready. Absent where balances share their health. */
  readonly unsafeTryAcquire?: (criteria: Criteria, clock: Clock.Clock) => Lease | undefined
  /** Applies a success, and keeps the deployment. */
  readonly markAnswered: (lease: Lease) => Effect.Effect<void>
  /** Releases the deployment and applies the verdict. Only the first release has an effect. */
  readonly settle: (lease: Lease, verdict: Verdict) => Effect.Effect<void>
  /** Settles with `Served` and the time since the lease was granted. */
  readonly settleServed: (lease: Lease) => Effect.Effect<void>
  /** Changes one deployment. */
  readonly change: (position: number, f: (deploymentSet: DeploymentSet) => DeploymentSet) => Effect.Effect<void>
  /** The current state, and the wall-clock time at which its time was 0. */
  readonly snapshot: Effect.Effect<{ readonly state: BalanceState; readonly epoch: number }>
}

/** The other balances that share the health of deployments. */
interface Peers {
  readonly health: HealthStore
  /** The id of this balance among them. */
  readonly instanceId: string
  /**
   * By position: held while a probe of this balance ends. The next one is requested afterwards. Before, it would be granted to the same
   * balance again, and the end of the one before would release it, so that another balance could probe, too.
   */
  readonly probeGates: ReadonlyArray<Effect.Semaphore>
}

export const make = (deploymentSet: DeploymentSet): Effect.Effect<DeploymentLeases> => {
  const ids = DeploymentSets.all(deploymentSet).map(({ load }) => load.id)
  return Effect.flatMap(Effect.serviceOption(DeploymentHealth), (health) => {
    if (Option.isNone(health))
      return Effect.map(WaitQueue.make(State.make(deploymentSet)), (shared) => makeLeases(shared, ids, undefined))
    return Effect.flatMap(
      Effect.forEach(ids, () => Effect.makeSemaphore(1)),
      (probeGates) => {
        const peers: Peers = { health: health.value, instanceId: crypto.randomUUID(), probeGates }
        return Effect.map(WaitQueue.make(State.make(deploymentSet), applyPeerNotices(peers)), (shared) =>
          makeLeases(shared, ids, peers)
        )
      }
    )
  })
}

/** The transition before every other one: applies the notices of other balances. */
const applyPeerNotices =
  ({ health, instanceId }: Peers) =>
  (origin: number): WaitQueue.Incoming<BalanceState> =>
    Effect.map(health.notices, (notices) => (state, now) => State.applyNotices(state, now, notices, instanceId, origin))

const makeLeases = (
  { origin, step, timeOf, unsafeGet, unsafeStep, waitInQueue }: WaitQueue.SharedState<BalanceState>,
  ids: ReadonlyArray<string>,
  peers: Peers | undefined
): DeploymentLeases => {
  /** Changes a deployment at once, or else continues with the notice for the other balances if its health has changed. */
  const changeThen = (
    clock: Clock.Clock,
    position: number,
    f: (deploymentSet: DeploymentSet) => DeploymentSet,
    next: (notice: Notice | undefined, peers: Peers) => Effect.Effect<void>
  ): Effect.Effect<void> => {
    if (peers === undefined) {
      unsafeStep(clock, (state, now) => State.change(state, now, f))
      return Effect.void
    }
    return step(
      (state, now) => State.changeDeployment(state, now, position, f),
      (healthChange) =>
        next(
          healthChange === undefined
            ? undefined
            : { ...healthChange, until: origin + healthChange.until, author: peers.instanceId },
          peers
        )
    )
  }

  const idOf = (position: number): string => ids[position] ?? ""

  const oneProbe = <A>(position: number, effect: Effect.Effect<A>): Effect.Effect<A> =>
    peers?.probeGates[position]?.withPermits(1)(effect) ?? effect

  const change = (
    clock: Clock.Clock,
    position: number,
    f: (deploymentSet: DeploymentSet) => DeploymentSet
  ): Effect.Effect<void> =>
    changeThen(clock, position, f, (notice, { health }) =>
      notice === undefined ? Effect.void : health.tell(idOf(position), notice)
    )

  const makeLease = (clock: Clock.Clock, { hasAlternative, isProbe, reservation }: Granted): Lease => ({
    position: reservation.position,
    hasAlternative,
    reservation,
    clock,
    isSettled: false,
    holdsProbe: isProbe
  })

  /** A probe ends when it has changed the health of its deployment, and with its call at the latest. */
  const apply = (lease: Lease, f: (deploymentSet: DeploymentSet) => DeploymentSet): Effect.Effect<void> => {
    const { clock, holdsProbe, isSettled, position } = lease
    return holdsProbe
      ? oneProbe(
          position,
          changeThen(clock, position, f, (notice, { health, instanceId }) => {
            if (notice === undefined && !isSettled) return Effect.void
            lease.holdsProbe = false
            return health.proved(idOf(position), instanceId, notice)
          })
        )
      : change(clock, position, f)
  }

  const settleOnce = (lease: Lease, f: (deploymentSet: DeploymentSet) => DeploymentSet): Effect.Effect<void> => {
    if (lease.isSettled) return Effect.void
    lease.isSettled = true
    return apply(lease, f)
  }

  const elapsed = (deploymentSet: DeploymentSet, { startedAt }: KeyReservation): number => deploymentSet.now - startedAt

  const markAnswered: DeploymentLeases["markAnswered"] = (lease) =>
    apply(lease, (deploymentSet) =>
      DeploymentSets.markAnswered(deploymentSet, lease.reservation, elapsed(deploymentSet, lease.reservation))
    )

  const settle: DeploymentLeases["settle"] = (lease, verdict) =>
    settleOnce(lease, (deploymentSet) => DeploymentSets.settle(deploymentSet, lease.reservation, verdict))

  const settleServed: DeploymentLeases["settleServed"] = (lease) =>
    settleOnce(lease, (deploymentSet) =>
      DeploymentSets.settle(deploymentSet, lease.reservation, {
        _tag: "Served",
        latency: elapsed(deploymentSet, lease.reservation)
      })
    )

  /** Only one call of all balances probes a deployment: a call that is refused the probe acquires again. */
  const confirm = (
    clock: Clock.Clock,
    granted: Granted,
    acquireAgain: Effect.Effect<Lease, Denied>
  ): Effect.Effect<Lease, Denied> => {
    if (peers === undefined || !granted.isProbe) return Effect.succeed(makeLease(clock, granted))
    const { position } = granted.reservation
    return Effect.flatMap(oneProbe(position, peers.health.probe(idOf(position), peers.instanceId)), (permission) =>
      permission._tag === "Granted"
        ? Effect.succeed(makeLease(clock, granted))
        : Effect.zipRight(
            changeThen(
              clock,
              position,
              (deploymentSet) =>
                DeploymentSets.postpone(
                  deploymentSet,
                  granted.reservation,
                  deploymentSet.now + Math.max(minRetryDelay, Duration.toMillis(permission.again))
                ),
              // This cooldown concerns no other balance.
              () => Effect.void
            ),
            acquireAgain
          )
    )
  }

  const acquire = (clock: Clock.Clock, request: AcquireRequest): Effect.Effect<Lease, Denied> => {
    const conclude = (answer: Granted | Denied): Effect.Effect<Lease, Denied> =>
      answer._tag === "Granted"
        ? confirm(
            clock,
            answer,
            Effect.suspend(() => acquire(clock, request))
          )
        : Effect.fail(answer)
    return step(
      (state, now) => State.tryAcquire(state, now, request),
      (answer) =>
        answer._tag === "NotQueued"
          ? waitInQueue<Granted | Denied, Lease, Denied, never>(
              {
                join: (state, now, wakeup) => State.enqueue(state, now, request, wakeup),
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
    acquire: ({ affinity, exclude }, clock, maxWait) =>
      acquire(clock, { exclude, affinity, deadline: timeOf(clock) + maxWait }),
    ...(peers === undefined
      ? {
          unsafeTryAcquire: ({ affinity, exclude }, clock) => {
            const request = { exclude, affinity, deadline: -Infinity }
            const answer = unsafeStep(clock, (state, now) => State.tryAcquire(state, now, request))
            return answer._tag === "Granted" ? makeLease(clock, answer) : undefined
          }
        }
      : {}),
    markAnswered,
    settle,
    settleServed,
    change: (position, f) => Effect.uninterruptible(Effect.clockWith((clock) => change(clock, position, f))),
    snapshot: Effect.clockWith((clock) =>
      Effect.zipWith(Effect.sync(unsafeGet), peers?.health.notices ?? noNotices, (before, notices) => {
        const now = timeOf(clock)
        const state =
          peers === undefined ? before : State.applyNotices(before, now, notices, peers.instanceId, origin)[1]
        const advanced = { ...state, deploymentSet: DeploymentSets.advance(state.deploymentSet, now) }
        return { state: advanced, epoch: clock.unsafeCurrentTimeMillis() - now }
      })
    )
  }
}

/** In milliseconds: a probe that is refused with `again` 0 must not be requested in a loop. */
const minRetryDelay = 1

const noNotices: Effect.Effect<State.Notices> = Effect.succeed(new Map())
