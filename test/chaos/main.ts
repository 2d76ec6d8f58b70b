/**
 * Makes twenty thousand calls under random faults: `npm run chaos`, or `npm run chaos -- <seed> <calls> <concurrency>`. The
 * providers run in a separate process, so that the measured heap is that of the library.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import * as Provider from "./provider.js"
import type { Heap, Report } from "./run.js"
import { run } from "./run.js"

const [seed = `${Date.now() % 1_000_000}`, calls = "20000", concurrency = "48"] = process.argv.slice(2)
const plan = { seed: Number(seed), calls: Number(calls) }

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

const print = (report: Report): void => {
  const { attempts, gaps, heap, longest, millis, outcomes, requests } = report
  console.log(`${plan.calls} calls with seed ${plan.seed}: ${(millis / 1000).toFixed(1)} s, the longest ${longest} ms`)
  for (const [phase, ended] of outcomes) console.log(`  ${phase}: ${counts(ended)}`)
  console.log(`  attempts: ${counts(attempts)}`)
  console.log(
    `  ${requests} requests arrived, ${gaps.neverArrived} ended before; ${gaps.crossed} responses were complete after their calls had ended`
  )
  for (const { bytes, calls, objects } of heap) {
    console.log(`  heap after ${calls} calls: ${(bytes / 2 ** 20).toFixed(1)} MiB, ${objects} objects`)
  }
}

const program = Effect.gen(function* () {
  const report = yield* run({
    plan,
    concurrency: Number(concurrency),
    providers: Provider.forked(fileURLToPath(new URL("providerProcess.js", import.meta.url)), plan),
    ...(globalThis.gc === undefined ? {} : { gc: globalThis.gc })
  })
  yield* Effect.sync(() => print(report))
  const broken = [...report.broken, ...growth(report.heap)]
  if (broken.length > 0) {
    yield* Effect.sync(() => {
      for (const violation of broken.slice(0, 40)) console.error(`violated: ${violation}`)
      console.error(`${broken.length} violations. Run it again: npm run chaos -- ${plan.seed} ${plan.calls}`)
      process.exitCode = 1
    })
  }
})

NodeRuntime.runMain(program)
