/** Several processes that call one simulated provider through what they share, and what the provider saw of it. */
import { Deferred, Effect, Schema } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createInterface } from "node:readline"
import * as SimulatedProvider from "../../src/testing/SimulatedProvider.js"
import { compiled } from "../support/compiled.js"
import type { Orders } from "./caller.js"

const Line = Schema.parseJson(
  Schema.Union(
    Schema.Literal("begun"),
    Schema.Struct({ answered: Schema.Number, failed: Schema.Record({ key: Schema.String, value: Schema.Number }) })
  )
)

export type Report = Exclude<typeof Line.Type, string>

export interface Caller {
  readonly begun: Effect.Effect<void>
  /** Ends with what came of its calls; `undefined` for one that was killed. */
  readonly report: Effect.Effect<Report | undefined>
  /** Kills it, and ends when it is gone. */
  readonly kill: Effect.Effect<void>
}

/** The program of a caller. */
export const program: Effect.Effect<string, never, Scope.Scope> = compiled(new URL("caller.ts", import.meta.url))

export const caller = (program: string, orders: Orders): Effect.Effect<Caller, never, Scope.Scope> =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    const report = yield* Deferred.make<Report | undefined>()
    const gone = yield* Deferred.make<void>()
    const child: ChildProcess = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, JSON.stringify(orders)], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    child.once("exit", () => {
      Deferred.unsafeDone(report, Effect.succeed(undefined))
      Deferred.unsafeDone(begun, Effect.void)
      Deferred.unsafeDone(gone, Effect.void)
    })
    if (child.stdout !== null) {
      createInterface(child.stdout).on("line", (text) => {
        const line = Schema.decodeUnknownOption(Line)(text)
        if (line._tag === "None") return
        if (line.value === "begun") Deferred.unsafeDone(begun, Effect.void)
        else Deferred.unsafeDone(report, Effect.succeed(line.value))
      })
    }
    return {
      begun: Deferred.await(begun),
      report: Deferred.await(report),
      kill: Effect.zipRight(
        Effect.sync(() => child.kill("SIGKILL")),
        Deferred.await(gone)
      )
    }
  })

/** What a provider saw: when each request came, in milliseconds, and the most that were in flight at once. */
export interface Witness {
  readonly baseUrl: string
  readonly arrivals: ReadonlyArray<number>
  readonly mostInFlight: () => number
  readonly inFlight: Effect.Effect<number>
  /** The most that were in flight at once on any one key, in all that is over. */
  readonly mostOnAnyKey: Effect.Effect<number>
}

export const witness = (latency: SimulatedProvider.Delay): Effect.Effect<Witness, never, Scope.Scope> =>
  Effect.gen(function* () {
    const arrivals: Array<number> = []
    let count = (): number => 0
    let most = 0
    const provider = yield* SimulatedProvider.make({
      latency,
      faults: () => {
        arrivals.push(performance.now())
        most = Math.max(most, count())
        return undefined
      }
    })
    count = () => Effect.runSync(provider.inFlight)
    return {
      baseUrl: provider.baseUrl,
      arrivals,
      mostInFlight: () => most,
      inFlight: provider.inFlight,
      mostOnAnyKey: Effect.map(provider.log, mostAtOnce)
    }
  })

const mostAtOnce = (log: ReadonlyArray<SimulatedProvider.Exchange>): number => {
  const inFlight = new Map<string, number>()
  let most = 0
  const steps = log.flatMap(({ duration, keyId, startedAt }) => [
    { at: startedAt, keyId, by: 1 },
    { at: startedAt + duration, keyId, by: -1 }
  ])
  // Times are whole milliseconds: of one that ends and one that begins in the same, the end was first.
  for (const { by, keyId } of steps.toSorted((one, other) => one.at - other.at || one.by - other.by)) {
    const now = (inFlight.get(keyId) ?? 0) + by
    inFlight.set(keyId, now)
    most = Math.max(most, now)
  }
  return most
}

/** The most requests of any window of so many milliseconds. */
export const mostWithin = (arrivals: ReadonlyArray<number>, window: number): number => {
  let most = 0
  let first = 0
  for (const [index, at] of arrivals.entries()) {
    while (at - (arrivals[first] ?? at) >= window) first++
    most = Math.max(most, index - first + 1)
  }
  return most
}
