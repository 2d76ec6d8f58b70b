/** Memory of a gateway that has answered many requests, and what each further request adds to it. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Contestant, Name } from "./contestants.js"
import { compete } from "./contestants.js"
import type { Load } from "./load.js"
import { connect } from "./load.js"
import type { Values } from "./measure.js"
import { passthrough } from "./scenario.js"

export interface MemoryOptions {
  /** Requests to a process before its memory is read. */
  readonly requests: number
  /** Processes of a contestant. The figures are medians. */
  readonly runs: number
  /** Milliseconds without a request before the memory is read. */
  readonly idle: number
}

export interface Sample {
  readonly requests: number
  readonly bytes: number
}

/** Samples of the half of the requests over which the slope is fitted. */
const sampleCount = 20

const connections = 32

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Kilobytes a request, by a least-squares fit. */
export const slopeOf = (samples: ReadonlyArray<Sample>): number => {
  const meanRequests = mean(samples.map(({ requests }) => requests))
  const meanBytes = mean(samples.map(({ bytes }) => bytes))
  let covariance = 0
  let variance = 0
  for (const { bytes, requests } of samples) {
    covariance += (requests - meanRequests) * (bytes - meanBytes)
    variance += (requests - meanRequests) ** 2
  }
  return covariance / variance / 1000
}

const sampled = async (load: Load, requests: number, read: () => Promise<number>): Promise<ReadonlyArray<Sample>> => {
  const step = Math.ceil(requests / sampleCount)
  const samples: Array<Sample> = []
  for (let sample = 1; sample <= sampleCount; sample++) {
    await load.ask({ requests: step })
    samples.push({ requests: sample * step, bytes: await read() })
  }
  return samples
}

interface Run {
  readonly rss: number
  readonly rssSlope: number
  readonly heap: number
  readonly heapSlope: number | undefined
}

/**
 * The memory is read before garbage is collected on request. The heap's slope needs a collection at each sample, which would change the
 * memory of the process: it is fitted over further requests.
 */
const run = async (
  contestant: Contestant,
  { idle, requests }: MemoryOptions,
  withHeapSlope: boolean
): Promise<Run | undefined> => {
  const { usage } = contestant
  if (usage === undefined) return undefined
  const load = connect(contestant, passthrough.whole, connections)
  try {
    const half = Math.ceil(requests / 2)
    await load.ask({ requests: half })
    const ofRss = await sampled(load, half, async () => (await usage()).rss)
    await sleep(idle)
    const { heap = 0, rss } = await usage("collect")
    const ofHeap = withHeapSlope ? await sampled(load, half, async () => (await usage("collect")).heap ?? 0) : undefined
    return {
      rss,
      rssSlope: slopeOf(ofRss),
      heap,
      heapSlope: ofHeap === undefined ? undefined : slopeOf(ofHeap)
    }
  } finally {
    await load.close()
  }
}

/** Starts the contestant anew for each run. The heap's slope is that of the last run. */
export const memoryOf = async (name: Name, options: MemoryOptions): Promise<Values> => {
  const runs: Array<Run> = []
  for (let count = 1; count <= options.runs; count++) {
    const measured = await compete([name], ({ contestants: [contestant] }) =>
      contestant === undefined ? Promise.resolve(undefined) : run(contestant, options, count === options.runs)
    )
    if (measured !== undefined) runs.push(measured)
  }
  const heapSlope = runs.at(-1)?.heapSlope
  return {
    "RSS MiB": median(runs.map(({ rss }) => rss)) / 2 ** 20,
    "RSS kB/request": median(runs.map(({ rssSlope }) => rssSlope)),
    "heap MiB": median(runs.map(({ heap }) => heap)) / 2 ** 20,
    ...(heapSlope === undefined ? {} : { "heap kB/request": heapSlope })
  }
}
