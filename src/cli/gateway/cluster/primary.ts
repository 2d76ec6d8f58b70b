/**
 * The primary process of several workers. It serves nothing itself: it starts the workers, replaces those that end, passes signals
 * and questions on, and keeps what outlives a worker.
 *
 * The workers accept connections themselves, from one listening socket (`SCHED_NONE`). If the primary accepted them and handed the
 * sockets over (`SCHED_RR`, Node's default), a connection on its way to a worker that is killed would be neither served nor
 * closed, and every connection would cost the primary.
 */
import type { FileSystem } from "@effect/platform"
import type { Scope } from "effect"
import { Duration, Effect, Either, Fiber, Option, Queue } from "effect"
import cluster from "node:cluster"
import * as MonotonicClock from "../../../internal/clock.js"
import { durationText } from "../../../internal/durationText.js"
import * as DashboardHistory from "../../../gateway/DashboardHistory.js"
import type { CliFailure } from "../../failure.js"
import type { Settings } from "../settings.js"
import * as Signals from "../signals.js"
import type { WorkerProcess } from "./workerProcess.js"
import type { WorkerSet } from "./workerSet.js"
import * as WorkerSets from "./workerSet.js"

// -------------------------------------------------------------------------------------
// supervision
// -------------------------------------------------------------------------------------

/** The first wait before a worker is replaced. Meanwhile a signal to all processes reaches the primary, which then replaces none. */
const firstDelay = 250

const longestDelay = 30_000

/** A worker that served for this long has not failed at its start, in milliseconds. */
const stableTime = 10_000

const delayAfter = (failures: number): number => Math.min(longestDelay, firstDelay * 2 ** Math.min(failures, 10))

/** Starts the workers, and replaces those that end. Fails if one cannot start at first. */
const supervised = (set: WorkerSet, workers: number): Effect.Effect<never, CliFailure> => {
  const start = (index: number, replaces: boolean): Effect.Effect<WorkerProcess, CliFailure> =>
    Effect.gen(function* () {
      const process = yield* set.fork(index, replaces)
      yield* process.started
      yield* Effect.logInfo(`Worker ${index + 1} of ${workers} serves (pid ${process.pid})`)
      return process
    })

  /** Starts a worker again until it serves. `failures`: how often it has failed in succession before. */
  const replace = (index: number, failures: number): Effect.Effect<WorkerProcess> =>
    Effect.gen(function* () {
      for (let failed = failures; ; failed++) {
        yield* Effect.sleep(delayAfter(failed))
        const started = yield* Effect.either(start(index, true))
        if (Either.isRight(started)) {
          yield* set.replaced(started.right)
          return started.right
        }
        yield* Effect.logError(
          `Worker ${index + 1} cannot start; the next attempt follows in ${durationText(delayAfter(failed + 1))}. ${started.left.message}`
        )
      }
    })

  const supervise = (first: WorkerProcess): Effect.Effect<never> =>
    Effect.gen(function* () {
      let process = first
      let failures = 0
      for (;;) {
        const clock = yield* Effect.clock
        const startedAt = MonotonicClock.now(clock)
        const end = yield* process.ended
        const isStable = MonotonicClock.now(clock) - startedAt >= stableTime
        if (isStable || end._tag === "Leaving") failures = 0
        const name = `Worker ${process.index + 1} (pid ${process.pid})`
        yield* end._tag === "Leaving"
          ? Effect.logInfo(`${name} ends when another one has replaced it and its requests are complete`)
          : Effect.logError(
              `${name} exited ${end.how}; another one replaces it in ${durationText(delayAfter(failures))}`
            )
        const next = yield* replace(process.index, failures)
        yield* process.send({ _tag: "Leave" })
        process = next
        failures += 1
      }
    })

  return Effect.gen(function* () {
    // The first one alone, so that a configuration that cannot be used is reported once.
    const first = yield* start(0, false)
    const otherIndexes = Array.from({ length: workers - 1 }, (_, index) => index + 1)
    const others = yield* Effect.forEach(otherIndexes, (index) => start(index, false), {
      concurrency: "unbounded"
    })
    yield* Effect.forEach([first, ...others], supervise, { concurrency: "unbounded", discard: true })
    return yield* Effect.never
  })
}

// -------------------------------------------------------------------------------------
// shutdown
// -------------------------------------------------------------------------------------

/** A worker exits by itself before this time after the grace period; otherwise it is killed. */
const killTime = Duration.millis(1900)

/** Lets all workers complete their requests. */
const stop = (set: WorkerSet, grace: Duration.Duration): Effect.Effect<void> =>
  Effect.raceFirst(
    Effect.zipRight(set.sendAll({ _tag: "Stop" }), set.allExited),
    Effect.delay(
      Effect.zipRight(Effect.logWarning("A worker did not end in time, so it is killed."), set.killAll),
      Duration.sum(grace, killTime)
    )
  )

// -------------------------------------------------------------------------------------
// program
// -------------------------------------------------------------------------------------

/** Succeeds at the first stop signal. A second one kills the workers and ends this process. */
const stopSignal = (set: WorkerSet): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const received = yield* Effect.makeLatch()
    yield* Signals.onStop(
      ["SIGTERM", "SIGINT"],
      (name) => Effect.zipRight(Effect.logInfo(`${name}: shutting down`), received.open),
      set.killAll
    )
    return received.await
  })

/** Serves until a signal. Fails if the workers cannot start. `divided`: whether they divide the limits. */
export const run = (
  { grace, history: path, workers }: Settings,
  { divided }: { readonly divided: boolean }
): Effect.Effect<void, CliFailure, FileSystem.FileSystem> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* Effect.sync(() => {
        cluster.schedulingPolicy = cluster.SCHED_NONE
        // Metrics contain infinite numbers, which JSON does not have.
        cluster.setupPrimary({ serialization: "advanced" })
      })
      // One process writes the file, so that nothing is there twice.
      const history = path === undefined ? Option.none() : Option.some(yield* DashboardHistory.makeFile({ path }))
      const set = yield* WorkerSets.make({ workers, divided, history })
      const reloads = yield* Signals.queue("SIGHUP")
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Queue.take(reloads), set.sendAll({ _tag: "Reload" }))))
      const stopped = yield* stopSignal(set)
      const supervision = yield* Effect.forkScoped(supervised(set, workers))
      const outcome = yield* Effect.exit(Effect.raceFirst(Fiber.join(supervision), stopped))
      yield* Fiber.interrupt(supervision)
      yield* stop(set, grace)
      yield* outcome
    })
  )
