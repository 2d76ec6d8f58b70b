/** A chaos run from its beginning to its end, and what is left behind when all callers have gone. */
import { NodeHttpClient } from "@effect/platform-node"
import type { Scope } from "effect"
import { Array as Arr, Effect, Fiber, Logger, Metric, MetricState, Option, Schedule, Supervisor } from "effect"
import { inspect } from "node:util"
import { queryObjects } from "node:v8"
import * as Callers from "./callers.js"
import type { Findings } from "./promises.js"
import * as Promises from "./promises.js"
import type { Providers } from "./provider.js"
import * as Records from "./records.js"
import type { Plan } from "./scenario.js"
import { secretMark } from "./scenario.js"

export interface Options {
  readonly plan: Plan
  readonly providers: Effect.Effect<Providers, never, Scope.Scope>
  /** How many calls are under way at once. */
  readonly concurrency: number
  /** Collects garbage; absent where the heap is not looked at. */
  readonly gc?: () => void
}

/** The heap after so many calls, when none is under way: code that V8 compiles meanwhile counts among the bytes. */
export interface Heap {
  readonly calls: number
  readonly bytes: number
  readonly objects: number
}

export interface Report extends Findings {
  /** What the calls took in all, in milliseconds. */
  readonly millis: number
  readonly requests: number
  readonly heap: ReadonlyArray<Heap>
}

/** Until it is so, for thirty seconds at most. */
const soon = <A>(effect: Effect.Effect<A>, isSo: (value: A) => boolean): Effect.Effect<A> =>
  Effect.repeat(effect, {
    schedule: Schedule.intersect(Schedule.spaced("10 millis"), Schedule.recurs(3000)),
    until: isSo
  }).pipe(Effect.zipRight(effect))

const nonZero = (counts: Readonly<Record<string, number>>): ReadonlyArray<string> =>
  Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : [`${name}: ${count} when all was over`]))

const isRunning = (fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.map(Fiber.poll(fiber), (exit) => Option.isNone(exit))

const running = (fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>>) =>
  Effect.map(Effect.filter(fibers, isRunning), (all) => all.length)

/** The gauges of calls in flight, of every key of ours. */
const gauges = Effect.map(Metric.snapshot, (pairs) =>
  pairs.flatMap(({ metricKey, metricState }) =>
    MetricState.isGaugeState(metricState) && metricKey.tags.some(({ value }) => value.startsWith("chaos-"))
      ? [Number(metricState.value)]
      : []
  )
)

const total = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, number) => sum + Math.abs(number), 0)

/** Everything that is held for a call, where none is under way. */
const held = ({ balance, budget, ledger, llms }: Callers.Callers, records: Records.Records) =>
  Effect.gen(function* () {
    const statuses = yield* Effect.forEach(llms, ({ status }) => status)
    const deployments = yield* balance.deployments
    const budgets = yield* budget.status
    const seenGauges = yield* gauges
    const { total: spent } = yield* ledger.snapshot
    const attempts = records.attempts()
    const { totalTokens } = Callers.consumed(attempts)
    return nonZero({
      "leases of keys": total(statuses.flatMap(({ keys }) => keys.keys.map(({ inFlight }) => inFlight))),
      "calls that wait for keys": total(statuses.map(({ keys }) => keys.waiting)),
      "calls that wait for permits": total(statuses.map(({ limiter }) => limiter.waiting)),
      "calls in flight at limiters": total(statuses.map(({ limiter }) => limiter.concurrency?.inFlight ?? 0)),
      "tokens reserved at limiters": total(statuses.map(({ limiter }) => limiter.tokens?.reserved ?? 0)),
      "leases of deployments": total(deployments.map(({ inFlight }) => inFlight)),
      "calls that wait for deployments": (yield* balance.status).keys.waiting,
      "tokens set aside in budgets": total(budgets.map(({ reserved }) => reserved)),
      gauges: total(seenGauges),
      "attempts that the ledger does not have": attempts.length - spent.attempts,
      "answers that the ledger does not have":
        attempts.filter(({ outcome }) => outcome === "ok").length - spent.succeeded,
      "tokens that the ledger does not have": totalTokens - spent.usage.totalTokens,
      ...Object.fromEntries(
        budgets.map((one) => [`tokens that the budget "${one.budget}" does not have`, totalTokens - one.spent])
      ),
      "missing gauges": seenGauges.length === 0 ? 1 : 0
    })
  })

/** When the heap is looked at: after the first thousand calls, after the last, and some times between. */
const stops = ({ calls }: Plan, measured: boolean): ReadonlyArray<number> => {
  const between = measured ? [1000, 5000, 10_000, 15_000] : []
  return [...between.filter((stop) => stop < calls), calls]
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

/** Whatever is logged, no secret is in it. */
const listening = (records: Records.Records) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ cause, message }) => {
      if (inspect([message, cause], { depth: 6 }).includes(secretMark)) records.complain("a secret was logged")
    })
  )

export const run = ({ concurrency, gc, plan, providers: started }: Options): Effect.Effect<Report> =>
  Effect.gen(function* () {
    const providers = yield* started
    const records = Records.make(plan.calls)
    const supervisor = yield* Supervisor.track
    const rootsBefore = new Set((yield* Fiber.roots).map((fiber) => fiber.id().id))

    const calls = Effect.gen(function* () {
      const callers = yield* Callers.make(plan, providers, records)
      const startedAt = performance.now()
      const heap: Array<Heap> = []
      let from = 0
      for (const stop of stops(plan, gc !== undefined)) {
        yield* Effect.forEach(Arr.range(from, stop - 1), callers.call, { concurrency, discard: true })
        heap.push(...(yield* measured(gc, stop)))
        from = stop
      }
      const millis = performance.now() - startedAt
      const { busy, inFlight } = yield* soon(providers.count, (count) => count.inFlight + count.busy === 0)
      return {
        millis,
        heap,
        left: [
          ...(yield* held(callers, records)),
          ...nonZero({ "requests at providers": inFlight, "busy sockets": busy })
        ]
      }
    })
    const { heap, left, millis } = yield* Effect.supervised(Effect.scoped(calls), supervisor).pipe(
      Effect.provide(NodeHttpClient.layerUndici),
      Effect.provide(listening(records))
    )
    const { open } = yield* soon(providers.count, (count) => count.open === 0)
    const roots = (yield* Fiber.roots).filter((fiber) => !rootsBefore.has(fiber.id().id))
    const fibers = (yield* running(yield* supervisor.value)) + (yield* running(roots))

    const seen = yield* providers.seen
    const findings = Promises.check(plan, records, seen)
    return {
      ...findings,
      broken: [...findings.broken, ...left, ...nonZero({ "open sockets": open, fibers })],
      millis,
      heap,
      requests: seen.length
    }
  }).pipe(Effect.scoped)
