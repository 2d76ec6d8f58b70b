/** CPU and wall time of a task, the best of several interleaved rounds, because other load only adds time. */
import { calibration } from "./calibration.js"

export interface Contestant {
  readonly name: string
  /** Runs the task `times` times and returns the number of units of work. */
  readonly run: (times: number) => Promise<number>
}

export interface Measured {
  readonly name: string
  /** Microseconds of CPU per unit. */
  readonly cpu: number
  /** Microseconds of wall-clock time per unit. */
  readonly wall: number
}

/** A contestant that failed once is not measured again. */
export interface Failed {
  readonly name: string
  readonly error: string
}

export type Result = Measured | Failed

export interface Comparison {
  readonly results: ReadonlyArray<Result>
  /** The calibration, measured in the same rounds. */
  readonly calibration: Result
}

const describe = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const code = "code" in cause ? ` (${String(cause.code)})` : ""
  return `${cause.name}: ${cause.message}${code}`
}

/**
 * Measures one run. A failure is that of the contestant, also when it comes as the `error` event of a socket that nobody listens to or as
 * an unhandled rejection.
 */
const measure = async ({ name, run }: Contestant, times: number): Promise<Result> => {
  let listener: ((cause: unknown) => void) | undefined
  const uncaught = new Promise<never>((_, reject) => {
    listener = reject
    process.on("uncaughtException", reject)
  })
  const cpuBefore = process.cpuUsage()
  const wallBefore = performance.now()
  try {
    const units = await Promise.race([run(times), uncaught])
    const wall = ((performance.now() - wallBefore) * 1000) / units
    const { system, user } = process.cpuUsage(cpuBefore)
    return { name, cpu: (user + system) / units, wall }
  } catch (cause) {
    return { name, error: describe(cause) }
  } finally {
    if (listener !== undefined) process.off("uncaughtException", listener)
  }
}

const best = (one: Result, other: Result): Result =>
  "error" in one
    ? one
    : "error" in other
      ? other
      : { name: one.name, cpu: Math.min(one.cpu, other.cpu), wall: Math.min(one.wall, other.wall) }

/** Measures the contestants and the calibration in turn, after a round that is not counted. */
export const compare = async (
  contestants: ReadonlyArray<Contestant>,
  { rounds, times }: { readonly rounds: number; readonly times: number }
): Promise<Comparison> => {
  const all = [{ contestant: calibration, times: 2000 }, ...contestants.map((contestant) => ({ contestant, times }))]
  const results: Array<Result> = []
  for (const { contestant, times } of all) {
    const warmUp = await measure(contestant, times)
    results.push("error" in warmUp ? warmUp : { name: contestant.name, cpu: Infinity, wall: Infinity })
  }
  for (let round = 0; round < rounds; round++) {
    for (const [index, { contestant, times }] of all.entries()) {
      const before = results[index]
      if (before !== undefined && !("error" in before)) results[index] = best(before, await measure(contestant, times))
    }
  }
  const [first, ...rest] = results
  return { results: rest, calibration: first ?? { name: calibration.name, error: "not measured" } }
}
