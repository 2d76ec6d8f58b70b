/**
 * Gateways side by side, in one run and behind the same provider: `npm run bench:gateway`. Read the ratios; the absolutes are the
 * machine's, and load generator and provider share it with what is measured.
 *
 * Every contestant is a process of its own. Rounds are interleaved and the best of each counts: a shared machine only ever adds.
 * What was added over direct is at this load, so most of it is the queue; one connection (`--connections 1`) shows the latency.
 *
 * Before that each is asked until its code is compiled: `--warmup 2000`, and a third as many streams.
 * `--requests 1500`: asked of each contestant in each JSON cell and round; a fifth as many of streams. `--rounds 2`.
 * `--connections 32,256`. `--memory 0`: then as many JSON requests more of each before its memory is read.
 * `--only effect-llm,Portkey`: which contestants.
 */
import { parseArgs } from "node:util"
import type { Contestant } from "./contestants.js"
import { start } from "./contestants.js"
import { ask } from "./load.js"
import type { Question } from "./scenario.js"
import { chunksPerStream, questions } from "./scenario.js"

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "1500" },
    warmup: { type: "string", default: "2000" },
    rounds: { type: "string", default: "2" },
    connections: { type: "string", default: "32,256" },
    memory: { type: "string", default: "0" },
    only: { type: "string" }
  }
})

const requests = Number(values.requests)
const warmup = Number(values.warmup)
const rounds = Number(values.rounds)
const memory = Number(values.memory)

interface Figures {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Microseconds a request; of a direct call it is not the gateway's. */
  readonly cpu: number
}

const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

const measured = async (
  contestant: Contestant,
  question: Question,
  connections: number,
  times: number
): Promise<Figures> => {
  const before = await contestant.used?.()
  const { latencies, wall } = await ask(contestant, question, { connections, requests: times })
  const after = await contestant.used?.()
  return {
    perSecond: times / wall,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpu: before === undefined || after === undefined ? 0 : (after.cpu - before.cpu) / times
  }
}

const better = (one: Figures | undefined, other: Figures): Figures =>
  one === undefined
    ? other
    : {
        perSecond: Math.max(one.perSecond, other.perSecond),
        p50: Math.min(one.p50, other.p50),
        p99: Math.min(one.p99, other.p99),
        cpu: Math.min(one.cpu, other.cpu)
      }

const row = (cells: ReadonlyArray<string>): void =>
  console.log(cells.map((cell, column) => (column === 0 ? cell.padEnd(24) : cell.padStart(13))).join(""))

const ratio = (mine: number, theirs: number | undefined): string =>
  theirs === undefined || theirs === 0 || mine === 0 ? "–" : (mine / theirs).toFixed(2)

const table = (question: Question, connections: number, results: ReadonlyMap<string, Figures>): void => {
  const direct = results.get("direct")
  const portkey = results.get("Portkey")
  const bare = results.get("bare @effect/platform")
  console.log(`\n${question.name}, ${connections} connections`)
  row([
    "",
    "requests/s",
    "÷ Portkey",
    "÷ bare",
    "p50 +ms",
    "p99 +ms",
    "CPU µs",
    ...(question.streamed ? ["a chunk"] : []),
    "÷ Portkey",
    "÷ bare"
  ])
  for (const [name, { cpu, p50, p99, perSecond }] of results) {
    row([
      name,
      perSecond.toFixed(0),
      ratio(perSecond, portkey?.perSecond),
      ratio(perSecond, bare?.perSecond),
      (p50 - (direct?.p50 ?? 0)).toFixed(1),
      (p99 - (direct?.p99 ?? 0)).toFixed(1),
      cpu === 0 ? "–" : cpu.toFixed(0),
      ...(question.streamed ? [cpu === 0 ? "–" : (cpu / chunksPerStream).toFixed(1)] : []),
      ratio(cpu, portkey?.cpu),
      ratio(cpu, bare?.cpu)
    ])
  }
}

const started = await start()
const wanted = values.only?.split(",")
const contestants = started.contestants.filter(({ name }) => wanted === undefined || wanted.includes(name.trim()))

try {
  console.log(`Node ${process.version}, ${process.platform} ${process.arch}; streams of ${chunksPerStream} chunks`)
  for (const question of questions)
    for (const contestant of contestants)
      await ask(contestant, question, { connections: 32, requests: Math.ceil(question.streamed ? warmup / 3 : warmup) })

  let asked = 0
  for (const question of questions) {
    const times = question.streamed ? Math.ceil(requests / 5) : requests
    for (const connections of values.connections.split(",").map(Number)) {
      const results = new Map<string, Figures>()
      for (let round = 0; round < rounds; round++) {
        for (const contestant of contestants) {
          const figures = await measured(contestant, question, connections, times)
          results.set(contestant.name, better(results.get(contestant.name), figures))
        }
        asked += times
      }
      table(question, connections, results)
    }
  }

  const [whole] = questions
  if (memory > 0 && whole !== undefined) {
    for (const contestant of contestants) {
      if (contestant.used !== undefined) await ask(contestant, whole, { connections: 32, requests: memory })
    }
  }
  console.log(`\nMemory after ${asked + memory} requests more`)
  row(["", "RSS MiB", "÷ Portkey"])
  const sizes = new Map<string, number>()
  for (const { name, used } of contestants) if (used !== undefined) sizes.set(name, (await used()).rss)
  for (const [name, rss] of sizes) row([name, (rss / 2 ** 20).toFixed(0), ratio(rss, sizes.get("Portkey"))])
} finally {
  started.stop()
}
