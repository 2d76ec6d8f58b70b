/** The parts of the benchmark. Each starts its contestants anew, so that none is measured with what another part left behind. */
import type { Aim, Group, Row, Unit } from "../report.js"
import type { Name } from "./contestants.js"
import { compete } from "./contestants.js"
import { failed, measureInTurn } from "./measure.js"
import type { Entry } from "./measure.js"
import type { MemoryOptions } from "./memory.js"
import { memoryOf } from "./memory.js"
import type { Question, Questions } from "./scenario.js"
import { chunksPerStream, fromAnthropic, passthrough, slow, slowStream, toAnthropic } from "./scenario.js"

export interface Options {
  readonly connections: ReadonlyArray<number>
  /** JSON requests to a contestant in a round. */
  readonly requests: number
  /** JSON requests to a contestant before the first round, so that its code is compiled. */
  readonly warmup: number
  readonly rounds: number
  /** Slow streams at once. */
  readonly slow: number
  readonly memory: MemoryOptions
  readonly isSelected: (name: Name) => boolean
}

export type Part = (options: Options) => Promise<ReadonlyArray<Group>>

type Answer = keyof Questions

const answers: ReadonlyArray<Answer> = ["whole", "stream"]

const nameOf: Readonly<Record<Answer, string>> = { whole: "JSON", stream: `streams of ${chunksPerStream} chunks` }

/** Streams count as this many JSON requests where a number of requests is given. */
const requestsPerStream: Readonly<Record<Answer, number>> = { whole: 1, stream: 4 }

const ours: Name = "effect-llm"

const besidePortkey = { dividedBy: "Portkey" } as const

const loadUnits: ReadonlyArray<Unit> = ["CPU µs", "requests/s", "p50 ms", "p99 ms", "load µs"]

const latencyUnits: ReadonlyArray<Unit> = ["p50 ms", "p99 ms", "first byte ms"]

const only = (rows: ReadonlyArray<Row>, units: ReadonlyArray<Unit>): ReadonlyArray<Row> =>
  rows.map((row) => {
    const values: Partial<Record<Unit, number>> = {}
    for (const unit of units) {
      const value = row.values[unit]
      if (value !== undefined) values[unit] = value
    }
    return { ...row, values }
  })

/** A row of a comparison: what a contestant is asked. */
interface Lane {
  readonly name: string
  readonly contestant: Name
  readonly question: Question
}

const sameQuestion = (names: ReadonlyArray<Name>, question: Question): ReadonlyArray<Lane> =>
  names.map((name) => ({ name, contestant: name, question }))

interface Load {
  readonly connections: number
  readonly requests: number
  readonly warmup: number
  readonly gaps?: boolean
}

/** Measures lanes in the same rounds, with a process for each contestant. */
const compareLanes = (
  { isSelected, rounds }: Options,
  lanes: ReadonlyArray<Lane>,
  loads: ReadonlyArray<Load>
): Promise<ReadonlyArray<ReadonlyArray<Row>>> => {
  const names = [...new Set(lanes.map(({ contestant }) => contestant))].filter(isSelected)
  return compete(names, async ({ contestants, provider }) => {
    const entries = lanes.flatMap((lane): ReadonlyArray<Entry> => {
      const contestant = contestants.find(({ name }) => name === lane.contestant)
      return contestant === undefined ? [] : [{ ...lane, contestant }]
    })
    const groups: Array<ReadonlyArray<Row>> = []
    for (const load of loads) groups.push(await measureInTurn(entries, provider, { rounds, ...load }))
    return groups
  })
}

const timesOf = ({ requests, warmup }: Options, answer: Answer) => ({
  requests: Math.ceil(requests / requestsPerStream[answer]),
  warmup: Math.ceil(warmup / requestsPerStream[answer])
})

/** Connections at which requests a second are aimed at: with more of them the load generator itself has too little CPU. */
const aimedConnections = 32

const gateways: ReadonlyArray<Name> = ["direct", "bare node:http", "bare @effect/platform", "Portkey", ours]

const underLoad =
  (answer: Answer, limits: { readonly cpu: number; readonly perSecond: number }): Part =>
  async (options) => {
    const times = timesOf(options, answer)
    const loads = options.connections.map((connections) => ({ connections, ...times }))
    const measured = await compareLanes(options, sameQuestion(gateways, passthrough[answer]), loads)
    return measured.map((rows, index): Group => {
      const connections = options.connections[index] ?? 0
      const perSecond: Aim = {
        row: ours,
        unit: "requests/s",
        bound: "at least",
        limit: limits.perSecond,
        beside: besidePortkey
      }
      return {
        title: `${nameOf[answer]}, ${connections} connections`,
        rows: only(rows, loadUnits),
        baselines: ["Portkey", "bare node:http"],
        divided: ["CPU µs", "requests/s"],
        aims: [
          { row: ours, unit: "CPU µs", limit: limits.cpu, beside: besidePortkey },
          ...(connections === aimedConnections ? [perSecond] : [])
        ]
      }
    })
  }

