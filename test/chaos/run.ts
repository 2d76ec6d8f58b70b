/** A chaos run, and the check that nothing is left behind at its end. */
import type { Scope } from "effect"
import { Array as Arr, Effect, Fiber, Logger, Option, Schedule } from "effect"
import * as Series from "../../src/telemetry/series.js"
import * as TrackedFibers from "../support/trackedFibers.js"
import { inspect } from "node:util"
import { queryObjects } from "node:v8"
import * as Retry from "../../src/call/Retry.js"
import * as Callers from "./callers.js"
import type { Findings } from "./invariants.js"
import * as Invariants from "./invariants.js"
import type { Providers } from "./provider.js"
import * as Records from "./records.js"
import type { Plan } from "./scenario.js"
import { secretMark } from "./scenario.js"
import type { Transport } from "../support/transports.js"

export interface Options {
  readonly plan: Plan
  readonly providers: Effect.Effect<Providers, never, Scope.Scope>
  /** The number of calls in flight. */
  readonly concurrency: number
  readonly transport: Transport
  /** Collects garbage; absent when the heap is not measured. */
  readonly gc?: () => void
}

/** The heap after `calls` calls, with none in flight. The bytes include code that V8 has compiled. */
export interface Heap {
  readonly calls: number
  readonly bytes: number
  readonly objects: number
}

export interface Report extends Findings {
  /** The duration of all calls together, in milliseconds. */
  readonly millis: number
  readonly requests: number
  readonly heap: ReadonlyArray<Heap>
}

/** Repeats an effect until its value is as expected, for at most thirty seconds. */
const eventually = <A>(effect: Effect.Effect<A>, isDone: (value: A) => boolean): Effect.Effect<A> =>
  Effect.repeat(effect, {
    schedule: Schedule.intersect(Schedule.spaced("10 millis"), Schedule.recurs(3000)),
    until: isDone
  }).pipe(Effect.zipRight(effect))

const nonZero = (counts: Readonly<Record<string, number>>): ReadonlyArray<string> =>
  Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : [`${name}: ${count} at the end`]))

const isRunning = (fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.map(Fiber.poll(fiber), (exit) => Option.isNone(exit))

const running = (fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>>) =>
  Effect.map(Effect.filter(fibers, isRunning), (all) => all.length)

/** The gauges of calls in flight, of every key of the run. */
const gauges = Effect.map(Series.snapshot, (all) =>
  all.flatMap(({ labels, state }) =>
    state._tag === "Gauge" && labels.some(([, value]) => value.startsWith("chaos-")) ? [state.value] : []
  )
)

const total = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, number) => sum + Math.abs(number), 0)

/** Everything that a call holds: all counts must be zero when none is in flight. */
const unreleased = ({ balance, budget, ledger, llms }: Callers.Callers, records: Records.Records) =>
  Effect.gen(function* () {
    const statuses = yield* Effect.forEach(llms, ({ status }) => status)
    const deployments = yield* balance.deployments
    const budgets = yield* budget.status
    const seenGauges = yield* gauges
    const { total: recorded } = yield* ledger.snapshot
    const attempts = records.attempts()
    const { totalTokens } = Callers.consumed(attempts)
    return nonZero({
      "leases of keys": total(statuses.flatMap(({ keys }) => keys.keys.map(({ inFlight }) => inFlight))),
      "calls waiting for keys": total(statuses.map(({ keys }) => keys.waiting)),
      "calls waiting for limiters": total(statuses.map(({ limiter }) => limiter.waiting)),
      "calls in flight at limiters": total(statuses.map(({ limiter }) => limiter.concurrency?.inFlight ?? 0)),
      "tokens reserved at limiters": total(statuses.map(({ limiter }) => limiter.tokens?.reserved ?? 0)),
      "leases of deployments": total(deployments.map(({ inFlight }) => inFlight)),
      "calls waiting for deployments": (yield* balance.status).keys.waiting,
      "tokens reserved in budgets": total(budgets.map(({ reserved }) => reserved)),
      gauges: total(seenGauges),
      "attempts that the ledger does not have": attempts.length - recorded.attempts,
      "answers that the ledger does not have":
        attempts.filter(({ outcome }) => outcome === "ok").length - recorded.succeeded,
      "tokens that the ledger does not have": totalTokens - recorded.usage.totalTokens,
      ...Object.fromEntries(
        budgets.map((budget) => [`tokens that the budget "${budget.budget}" does not have`, totalTokens - budget.spent])
      ),
      "missing gauges": seenGauges.length === 0 ? 1 : 0
    })
  })

