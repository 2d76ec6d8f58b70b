/**
 * The primary process of several workers. It serves nothing itself: it starts the workers, replaces those that end, passes signals
 * and questions on, and keeps what outlives a worker.
 *
 * The workers accept connections themselves, from one listening socket (`SCHED_NONE`). If the primary accepted them and handed the
 * sockets over (`SCHED_RR`, Node's default), a connection on its way to a worker that is killed would be neither served nor
 * closed, and every connection would cost the primary.
 */
import {
  Clock,
  Duration,
  Effect,
  Either,
  ExecutionStrategy,
  Exit,
  Fiber,
  Option,
  Queue,
  Ref,
  Schema,
  Scope
} from "effect"
import cluster from "node:cluster"
import type { Series } from "../../../gateway/workers/series.js"
import * as AllSeries from "../../../gateway/workers/series.js"
import type { CliFailure } from "../../failure.js"
import type { Settings } from "../settings.js"
import * as Signals from "../signals.js"
import type { Question } from "./protocol.js"
import { Measurements } from "./protocol.js"
import * as Records from "./records.js"
import type { Request, WorkerProcess } from "./workerProcess.js"
import * as WorkerProcesses from "./workerProcess.js"

export interface PrimaryOptions {
  readonly settings: Settings
  readonly workers: number
  /** Whether the workers divide the limits, rather than share them. */
  readonly divided: boolean
}

// -------------------------------------------------------------------------------------
// replacement
// -------------------------------------------------------------------------------------

/** The first wait before a worker is replaced. In it, a signal to all processes reaches the primary as well. */
const firstDelay = 250

const longestDelay = 30_000

/** A worker that served for this long is no failed start, in milliseconds. */
const stableTime = 10_000

const delayAfter = (failures: number): number => Math.min(longestDelay, firstDelay * 2 ** Math.min(failures, 10))

const seconds = (millis: number): string => `${millis / 1000} s`

// -------------------------------------------------------------------------------------
// metrics
// -------------------------------------------------------------------------------------

const decodeMeasurements = Schema.decodeUnknownOption(Measurements)

const gauge = (name: string, description: string, value: number): Series => ({
  name,
  description,
  labels: [],
  state: { _tag: "Gauge", value }
})

/** The gauge of a load that each worker measures by its part of a limit. */
const loads: ReadonlySet<string> = new Set(["llm_load_factor"])

// -------------------------------------------------------------------------------------
// shutdown
// -------------------------------------------------------------------------------------

/** A worker exits by itself before this time after the grace period; otherwise it is killed. */
const killTime = Duration.millis(1900)

