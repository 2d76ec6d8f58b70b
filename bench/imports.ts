/** Measures the start of processes: of the command line, and of an import. Needs `npm run build` for effect-llm. */
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import type { Group } from "./report.js"

const rounds = 9

/** The shortest time of each of the commands, in turn, in milliseconds. */
const shortest = <Subject>(
  subjects: ReadonlyArray<readonly [name: string, subject: Subject]>,
  time: (subject: Subject) => number
) => {
  const best = subjects.map(() => Infinity)
  for (let round = 0; round < rounds; round++)
    for (const [index, [, subject]] of subjects.entries())
      best[index] = Math.min(best[index] ?? Infinity, time(subject))
  return subjects.map(([name], index) => ({ name, values: { ms: best[index] ?? Infinity } }))
}

const node = (args: ReadonlyArray<string>, execPath = process.execPath): string => {
  const { error, status, stderr, stdout } = spawnSync(execPath, args, { encoding: "utf8" })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}: ${stderr.slice(0, 500)}`)
  return stdout
}

const runTime = (args: ReadonlyArray<string>): number => {
  const before = performance.now()
  node(args)
  return performance.now() - before
}

/** The time of imports in a new process, and its CPU, in milliseconds. */
export const importing = (
  specifiers: ReadonlyArray<string>,
  execPath?: string
): { readonly cpu: number; readonly wall: number } => {
  const imports = specifiers.map((specifier) => `await import(${JSON.stringify(specifier)})`).join("; ")
  const code = `const cpu = process.cpuUsage(), before = performance.now(); ${imports}; const wall = performance.now() - before
    const { system, user } = process.cpuUsage(cpu); console.log((user + system) / 1000, wall)`
  const [cpu, wall] = node(["--input-type=module", "-e", code], execPath).split(" ").map(Number)
  return { cpu: cpu ?? NaN, wall: wall ?? NaN }
}

const importTime = (specifiers: ReadonlyArray<string>): number => importing(specifiers).wall

const index = "dist/index.js"

/** The modules of `effect` and `@effect/platform` that the index imports. */
const modulesOfEffect = async (): Promise<ReadonlyArray<string>> => {
  const { metafile } = await build({
    entryPoints: [index],
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    metafile: true,
    write: false,
    // Imports of types have been removed already; all others are followed.
    treeShaking: false
  })
  const imported = Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.flatMap(({ external, path }) => (external === true ? [path] : []))
  )
  return [...new Set(imported)].filter((path) => /^(effect|@effect\/platform)(\/|$)/.test(path))
}

export const importTimes = async (): Promise<Group> => {
  const needed = "what effect-llm imports of them"
  const whole = "effect and @effect/platform"
  const ours = "effect-llm"
  return {
    title: `Cold import, the best of ${rounds}`,
    rows: shortest(
      [
        ["effect", ["effect"]],
        [whole, ["effect", "@effect/platform"]],
        [needed, await modulesOfEffect()],
        [ours, [new URL(`../${index}`, import.meta.url).href]],
        ["openai", ["openai"]],
        ["ai", ["ai"]]
      ],
      importTime
    ),
    baselines: [whole, needed],
    aims: [
      { row: ours, unit: "ms", limit: 1.3, beside: { dividedBy: whole } },
      { row: ours, unit: "ms", limit: 1.3, beside: { dividedBy: needed } }
    ]
  }
}

export const startTimes = async (): Promise<Group> => {
  const empty = "node -e 0"
  const program = "dist/cli/effect-llm.js"
  const subjects: ReadonlyArray<readonly [name: string, args: ReadonlyArray<string>]> = [
    [empty, ["-e", "0"]],
    ["effect-llm --help", [program, "--help"]],
    ["effect-llm --version", [program, "--version"]],
    ["effect-llm ask --help", [program, "ask", "--help"]]
  ]
  return {
    title: `The start of the command line, the best of ${rounds}`,
    rows: shortest(subjects, runTime),
    baselines: [empty],
    aims: subjects.slice(1, 3).map(([row]) => ({ row, unit: "ms", limit: 4, beside: { dividedBy: empty } }))
  }
}
