/** What is under way, and how it comes to an end. */
import type { Duration } from "effect"
import { Deferred, Effect, Ref, type Scope } from "effect"
import * as Problem from "./problem.js"

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
  /** What is to be done at the deadline. */
  readonly told: ReadonlySet<Effect.Effect<void>>
}

/** How long those who were told that the time is up may take to say so to their clients. */
const lastWords = "2 seconds"

const without = (all: ReadonlySet<Effect.Effect<void>>, one: Effect.Effect<void>) => {
  const others = new Set(all)
  others.delete(one)
  return others
}

export const make: Effect.Effect<Running> = Effect.gen(function* () {
  const state = yield* Ref.make<State>({ inFlight: 0, shuttingDown: false, told: new Set() })
  const idle = yield* Deferred.make<void>()
  const deadline = yield* Deferred.make<void>()

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

  const timeIsUp = Effect.zipRight(
    Deferred.succeed(deadline, undefined),
    Effect.flatMap(Ref.get(state), ({ told }) =>
      Effect.forEach(told, (tell) => tell, { discard: true, concurrency: "unbounded" })
    )
  )

  return {
    admit: Effect.acquireRelease(enter, () => leave),
    onDeadline: (tell) =>
      Effect.acquireRelease(
        Ref.update(state, (before) => ({ ...before, told: new Set(before.told).add(tell) })),
        () => Ref.update(state, (before) => ({ ...before, told: without(before.told, tell) }))
      ),
    withinDeadline: (effect) =>
      Effect.raceFirst(effect, Effect.zipRight(Deferred.await(deadline), Effect.fail(Problem.shuttingDown))),
    status: Effect.map(Ref.get(state), ({ inFlight, shuttingDown }) => ({ inFlight, shuttingDown })),
    drain: (grace) =>
      close.pipe(
        Effect.zipRight(Effect.timeoutOption(Deferred.await(idle), grace)),
        Effect.flatMap((ended) =>
          ended._tag === "Some"
            ? Effect.void
            : Effect.zipRight(timeIsUp, Effect.asVoid(Effect.timeoutOption(Deferred.await(idle), lastWords)))
        )
      )
  }
})