/** More than the default, which a call in a storm can use up while the keys of the one healthy deployment are in a cooldown. */
const maxRequests = 60

/** When the heap is measured: after the first thousand calls, after the last, and several times between. */
const checkpoints = ({ calls }: Plan, measured: boolean): ReadonlyArray<number> => {
  const between = measured ? [1000, 5000, 10_000, 15_000] : []
  return [...between.filter((checkpoint) => checkpoint < calls), calls]
}

const measured = (gc: (() => void) | undefined, calls: number): Effect.Effect<ReadonlyArray<Heap>> =>
  gc === undefined
    ? Effect.succeed([])
    : Effect.as(
        Effect.forEach(Arr.range(1, 4), () => Effect.zipRight(Effect.sleep("30 millis"), Effect.sync(gc)), {
          discard: true
        }),
        calls
      ).pipe(
        Effect.map((calls) => [{ calls, bytes: process.memoryUsage().heapUsed, objects: Number(queryObjects(Object)) }])
      )

/** Reports log lines that contain a secret. */
const secretDetector = (records: Records.Records) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ cause, message }) => {
      if (inspect([message, cause], { depth: 6 }).includes(secretMark)) records.reportFault("a secret was logged")
    })
  )

/** The timers that keep the process alive, and the listeners of the process. */
const processResources = Effect.sync(() => ({
  timers: process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length,
  listeners: process.eventNames().reduce((sum, event) => sum + process.listenerCount(event), 0)
}))

export const run = ({ concurrency, gc, plan, providers: startProviders, transport }: Options): Effect.Effect<Report> =>
  Effect.gen(function* () {
    const providers = yield* startProviders
    const records = Records.make(plan.calls)
    const tracked = yield* TrackedFibers.track
    const before = yield* processResources
    const rootsBefore = new Set((yield* Fiber.roots).map((fiber) => fiber.id().id))

    const calls = Effect.gen(function* () {
      const callers = yield* Callers.make(plan, providers, records)
      const startedAt = performance.now()
      const heap: Array<Heap> = []
      let from = 0
      for (const checkpoint of checkpoints(plan, gc !== undefined)) {
        yield* Effect.forEach(Arr.range(from, checkpoint - 1), callers.call, { concurrency, discard: true })
        heap.push(...(yield* measured(gc, checkpoint)))
        from = checkpoint
      }
      const millis = performance.now() - startedAt
      const { busy, inFlight } = yield* eventually(providers.count, (count) => count.inFlight + count.busy === 0)
      return {
        millis,
        heap,
        leaks: [
          ...(yield* unreleased(callers, records)),
          ...nonZero({ "requests at providers": inFlight, "busy sockets": busy })
        ]
      }
    })
    const { heap, leaks, millis } = yield* tracked
      .within(Effect.scoped(calls))
      .pipe(
        Effect.provide(transport),
        Effect.provide(secretDetector(records)),
        Effect.provideService(Retry.MaxRequests, maxRequests)
      )
    const { open } = yield* eventually(providers.count, (count) => count.open === 0)
    const roots = (yield* Fiber.roots).filter((fiber) => !rootsBefore.has(fiber.id().id))
    const fibers = (yield* tracked.running) + (yield* running(roots))

    const after = yield* eventually(processResources, ({ timers }) => timers <= before.timers)

    const requests = yield* providers.requests
    const findings = Invariants.check(plan, records, requests)
    return {
      ...findings,
      broken: [
        ...findings.broken,
        ...leaks,
        ...nonZero({
          "open sockets": open,
          fibers,
          timers: Math.max(0, after.timers - before.timers),
          listeners: after.listeners - before.listeners
        })
      ],
      millis,
      heap,
      requests: requests.length
    }
  }).pipe(Effect.scoped)
