/** Counts the requests in flight, and ends them when the gateway shuts down. */
import type { Duration } from "effect"
import type { Exit, Scope } from "effect"
import { Deferred, Effect, Fiber, Ref } from "effect"
import { acquireRelease } from "../../internal/scopedRelease.js"
import * as HttpErrors from "./error.js"

export interface ActiveRequests {
  /** Counts the request while its scope is open. Fails while the gateway is shutting down. */
  readonly admit: Effect.Effect<void, HttpErrors.HttpError, Scope.Scope>
  /** Runs the action at the shutdown deadline, unless the scope is closed by then. */
  readonly onDeadline: (action: Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>
  /** Runs the effect, and interrupts it and fails at the shutdown deadline. */
  readonly withinDeadline: <A, R>(
    effect: Effect.Effect<A, HttpErrors.HttpError, R>
  ) => Effect.Effect<A, HttpErrors.HttpError, R>
  readonly status: Effect.Effect<{ readonly inFlight: number; readonly shuttingDown: boolean }>
  /**
   * Refuses new requests, and waits for those in flight until `grace` has passed. Then it ends them, and waits briefly for their
   * last writes.
   */
  readonly drain: (grace: Duration.DurationInput) => Effect.Effect<void>
}

interface State {
  readonly inFlight: number
  readonly shuttingDown: boolean
}

/** How long requests that were ended at the deadline can take to send their errors. */
const closingTimeout = "1500 millis"

/** The actions to run at the deadline. Every request adds one, so they are kept in one mutable set, without a fiber for each. */
const makeDeadline = () => {
  const actions = new Set<Effect.Effect<void>>()
  let hasPassed = false
  return {
    hasPassed: () => hasPassed,
    add: (action: Effect.Effect<void>) => void actions.add(action),
    remove: (action: Effect.Effect<void>) => void actions.delete(action),
    expire: Effect.suspend(() => {
      hasPassed = true
      return Effect.forEach([...actions], (action) => action, { discard: true, concurrency: "unbounded" })
    })
  }
}

type Deadline = ReturnType<typeof makeDeadline>

/** The exit of the fiber; undefined at the deadline. */
const beforeDeadline = <A, E>(
  fiber: Fiber.RuntimeFiber<A, E>,
  deadline: Deadline
): Effect.Effect<Exit.Exit<A, E> | undefined> =>
  Effect.async((resume) => {
    const stop = (): void => {
      deadline.remove(action)
      fiber.removeObserver(observer)
    }
    const action = Effect.sync(() => {
      stop()
      resume(Effect.succeed(undefined))
    })
    const observer = (exit: Exit.Exit<A, E>): void => {
      deadline.remove(action)
      resume(Effect.succeed(exit))
    }
    if (deadline.hasPassed()) return resume(Effect.succeed(undefined))
    deadline.add(action)
    fiber.addObserver(observer)
    return Effect.sync(stop)
  })

export const make: Effect.Effect<ActiveRequests> = Effect.gen(function* () {
  const state = yield* Ref.make<State>({ inFlight: 0, shuttingDown: false })
  const idle = yield* Deferred.make<void>()
  const deadline = makeDeadline()

  const enter = Effect.flatten(
    Ref.modify(state, (before): readonly [Effect.Effect<void, HttpErrors.HttpError>, State] =>
      before.shuttingDown
        ? [Effect.fail(HttpErrors.shuttingDown), before]
        : [Effect.void, { ...before, inFlight: before.inFlight + 1 }]
    )
  )

  const leave = Effect.flatMap(
    Ref.updateAndGet(state, (before) => ({ ...before, inFlight: before.inFlight - 1 })),
    ({ inFlight, shuttingDown }) => (shuttingDown && inFlight === 0 ? Deferred.succeed(idle, undefined) : Effect.void)
  )

  const close = Effect.flatMap(
    Ref.updateAndGet(state, (before) => ({ ...before, shuttingDown: true })),
    ({ inFlight }) => (inFlight === 0 ? Deferred.succeed(idle, undefined) : Effect.void)
  )

  /** Interruptible, because finalizers run uninterruptible, where a timeout has no effect. */
  const wait = (timeout: Duration.DurationInput) =>
    Effect.timeoutOption(Effect.interruptible(Deferred.await(idle)), timeout)

  return {
    admit: acquireRelease(enter, () => leave),
    onDeadline: (action) =>
      acquireRelease(
        Effect.suspend(() => {
          if (deadline.hasPassed()) return action
          deadline.add(action)
          return Effect.void
        }),
        () => Effect.sync(() => deadline.remove(action))
      ),
    withinDeadline: (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.forkDaemon(restore(effect)), (fiber) =>
          Effect.flatMap(
            Effect.onInterrupt(restore(beforeDeadline(fiber, deadline)), () => Fiber.interrupt(fiber)),
            (exit) => exit ?? Effect.zipRight(Fiber.interrupt(fiber), Effect.fail(HttpErrors.shuttingDown))
          )
        )
      ),
    status: Effect.map(Ref.get(state), ({ inFlight, shuttingDown }) => ({ inFlight, shuttingDown })),
    drain: (grace) =>
      close.pipe(
        Effect.zipRight(wait(grace)),
        Effect.flatMap((idle) =>
          idle._tag === "Some" ? Effect.void : Effect.zipRight(deadline.expire, Effect.asVoid(wait(closingTimeout)))
        )
      )
  }
})
