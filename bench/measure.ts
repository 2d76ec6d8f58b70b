/** CPU and wall time of a task, the best of several interleaved rounds, because other load only adds time. */
export interface Contestant {
  readonly name: string
  /** Runs the task `times` times and returns the number of units of work. */
  readonly run: (times: number) => Promise<number>
}

export interface Result {
  readonly name: string
  /** Microseconds of CPU per unit. */
  readonly cpu: number
  /** Microseconds of wall-clock time per unit. */
  readonly wall: number
}

export const compare = async (
  contestants: ReadonlyArray<Contestant>,
  options: { readonly rounds: number; readonly times: number }
): Promise<ReadonlyArray<Result>> => {
  for (const contestant of contestants) await contestant.run(options.times)
  const best = contestants.map((contestant) => ({ name: contestant.name, cpu: Infinity, wall: Infinity }))
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, contestant] of contestants.entries()) {
      const cpuBefore = process.cpuUsage()
      const wallBefore = performance.now()
      const units = await contestant.run(options.times)
      const wall = ((performance.now() - wallBefore) * 1000) / units
      const used = process.cpuUsage(cpuBefore)
      const cpu = (used.user + used.system) / units
      const bestResult = best[index]
      if (bestResult !== undefined) {
        bestResult.cpu = Math.min(bestResult.cpu, cpu)
        bestResult.wall = Math.min(bestResult.wall, wall)
      }
    }
  }
  return best
}

export const print = (title: string, results: ReadonlyArray<Result>, baselines: ReadonlyArray<string>): void => {
  console.log(`\n${title}`)
  console.log(
    ["", "CPU µs", "wall µs", ...baselines.map((name) => `CPU ÷ ${name}`)]
      .map((cell, column) => (column === 0 ? cell.padEnd(44) : cell.padStart(18)))
      .join("")
  )
  for (const result of results) {
    const ratios = baselines.map((name) => {
      const baseline = results.find((other) => other.name === name)
      return baseline === undefined ? "–" : (result.cpu / baseline.cpu).toFixed(2)
    })
    console.log(
      [result.name, result.cpu.toFixed(1), result.wall.toFixed(1), ...ratios]
        .map((cell, column) => (column === 0 ? cell.padEnd(44) : cell.padStart(18)))
        .join("")
    )
  }
}

/** A baseline, and variants that add something to it. */
export interface Group {
  readonly plain: Contestant
  readonly others: ReadonlyArray<Contestant>
}

/** Measures each group together, and prints what each variant adds to its baseline. */
export const printAdded = async (
  title: string,
  groups: ReadonlyArray<Group>,
  options: { readonly rounds: number; readonly times: number }
): Promise<void> => {
  const row = (cells: ReadonlyArray<string>): void =>
    console.log(cells.map((cell, column) => (column === 0 ? cell.padEnd(44) : cell.padStart(18))).join(""))
  console.log(`\n${title}`)
  row(["", "CPU µs", "wall µs", "CPU µs added", "CPU ÷ plain"])
  for (const { others, plain } of groups) {
    const [base, ...rest] = await compare([plain, ...others], options)
    if (base === undefined) continue
    row([base.name, base.cpu.toFixed(1), base.wall.toFixed(1), "", ""])
    for (const { cpu, name, wall } of rest) {
      const added = cpu - base.cpu
      const sign = added < 0 ? "−" : "+"
      row([
        `  ${name}`,
        cpu.toFixed(1),
        wall.toFixed(1),
        sign + Math.abs(added).toFixed(1),
        (cpu / base.cpu).toFixed(2)
      ])
    }
  }
}