/** Starts the workers, and serves until a signal. Fails if they cannot start. */
export const run = ({ divided, settings, workers }: PrimaryOptions): Effect.Effect<void, CliFailure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const records = yield* Records.make
      const live = yield* Ref.make<ReadonlySet<WorkerProcess>>(new Set())
      const restarts = yield* Ref.make(0)

      yield* Effect.sync(() => {
        cluster.schedulingPolicy = cluster.SCHED_NONE
        // Metrics contain infinite numbers, which JSON has not.
        cluster.setupPrimary({ serialization: "advanced" })
      })

      // ---- questions of workers

      const measure = (process: WorkerProcess): Effect.Effect<boolean> =>
        Effect.flatMap(process.ask({ _tag: "Measure" }), (answer) =>
          Option.match(Option.flatMap(answer, decodeMeasurements), {
            onNone: () => Effect.succeed(false),
            onSome: (series) => Effect.as(process.remember(series), true)
          })
        )

      const serving = Effect.flatMap(
        Ref.get(live),
        Effect.filter((process) => process.isServing)
      )

      /** All metrics. Every answer passes here, so no counter is ever reported and then forgotten with its worker. */
      const metrics = Effect.gen(function* () {
        const answered = yield* Effect.filter(yield* serving, measure, { concurrency: "unbounded" })
        const processes = yield* Ref.get(live)
        const series = yield* Effect.forEach(processes, (process) => process.series)
        const replaced: Series = {
          name: "llm_gateway_worker_restarts_total",
          description: "Workers that were replaced",
          labels: [],
          state: { _tag: "Counter", count: yield* Ref.get(restarts), incremental: true }
        }
        return AllSeries.mergeAll(
          [
            yield* records.totals,
            ...series,
            [
              gauge("llm_gateway_workers", "Workers of this gateway", workers),
              gauge("llm_gateway_workers_reporting", "Workers whose current metrics are included", answered.length),
              replaced
            ]
          ],
          divided ? loads : new Set()
        )
      })

      const askOthers = (asker: WorkerProcess, question: Question): Effect.Effect<ReadonlyArray<unknown>> =>
        Effect.gen(function* () {
          yield* records.record(question)
          const asked = (yield* serving).filter((process) => process !== asker)
          if (question._tag === "ChangeKey") {
            // A worker that starts can have read the keys before this change. It is not waited for, because it serves nobody yet.
            const starting = [...(yield* Ref.get(live))].filter(
              (process) => process !== asker && !asked.includes(process)
            )
            yield* Effect.forEach(starting, (process) => process.send({ _tag: "Ask", id: 0, question }), {
              discard: true
            })
          }
          const answers = yield* Effect.forEach(asked, (process) => process.ask(question), { concurrency: "unbounded" })
          return answers.flatMap(Option.toArray)
        })

      const answer = (asker: WorkerProcess, request: Request): Effect.Effect<unknown> => {
        switch (request._tag) {
          case "AskMetrics":
            return metrics
          case "AskKeys":
            return records.keyChanges
          case "AskOthers":
            return askOthers(asker, request.question)
        }
      }

      // ---- workers

      const retire = (process: WorkerProcess): Effect.Effect<void> =>
        Effect.gen(function* () {
          yield* process.exited
          yield* records.retire(yield* process.series)
          yield* Ref.update(live, (all) => new Set([...all].filter((other) => other !== process)))
        })

      /** A process has a scope of its own, which is closed when it has exited. */
      const fork = (index: number): Effect.Effect<WorkerProcess> =>
        Effect.gen(function* () {
          const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
          const process = yield* Scope.extend(WorkerProcesses.fork(index, answer), own)
          yield* Ref.update(live, (all) => new Set([...all, process]))
          yield* Effect.forkIn(Effect.zipRight(retire(process), Scope.close(own, Exit.void)), scope)
          return process
        })

      /** Workers that share nothing have to learn which keys and deployments are disabled. */
      const catchUp = (process: WorkerProcess): Effect.Effect<void> =>
        divided
          ? Effect.flatMap(
              records.actions,
              Effect.forEach((action) => process.ask(action), { discard: true })
            )
          : Effect.void

      const start = (index: number): Effect.Effect<WorkerProcess, CliFailure> =>
        Effect.gen(function* () {
          const process = yield* fork(index)
          yield* process.started
          yield* Effect.logInfo(`Worker ${index + 1} of ${workers} serves (pid ${process.pid})`)
          return process
        })

      /** Starts a worker again until it serves. `failures`: how often it has failed in succession before. */
      const replace = (index: number, failures: number): Effect.Effect<WorkerProcess> =>
        Effect.gen(function* () {
          for (let failed = failures; ; failed++) {
            yield* Effect.sleep(delayAfter(failed))
            const started = yield* Effect.either(start(index))
            if (Either.isRight(started)) {
              yield* Ref.update(restarts, (count) => count + 1)
              yield* catchUp(started.right)
              return started.right
            }
            yield* Effect.logError(
              `Worker ${index + 1} cannot start; the next attempt follows in ${seconds(delayAfter(failed + 1))}. ${started.left.message}`
            )
          }
        })

      const supervise = (first: WorkerProcess): Effect.Effect<never> =>
        Effect.gen(function* () {
          let process = first
          let failures = 0
          for (;;) {
            const startedAt = yield* Clock.currentTimeMillis
            const end = yield* process.ended
            const name = `Worker ${process.index + 1} (pid ${process.pid})`
            if (end._tag === "Leaving") {
              failures = 0
              yield* Effect.logInfo(`${name} completes its requests and ends; another one replaces it`)
            } else {
              const isStable = (yield* Clock.currentTimeMillis) - startedAt >= stableTime
              if (isStable) failures = 0
              yield* Effect.logError(
                `${name} exited ${end.how}; another one replaces it in ${seconds(delayAfter(failures))}`
              )
            }
            process = yield* replace(process.index, failures)
            failures += 1
          }
        })

      const serve = Effect.gen(function* () {
        // The first one alone, so that a configuration that cannot be used is reported once.
        const first = yield* start(0)
        const others = yield* Effect.forEach(
          Array.from({ length: workers - 1 }, (_, index) => index + 1),
          start,
          { concurrency: "unbounded" }
        )
        yield* Effect.forEach([first, ...others], supervise, {
          concurrency: "unbounded",
          discard: true
        })
      })

      // ---- signals

      const toAll = (message: { readonly _tag: "Stop" } | { readonly _tag: "Reload" }) =>
        Effect.flatMap(
          Ref.get(live),
          Effect.forEach((process) => process.send(message), { discard: true, concurrency: "unbounded" })
        )

      const killAll = Effect.flatMap(
        Ref.get(live),
        Effect.forEach((process) => process.kill, { discard: true })
      )

      const stop = Effect.gen(function* () {
        yield* toAll({ _tag: "Stop" })
        const processes = yield* Ref.get(live)
        yield* Effect.forEach(processes, ({ exited }) => exited, { concurrency: "unbounded", discard: true }).pipe(
          Effect.timeoutTo({
            duration: Duration.sum(settings.grace, killTime),
            onSuccess: () => Effect.void,
            onTimeout: () =>
              Effect.zipRight(Effect.logWarning("A worker did not end in time, so it is killed."), killAll)
          }),
          Effect.flatten
        )
      })

      const reloads = yield* Signals.queue("SIGHUP")
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Queue.take(reloads), toAll({ _tag: "Reload" }))))
      const stopping = yield* Effect.makeLatch()
      yield* Signals.onStop(
        ["SIGTERM", "SIGINT"],
        (name) => Effect.zipRight(Effect.logInfo(`${name}: shutting down`), stopping.open),
        killAll
      )
      const serveFiber = yield* Effect.forkScoped(serve)
      const outcome = yield* Effect.exit(Effect.raceFirst(Fiber.join(serveFiber), stopping.await))
      yield* Fiber.interrupt(serveFiber)
      yield* stop
      return yield* outcome
    })
  )
