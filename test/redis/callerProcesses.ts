/** Processes that call one simulated provider through a shared Redis, and a provider that records their requests. */
import { Deferred, Effect, Schema } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createInterface } from "node:readline"
import * as SimulatedProvider from "../../src/testing/SimulatedProvider.js"
import { compiled } from "../support/compiled.js"
import type { CallerOptions } from "./callerProgram.js"

const Line = Schema.parseJson(
  Schema.Union(
    Schema.Literal("started"),
    Schema.Struct({ answered: Schema.Number, failed: Schema.Record({ key: Schema.String, value: Schema.Number }) })
  )
)

export type Report = Exclude<typeof Line.Type, string>

export interface Caller {
  readonly started: Effect.Effect<void>
  /** Ends with the counts of its calls; `undefined` for a killed process. */
  readonly report: Effect.Effect<Report | undefined>
  /** Kills the process, and ends when it has exited. */
  readonly kill: Effect.Effect<void>
}

/** The path of the compiled caller program. */
export const program: Effect.Effect<string, never, Scope.Scope> = compiled(new URL("callerProgram.ts", import.meta.url))

export const caller = (program: string, options: CallerOptions): Effect.Effect<Caller, never, Scope.Scope> =>
  Effect.gen(function* () {
    const started = yield* Deferred.make<void>()
    const report = yield* Deferred.make<Report | undefined>()
    const exited = yield* Deferred.make<void>()
    const child: ChildProcess = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    child.once("exit", () => {
      Deferred.unsafeDone(report, Effect.succeed(undefined))
      Deferred.unsafeDone(started, Effect.void)
      Deferred.unsafeDone(exited, Effect.void)
    })
    if (child.stdout !== null) {
      createInterface(child.stdout).on("line", (text) => {
        const line = Schema.decodeUnknownOption(Line)(text)
        if (line._tag === "None") return
        if (line.value === "started") Deferred.unsafeDone(started, Effect.void)
        else Deferred.unsafeDone(report, Effect.succeed(line.value))
      })
    }
    return {
      started: Deferred.await(started),
      report: Deferred.await(report),
      kill: Effect.zipRight(
        Effect.sync(() => child.kill("SIGKILL")),
        Deferred.await(exited)
      )
    }
  })

/** A provider that records the arrival of each request, in milliseconds, and the maximum in flight. */
export interface RecordingProvider {
  readonly baseUrl: string
  readonly arrivals: ReadonlyArray<number>
  readonly maxInFlight: () => number
  readonly inFlight: Effect.Effect<number>
  /** The maximum in flight on one key, of ended requests that began before or after a handover, and of each side alone. */
  readonly maxInFlightOnAnyKey: (handover: { readonly from: number; readonly to: number }) => Effect.Effect<number>
}

export const recordingProvider = (
  latency: SimulatedProvider.Delay
): Effect.Effect<RecordingProvider, never, Scope.Scope> =>
  Effect.gen(function* () {
    const arrivals: Array<number> = []
    let count = (): number => 0
    let max = 0
    const provider = yield* SimulatedProvider.make({
      latency,
      faults: () => {
        arrivals.push(performance.now())
        max = Math.max(max, count())
        return undefined
      }
    })
    count = () => Effect.runSync(provider.inFlight)
    return {
      baseUrl: provider.baseUrl,
      arrivals,
      maxInFlight: () => max,
      inFlight: provider.inFlight,
      maxInFlightOnAnyKey: ({ from, to }) =>
        Effect.map(provider.log, (log) =>
          Math.max(
            maxConcurrentOnAnyKey(log.filter(({ startedAt }) => startedAt < from)),
            maxConcurrentOnAnyKey(log.filter(({ startedAt }) => startedAt >= to))
          )
        )
    }
  })

const maxConcurrentOnAnyKey = (log: ReadonlyArray<SimulatedProvider.Exchange>): number => {
  const inFlight = new Map<string, number>()
  let max = 0
  const steps = log.flatMap(({ duration, keyId, startedAt }) => [
    { at: startedAt, keyId, by: 1 },
    { at: startedAt + duration, keyId, by: -1 }
  ])
  // Times are whole milliseconds: an end sorts before a start in the same millisecond.
  for (const { by, keyId } of steps.toSorted((one, other) => one.at - other.at || one.by - other.by)) {
    const now = (inFlight.get(keyId) ?? 0) + by
    inFlight.set(keyId, now)
    max = Math.max(max, now)
  }
  return max
}

/** The greatest number of requests in a window of `window` milliseconds. */
export const maxWithin = (arrivals: ReadonlyArray<number>, window: number): number => {
  let max = 0
  let first = 0
  for (const [index, at] of arrivals.entries()) {
    while (at - (arrivals[first] ?? at) >= window) first++
    max = Math.max(max, index - first + 1)
  }
  return max
}
