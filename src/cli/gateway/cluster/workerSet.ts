/** The worker processes of this command, and the answers to their questions. */
import type { Scope } from "effect"
import { Effect, ExecutionStrategy, Exit, Option, Ref, Schema, Scope as Scopes } from "effect"
import type { Service as History } from "../../../gateway/DashboardHistory.js"
import type { Series } from "../../../gateway/workers/series.js"
import * as AllSeries from "../../../gateway/workers/series.js"
import type { CliFailure } from "../../failure.js"
import type { FromPrimary, Question } from "./protocol.js"
import { Measurements } from "./protocol.js"
import * as Records from "./records.js"
import type { Request, WorkerProcess } from "./workerProcess.js"
import * as WorkerProcesses from "./workerProcess.js"

export interface WorkerSet {
  /** Starts a process. It is killed with the scope of the set. `replaces`: whether it does so to another one. */
  readonly fork: (index: number, replaces: boolean) => Effect.Effect<WorkerProcess, CliFailure>
  /** Tells a worker that has replaced another one what that one knew, and counts it. */
  readonly replaced: (process: WorkerProcess) => Effect.Effect<void>
  readonly sendAll: (message: FromPrimary) => Effect.Effect<void>
  readonly killAll: Effect.Effect<void>
  /** Succeeds when all processes of this moment have exited. */
  readonly allExited: Effect.Effect<void>
}

export interface SetOptions {
  readonly workers: number
  /** Whether the workers divide the limits, rather than share them. */
  readonly divided: boolean
  /** The history of all workers; none if no file keeps it. */
  readonly history: Option.Option<History>
}

interface State {
  readonly live: ReadonlySet<WorkerProcess>
  /** What the processes that have exited have counted. In one value with `live`, so that nothing is counted twice. */
  readonly totals: ReadonlyArray<Series>
  readonly restarts: number
}

const decodeMeasurements = Schema.decodeUnknownOption(Measurements)

/** The gauge of a load that each worker measures by its part of a limit. */
const loads: ReadonlySet<string> = new Set(["llm_load_factor"])

/** The metrics of the set itself. */
const ownSeries = (workers: number, reporting: number, restarts: number): ReadonlyArray<Series> => [
  {
    name: "llm_gateway_workers",
    description: "Workers of this gateway",
    labels: [],
    state: { _tag: "Gauge", value: workers }
  },
  {
    name: "llm_gateway_workers_reporting",
    description: "Workers whose current metrics are included",
    labels: [],
    state: { _tag: "Gauge", value: reporting }
  },
  {
    name: "llm_gateway_worker_restarts_total",
    description: "Workers that were replaced",
    labels: [],
    state: { _tag: "Counter", count: restarts, incremental: true }
  }
]

/** Asks a worker for its metrics, and returns whether it answered. */
const measure = (process: WorkerProcess): Effect.Effect<boolean> =>
  Effect.flatMap(process.ask({ _tag: "Measure" }), (answer) =>
    Option.match(Option.flatMap(answer, decodeMeasurements), {
      onNone: () => Effect.succeed(false),
      onSome: (series) => Effect.as(process.remember(series), true)
    })
  )

export const make = ({ divided, history, workers }: SetOptions): Effect.Effect<WorkerSet, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const records = yield* Records.make
    const state = yield* Ref.make<State>({ live: new Set(), totals: [], restarts: 0 })

    const live = Effect.map(Ref.get(state), ({ live }) => [...live])

    const answering = Effect.flatMap(
      live,
      Effect.filter((process) => process.isAnswering)
    )

    /** All metrics. Every answer passes here, so no counter is ever reported and then forgotten with its worker. */
    const metrics = Effect.gen(function* () {
      const measured = yield* Effect.filter(yield* answering, measure, { concurrency: "unbounded" })
      const serving = yield* Effect.filter(measured, (process) => Effect.negate(process.hasEnded))
      const { live, restarts, totals } = yield* Ref.get(state)
      const series = yield* Effect.forEach(live, (process) => process.series)
      return AllSeries.mergeAll(
        [totals, ...series, ownSeries(workers, serving.length, restarts)],
        divided ? loads : new Set()
      )
    })

    const askOthers = (asker: WorkerProcess, question: Question): Effect.Effect<ReadonlyArray<unknown>> =>
      Effect.gen(function* () {
        yield* records.record(question)
        const asked = (yield* answering).filter((process) => process !== asker)
        if (question._tag === "ChangeKey") {
          // A starting worker may have read the keys before this change. The change does not wait for its answer: it has no requests yet.
          const starting = (yield* live).filter((process) => process !== asker && !asked.includes(process))
          yield* Effect.forEach(
            starting,
            (process) => Effect.forkIn(process.send({ _tag: "Ask", id: 0, question }), scope),
            { discard: true }
          )
        }
        const answers = yield* Effect.forEach(asked, (process) => process.ask(question), { concurrency: "unbounded" })
        return answers.flatMap(Option.toArray)
      })

    const answer = (asker: WorkerProcess, request: Request): Effect.Effect<unknown> => {
      switch (request._tag) {
        case "AskMetrics":
          return metrics
        case "AskHistory":
          return Option.match(history, {
            onNone: () => Effect.succeed(null),
            onSome: ({ query }) => query(request.from, request.to)
          })
        case "AskKeys":
          return records.keyChanges
        case "AskOthers":
          return askOthers(asker, request.question)
      }
    }

    const record: History["add"] = (lines) =>
      Option.match(history, { onNone: () => Effect.void, onSome: ({ add }) => add(lines) })

    const retire = (process: WorkerProcess): Effect.Effect<void> =>
      Effect.gen(function* () {
        yield* process.exited
        const series = yield* process.series
        yield* Ref.update(state, ({ live, totals, ...rest }) => ({
          ...rest,
          live: new Set([...live].filter((other) => other !== process)),
          totals: AllSeries.mergeAll([totals, AllSeries.totalsOf(series)])
        }))
      })

    return {
      // A process has a scope of its own, which is closed when it has exited.
      fork: (index, replaces) =>
        Effect.uninterruptible(
          Effect.gen(function* () {
            const own = yield* Scopes.fork(scope, ExecutionStrategy.sequential)
            const process = yield* Scopes.extend(WorkerProcesses.fork(index, replaces, answer, record), own)
            yield* Ref.update(state, (all) => ({ ...all, live: new Set([...all.live, process]) }))
            const ends = Effect.zipRight(retire(process), Scopes.close(own, Exit.void))
            yield* Effect.forkIn(Effect.interruptible(ends), scope)
            return process
          })
        ),
      replaced: (process) =>
        Effect.gen(function* () {
          yield* Ref.update(state, (all) => ({ ...all, restarts: all.restarts + 1 }))
          // Workers that share a store learn there which keys and deployments are disabled.
          if (!divided) return
          yield* Effect.forEach(yield* records.actions, (action) => process.ask(action), { discard: true })
        }),
      sendAll: (message) =>
        Effect.flatMap(
          live,
          Effect.forEach((process) => process.send(message), { discard: true, concurrency: "unbounded" })
        ),
      killAll: Effect.flatMap(
        live,
        Effect.forEach((process) => process.kill, { discard: true })
      ),
      allExited: Effect.flatMap(
        live,
        Effect.forEach((process) => process.exited, { discard: true, concurrency: "unbounded" })
      )
    }
  })
