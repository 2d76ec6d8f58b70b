/** Figures of contestants, the best of several interleaved rounds, because other load only adds time. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Row, Unit } from "../report.js"
import { allUnits } from "../report.js"
import type { Competition, Contestant } from "./contestants.js"
import type { LoadResult } from "./load.js"
import { connect } from "./load.js"
import type { Question } from "./scenario.js"

export interface Entry {
  readonly name: string
  readonly contestant: Contestant
  readonly question: Question
}

export type Values = Readonly<Partial<Record<Unit, number>>>

export interface Rounds {
  readonly rounds: number
  readonly connections: number
  /** Requests to each contestant in a round. */
  readonly requests: number
  /** Requests to each contestant before the first round. */
  readonly warmup: number
  readonly gaps?: boolean
}

const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

const loadCpu = (): number => {
  const { system, user } = process.cpuUsage()
  return system + user
}

/** The highest RSS of a contestant while a task runs, read every 100 ms. */
const withPeak = async (
  { usage }: Contestant,
  task: () => Promise<LoadResult>
): Promise<{ readonly result: LoadResult; readonly peak: number | undefined }> => {
  if (usage === undefined) return { result: await task(), peak: undefined }
  const running = task()
  const hasEnded = running.then(() => true)
  let peak = 0
  while (!(await Promise.race([hasEnded, sleep(100, false)]))) peak = Math.max(peak, (await usage()).rss)
  return { result: await running, peak }
}

const measureRound = async (
  { contestant, question }: Entry,
  provider: Competition["provider"],
  { connections, gaps = false, requests }: Rounds
): Promise<Values> => {
  const load = connect(contestant, question, connections)
  try {
    const before = await contestant.usage?.()
    const loadBefore = loadCpu() + (await provider()).cpu
    const { peak, result } = gaps
      ? await withPeak(contestant, () => load.ask({ requests, gaps }))
      : { result: await load.ask({ requests }), peak: undefined }
    const loadAfter = loadCpu() + (await provider()).cpu
    const after = await contestant.usage?.()
    return {
      ...(before === undefined || after === undefined ? {} : { "CPU µs": (after.cpu - before.cpu) / requests }),
      "requests/s": requests / result.wall,
      "p50 ms": percentile(result.latencies, 0.5),
      "p99 ms": percentile(result.latencies, 0.99),
      "first byte ms": percentile(result.firstBytes, 0.5),
      ...(gaps ? { "gap p99 ms": percentile(result.gaps, 0.99) } : {}),
      ...(peak === undefined ? {} : { "RSS MiB": peak / 2 ** 20 }),
      "load µs": (loadAfter - loadBefore) / requests
    }
  } finally {
    await load.close()
  }
}

const better = (unit: Unit, one: number | undefined, other: number): number =>
  one === undefined ? other : unit === "requests/s" ? Math.max(one, other) : Math.min(one, other)

const best = (one: Values, other: Values): Values => {
  const values: Partial<Record<Unit, number>> = { ...one }
  for (const unit of allUnits) {
    const value = other[unit]
    if (value !== undefined) values[unit] = better(unit, one[unit], value)
  }
  return values
}

/** The row of what could not be measured. */
export const failed =
  (name: string) =>
  (cause: unknown): Row => ({ name, values: {}, error: cause instanceof Error ? cause.message : String(cause) })

/** Measures the entries in turn. An entry that failed once is not measured again. */
export const measureInTurn = async (
  entries: ReadonlyArray<Entry>,
  provider: Competition["provider"],
  options: Rounds
): Promise<ReadonlyArray<Row>> => {
  const rows = new Map<string, Row>()
  const attempt = async (name: string, task: () => Promise<Values>): Promise<void> => {
    const row = rows.get(name) ?? { name, values: {} }
    if (row.error !== undefined) return
    const measured = await task().then((values): Row => ({ name, values: best(row.values, values) }), failed(name))
    rows.set(name, measured)
  }
  for (const entry of entries)
    await attempt(entry.name, async () => {
      await measureRound(entry, provider, { ...options, requests: options.warmup })
      return {}
    })
  for (let round = 0; round < options.rounds; round++)
    for (const entry of entries) await attempt(entry.name, () => measureRound(entry, provider, options))
  return [...rows.values()]
}