const portkeyUnchanged = "Portkey, unchanged"

const translated = `${ours}, Anthropic client, OpenAI provider`

/** Portkey cannot answer Anthropic's clients from OpenAI's providers, only the other way round. */
const translation: Part = async (options) => {
  const limits = { whole: 0.4, stream: 0.6 }
  const groups: Array<Group> = []
  for (const answer of answers) {
    const lanes: ReadonlyArray<Lane> = [
      { name: portkeyUnchanged, contestant: "Portkey", question: passthrough[answer] },
      { name: "Portkey, OpenAI client, Anthropic provider", contestant: "Portkey", question: toAnthropic[answer] },
      { name: `${ours}, unchanged`, contestant: ours, question: passthrough[answer] },
      { name: `${ours}, OpenAI client, Anthropic provider`, contestant: ours, question: toAnthropic[answer] },
      { name: translated, contestant: ours, question: fromAnthropic[answer] }
    ]
    const loads = [{ connections: aimedConnections, ...timesOf(options, answer) }]
    for (const rows of await compareLanes(options, lanes, loads))
      groups.push({
        title: `translation, ${nameOf[answer]}, ${aimedConnections} connections`,
        rows: only(rows, loadUnits),
        baselines: [portkeyUnchanged],
        divided: ["CPU µs", "requests/s"],
        aims: [{ row: translated, unit: "CPU µs", limit: limits[answer], beside: { dividedBy: portkeyUnchanged } }]
      })
  }
  return groups
}

const logAndMetrics: Part = async (options) => {
  const observed: Name = "effect-llm, log and metrics"
  const groups: Array<Group> = []
  for (const answer of answers) {
    const loads = [{ connections: aimedConnections, ...timesOf(options, answer) }]
    for (const rows of await compareLanes(options, sameQuestion([ours, observed], passthrough[answer]), loads))
      groups.push({
        title: `log and metrics, ${nameOf[answer]}, ${aimedConnections} connections`,
        rows: only(rows, loadUnits),
        baselines: [ours],
        divided: ["CPU µs", "requests/s"],
        aims: [{ row: observed, unit: "CPU µs", limit: 1.15, beside: { dividedBy: ours } }]
      })
  }
  return groups
}

const oneConnection: Part = async (options) => {
  const lessDirect = { less: "direct" } as const
  const aims: Readonly<Record<Answer, ReadonlyArray<Aim>>> = {
    whole: [
      { row: ours, unit: "p50 ms", limit: 1, beside: lessDirect },
      { row: ours, unit: "p99 ms", limit: 3, beside: lessDirect }
    ],
    stream: [{ row: ours, unit: "first byte ms", limit: 1, beside: lessDirect }]
  }
  const groups: Array<Group> = []
  for (const answer of answers) {
    const loads = [{ connections: 1, ...timesOf(options, answer) }]
    for (const rows of await compareLanes(options, sameQuestion(gateways, passthrough[answer]), loads))
      groups.push({
        title: `one connection, ${nameOf[answer]}`,
        rows: only(rows, latencyUnits),
        plain: "direct",
        aims: aims[answer]
      })
  }
  return groups
}

/** All streams start at once, and nothing else is asked before they have ended. */
const slowStreams: Part = async (options) => {
  const load = { connections: options.slow, requests: options.slow, warmup: options.slow, gaps: true }
  const measured = await compareLanes(options, sameQuestion(gateways, slow), [load])
  return measured.map((rows) => ({
    title: `${options.slow} slow streams at once, ${slowStream.chunks} chunks at ${slowStream.interval} ms`,
    rows: only(rows, ["CPU µs", "RSS MiB", "gap p99 ms", "first byte ms", "load µs"]),
    baselines: ["Portkey"],
    divided: ["CPU µs", "RSS MiB"]
  }))
}

const memory: Part = async ({ isSelected, memory: options }) => {
  const names: ReadonlyArray<Name> = ["Portkey", ours, "effect-llm, log and metrics"]
  const rows: Array<Row> = []
  for (const name of names.filter(isSelected)) {
    rows.push(await memoryOf(name, options).then((values): Row => ({ name, values }), failed(name)))
  }
  return [
    {
      title: `memory after ${options.requests} requests, median of ${options.runs}`,
      rows,
      baselines: ["Portkey"],
      aims: [
        { row: ours, unit: "RSS MiB", limit: 1.1, beside: besidePortkey },
        { row: ours, unit: "RSS kB/request", limit: 1 },
        { row: ours, unit: "heap kB/request", limit: 1 }
      ]
    }
  ]
}

export const parts: Readonly<Record<string, Part>> = {
  json: underLoad("whole", { cpu: 0.25, perSecond: 4 }),
  streams: underLoad("stream", { cpu: 0.4, perSecond: 2.2 }),
  translation,
  "log and metrics": logAndMetrics,
  "one connection": oneConnection,
  slow: slowStreams,
  memory
}
