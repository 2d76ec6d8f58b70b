/**
 * Compares gateways in one run with the same provider: `npm run bench:gateway`. Compare the ratios; the absolute values depend on
 * the machine, which the load generator and the provider share.
 *
 * Every contestant is a separate process. Rounds are interleaved and the best of each counts, because other load only adds time.
 * The time added to a direct call is mostly queueing at this load; one connection (`--connections 1`) shows the latency.
 *
 * `--warmup 2000`: requests before the measurement, so that the code is compiled, and a third as many streams.
 * `--requests 1500`: requests per contestant, JSON cell and round, and a fifth as many streams. `--rounds 2`.
 * `--connections 32,256`. `--memory 0`: further JSON requests to each contestant before its memory is read.
 * `--only effect-llm,Portkey`: selects contestants.
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
  /** Microseconds per request; 0 for direct calls. */
  readonly cpu: number
}

const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

const measure = async (
  contestant: Contestant,
  question: Question,
  connections: number,
  times: number
): Promise<Figures> => {
  const before = await contestant.resourceUsage?.()
  const { latencies, wall } = await ask(contestant, question, { connections, requests: times })
  const after = await contestant.resourceUsage?.()
  return {
    perSecond: times / wall,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpu: before === undefined || after === undefined ? 0 : (after.cpu - before.cpu) / times
  }
}

const best = (one: Figures | undefined, other: Figures): Figures =>
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

const competition = await start()
const names = values.only?.split(",")
const contestants = competition.contestants.filter(({ name }) => names === undefined || names.includes(name.trim()))

try {
  console.log(`Node ${process.version}, ${process.platform} ${process.arch}; streams of ${chunksPerStream} chunks`)
  for (const question of questions)
    for (const contestant of contestants)
      await ask(contestant, question, { connections: 32, requests: Math.ceil(question.streamed ? warmup / 3 : warmup) })

  let requestCount = 0
  for (const question of questions) {
    const times = question.streamed ? Math.ceil(requests / 5) : requests
    for (const connections of values.connections.split(",").map(Number)) {
      const results = new Map<string, Figures>()
      for (let round = 0; round < rounds; round++) {
        for (const contestant of contestants) {
          const figures = await measure(contestant, question, connections, times)
          results.set(contestant.name, best(results.get(contestant.name), figures))
        }
        requestCount += times
      }
      table(question, connections, results)
    }
  }

  const [wholeAnswer] = questions
  if (memory > 0 && wholeAnswer !== undefined) {
    for (const contestant of contestants) {
      if (contestant.resourceUsage !== undefined)
        await ask(contestant, wholeAnswer, { connections: 32, requests: memory })
    }
  }
  console.log(`\nMemory after ${requestCount + memory} further requests`)
  row(["", "RSS MiB", "÷ Portkey"])
  const sizes = new Map<string, number>()
  for (const { name, resourceUsage } of contestants)
    if (resourceUsage !== undefined) sizes.set(name, (await resourceUsage()).rss)
  for (const [name, rss] of sizes) row([name, (rss / 2 ** 20).toFixed(0), ratio(rss, sizes.get("Portkey"))])
} finally {
  competition.stop()
}
