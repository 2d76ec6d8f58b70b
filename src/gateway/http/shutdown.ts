/** What is under way, and how it comes to an end. */
import type { Duration } from "effect"
import type { Exit, Scope } from "effect"
import { Deferred, Effect, Fiber, Ref } from "effect"
import { acquireRelease } from "../../internal/scopedRelease.js"
import * as Problem from "./error.js"

export interface Running {
  /** Counts the request for as long as its scope is open. Refused while the gateway is shutting down. */
  readonly admit: Effect.Effect<void, Problem.Problem, Scope.Scope>
  /** Runs when the time is up for what is still under way, unless the scope has been closed before. */
  readonly onDeadline: (tell: Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>
  /** The effect, or the failure that the time is up. */
  readonly withinDeadline: <A, R>(effect: Effect.Effect<A, Problem.Problem, R>) => Effect.Effect<A, Problem.Problem, R>
  readonly status: Effect.Effect<{ readonly inFlight: number; readonly shuttingDown: boolean }>
  /**
   * Takes no more requests, and waits for those under way: for `grace`, then tells them that the time is up, and then for as long
   * as it takes to say so.
   */
  readonly drain: (grace: Duration.DurationInput) => Effect.Effect<void>
}

interface State {
  readonly inFlight: number
  readonly shuttingDown: boolean
}

/** How long those who were told that the time is up may take to say so to their clients. */
const lastWords = "1500 millis"

/** What is to be done at the deadline. Every request is here for a while, so it is neither copied nor awaited by fibers. */
const makeDeadline = () => {
  const told = new Set<Effect.Effect<void>>()
  let isOver = false
  return {
    isOver: () => isOver,
    add: (tell: Effect.Effect<void>) => void told.add(tell),
    remove: (tell: Effect.Effect<void>) => void told.delete(tell),
    pass: Effect.suspend(() => {
      isOver = true
      return Effect.forEach([...told], (tell) => tell, { discard: true, concurrency: "unbounded" })
    })
  }
}

type Deadline = ReturnType<typeof makeDeadline>

/** How the fiber ended; undefined where the deadline came before. */
const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, deadline: Deadline): Effect.Effect<Exit.Exit<A, E> | undefined> =>
  Effect.async((resume) => {
    const stop = (): void => {
      deadline.remove(tell)
      fiber.removeObserver(observer)
    }
    const tell = Effect.sync(() => {
      stop()
      resume(Effect.succeed(undefined))
    })
    const observer = (exit: Exit.Exit<A, E>): void => {
      deadline.remove(tell)
      resume(Effect.succeed(exit))
    }
    if (deadline.isOver()) return resume(Effect.succeed(undefined))
    deadline.add(tell)
    fiber.addObserver(observer)
    return Effect.sync(stop)
  })

export const make: Effect.Effect<Running> = Effect.gen(function* () {
  const state = yield* Ref.make<State>({ inFlight: 0, shuttingDown: false })
  const idle = yield* Deferred.make<void>()
  const deadline = makeDeadline()

  const enter = Effect.flatten(
    Ref.modify(state, (before): readonly [Effect.Effect<void, Problem.Problem>, State] =>
      before.shuttingDown
        ? [Effect.fail(Problem.shuttingDown), before]
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

  /** It runs in finalisers, which are not interruptible, and there a limit of time would have no effect. */
  const wait = (most: Duration.DurationInput) => Effect.timeoutOption(Effect.interruptible(Deferred.await(idle)), most)

  return {
    admit: acquireRelease(enter, () => leave),
    onDeadline: (tell) =>
      acquireRelease(
        Effect.suspend(() => {
          if (deadline.isOver()) return tell
          deadline.add(tell)
          return Effect.void
        }),
        () => Effect.sync(() => deadline.remove(tell))
      ),
    withinDeadline: (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.forkDaemon(restore(effect)), (fiber) =>
          Effect.flatMap(
            Effect.onInterrupt(restore(ended(fiber, deadline)), () => Fiber.interrupt(fiber)),
            (exit) => exit ?? Effect.zipRight(Fiber.interrupt(fiber), Effect.fail(Problem.shuttingDown))
          )
        )
      ),
    status: Effect.map(Ref.get(state), ({ inFlight, shuttingDown }) => ({ inFlight, shuttingDown })),
    drain: (grace) =>
      close.pipe(
        Effect.zipRight(wait(grace)),
        Effect.flatMap((ended) =>
          ended._tag === "Some" ? Effect.void : Effect.zipRight(deadline.pass, Effect.asVoid(wait(lastWords)))
        )
      )
  }
})
