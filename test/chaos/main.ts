/**
 * Makes twenty thousand calls: three quarters under random faults, the others with keys under pressure. `npm run chaos`, or `npm run
 * chaos -- <seed> <calls> <concurrency> <transport>`, where the transport is "direct" (the default) or "portable". The slope of the heap is measured best with 50,000 calls. The providers
 * run in a separate process, so that the measured heap is that of the library.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import * as Cancel from "./cancel.js"
import * as Keys from "./keys.js"
import * as Provider from "./provider.js"
import type { Heap, Report } from "./run.js"
import { run } from "./run.js"
import * as Transports from "../support/transports.js"

const [seed = `${Date.now() % 1_000_000}`, calls = "20000", concurrency = "48", transport = "direct"] =
  process.argv.slice(2)
const keyCalls = Math.round(Number(calls) / 4)
const plan = { seed: Number(seed), calls: Number(calls) - keyCalls }
const layer = transport === "portable" ? Transports.portable : Transports.direct

/**
 * The greatest growth of the heap per call, from the first thousand calls to the last. Nothing is kept of a call; code that V8
 * compiles and idle sockets let it grow a little.
 */
const maxGrowth = { bytes: 512, objects: 0.5 }

const growth = (heap: ReadonlyArray<Heap>): ReadonlyArray<string> => {
  const first = heap[0]
  const last = heap.at(-1)
  if (first === undefined || last === undefined) return ["the heap was not measured: run node with --expose-gc"]
  // A short run has the allowance of a full one: both fill bounded structures, such as a window of a minute.
  const calls = Math.max(19_000, last.calls - first.calls)
  const bytes = (last.bytes - first.bytes) / calls
  const objects = (last.objects - first.objects) / calls
  return [
    ...(bytes > maxGrowth.bytes ? [`the heap grew by ${bytes.toFixed(0)} bytes a call`] : []),
    ...(objects > maxGrowth.objects ? [`the heap grew by ${objects.toFixed(2)} objects a call`] : [])
  ]
}

const counts = (all: ReadonlyMap<string, number>): string =>
  [...all]
    .toSorted(([, one], [, other]) => other - one)
    .map(([label, count]) => `${count} ${label}`)
    .join(", ")

/** The growth of the heap between two measurements, in bytes a call. */
const slope = (first: Heap, last: Heap): number => (last.bytes - first.bytes) / (last.calls - first.calls)

const print = (report: Report): void => {
  const { attempts, gaps, heap, longest, millis, outcomes, requests } = report
  console.log(
    `${plan.calls} calls over the ${transport} transport with seed ${plan.seed}: ${(millis / 1000).toFixed(1)} s, the longest ${longest} ms`
  )
  for (const [phase, ended] of outcomes) console.log(`  ${phase}: ${counts(ended)}`)
  console.log(`  attempts: ${counts(attempts)}`)
  console.log(
    `  ${requests} requests arrived, ${gaps.neverArrived} ended before; ${gaps.crossed} responses were complete after their calls had ended`
  )
  for (const { bytes, calls, objects } of heap) {
    console.log(`  heap after ${calls} calls: ${(bytes / 2 ** 20).toFixed(1)} MiB, ${objects} objects`)
  }
  const [first, last] = [heap[0], heap.at(-1)]
  if (first !== undefined && last !== undefined && first !== last)
    console.log(`  slope of the heap: ${slope(first, last).toFixed(0)} bytes a call`)
}

/**
 * The longest time from the interruption of a call to the end of its connection, for 99 of 100 calls, in milliseconds. The time for which
 * the event loop did not run does not count: other processes take it.
 */
const maxCancel = 20

const program = Effect.gen(function* () {
  const report = yield* run({
    plan,
    concurrency: Number(concurrency),
    transport: layer,
    providers: Provider.forked(fileURLToPath(new URL("providerProcess.js", import.meta.url)), plan),
    ...(globalThis.gc === undefined ? {} : { gc: globalThis.gc })
  })
  yield* Effect.sync(() => print(report))
  const rows = yield* Effect.provide(Keys.run(keyCalls, Number(concurrency), plan.seed), layer)
  yield* Effect.sync(() => {
    for (const line of Keys.table(rows)) console.log(`  ${line}`)
  })
  const { own, total } = yield* Cancel.measure(500, layer)
  const slowest = Cancel.quantile(own, 0.99)
  yield* Effect.sync(() => {
    const millis = (times: ReadonlyArray<number>) =>
      `p50 ${Cancel.quantile(times, 0.5).toFixed(2)} ms, p99 ${Cancel.quantile(times, 0.99).toFixed(2)} ms`
    console.log(
      `  from cancel to closed upstream socket: ${millis(total)}; without delays of the event loop: ${millis(own)}`
    )
  })
  const broken = [
    ...report.broken,
    ...growth(report.heap),
    ...rows.flatMap(({ broken }) => broken),
    ...(slowest > maxCancel ? [`the p99 from cancel to closed upstream socket is ${slowest.toFixed(1)} ms`] : [])
  ]
  if (broken.length > 0) {
    yield* Effect.sync(() => {
      for (const violation of broken.slice(0, 40)) console.error(`violated: ${violation}`)
      console.error(`${broken.length} violations. Run it again: npm run chaos -- ${plan.seed} ${calls}`)
      process.exitCode = 1
    })
  }
})

NodeRuntime.runMain(program)
