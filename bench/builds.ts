/**
 * Compares the build for Effect 4 with that for Effect 3, in one run: calls in memory, the cold import and bundles. Needs `npm run build`, and
 * `npm run build:effect4`, without which only Effect 3 is measured.
 *
 * Both run on the Node of `.effect4`, because the Node that runs the benchmark can be older than Effect 4 allows, and a version of Node
 * changes these figures as much as a version of Effect does. Effect 3 is measured on the Node of the benchmark as well.
 */
import { build } from "esbuild"
import type { ChildProcess } from "node:child_process"
import { execFileSync, fork } from "node:child_process"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { importing } from "./imports.js"
import type { Aim, Group, Row, Unit } from "./report.js"
import { bundled } from "./size.js"

interface Build {
  readonly name: string
  readonly folder: string
  /** The Node that runs it. */
  readonly node: string
  /** The package whose `FetchHttpClient` its programs take. */
  readonly platform: string
}

const target = ".effect4"
const program = "test/effect4/costs.ts"
const newerNode = resolve(target, "node_modules/.bin/node")

const missing = [`${target}/dist/index.js`, `${target}/${program}`, newerNode].find((path) => !existsSync(path))

const versionOf = (node: string): string => execFileSync(node, ["--version"], { encoding: "utf8" }).trim()

const buildOf = (effect: 3 | 4, node: string): Build => ({
  name: `Effect ${effect}, Node ${versionOf(node)}`,
  folder: effect === 3 ? "." : target,
  node,
  platform: effect === 3 ? "@effect/platform" : "effect/http"
})

const older = buildOf(3, process.execPath)
const [baseline, newer] = missing === undefined ? [buildOf(3, newerNode), buildOf(4, newerNode)] : [older, undefined]

const builds = [...new Set([older, baseline, ...(newer === undefined ? [] : [newer])])]

const notBuilt: ReadonlyArray<Row> =
  missing === undefined
    ? []
    : [{ name: "Effect 4", values: {}, error: `${missing} is missing: \`npm run build:effect4\` writes it` }]

/** The rows of the builds, and the ratio that the build for Effect 4 should not exceed. */
const comparison = (title: string, unit: Unit, limit: number, measured: ReadonlyArray<Row>): Group => ({
  title,
  rows: [...measured, ...notBuilt],
  baselines: [baseline.name],
  aims: [aimOf(unit, limit, newer?.name ?? "Effect 4", baseline.name)]
})

const aimOf = (unit: Unit, limit: number, row: string, dividedBy: string): Aim => ({
  row,
  unit,
  limit,
  beside: { dividedBy }
})

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

const chats = { limit: 0.8, times: 3000 }
const streams = { limit: 0.6, times: 150 }

const subjects = [
  { ...chats, name: "chat, direct", title: "A chat in memory over the direct transport" },
  { ...chats, name: "chat, HttpClient", title: "A chat in memory over an HttpClient" },
  { ...streams, name: "stream, direct", title: "A stream of 50 events in memory over the direct transport" },
  { ...streams, name: "stream, HttpClient", title: "A stream of 50 events in memory over an HttpClient" }
]

/** The rounds that are not counted are those in which the code of a call is still being compiled. */
const rounds = { warmUp: 6, counted: 12 }

/** Starts the program of a build, compiled beside the packages that it imports. */
const start = async ({ folder, node }: Build): Promise<ChildProcess> => {
  const outfile = resolve(folder, folder === "." ? "bench/dist/builds" : ".bench", "costs.js")
  await build({
    entryPoints: [resolve(folder, program)],
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    outfile
  })
  return fork(outfile, { execPath: node, execArgv: [] })
}

/** Microseconds of CPU of one call. */
const costOf = (child: ChildProcess, name: string, times: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`the program of the benchmark ended with ${code}`))
    child.once("exit", ended)
    child.once("message", (answer: { readonly cpu: number } | { readonly error: string }) => {
      child.off("exit", ended)
      if ("error" in answer) reject(new Error(answer.error))
      else resolve(answer.cpu)
    })
    child.send({ name, times })
  })

/** The best costs of each subject, in the order of the builds. Each round has all subjects, and each of them all builds. */
const bestCosts = async (children: ReadonlyArray<ChildProcess>): Promise<ReadonlyArray<ReadonlyArray<number>>> => {
  const best = subjects.map(() => children.map(() => Infinity))
  for (let round = 0; round < rounds.warmUp + rounds.counted; round++) {
    for (const [index, { name, times }] of subjects.entries()) {
      const costs: Array<number> = []
      for (const child of children) costs.push(await costOf(child, name, times))
      if (round >= rounds.warmUp)
        best[index] = costs.map((cost, build) => Math.min(cost, best[index]?.[build] ?? Infinity))
    }
  }
  return best
}

const calls = async (): Promise<ReadonlyArray<Group>> => {
  const children = await Promise.all(builds.map(start))
  try {
    const best = await bestCosts(children)
    return subjects.map(({ limit, title }, index) => {
      const rows = builds.map(({ name }, build) => ({
        name,
        values: { "CPU µs": best[index]?.[build] ?? Infinity }
      }))
      return comparison(`${title}, the best of ${rounds.counted}`, "CPU µs", limit, rows)
    })
  } finally {
    for (const child of children) child.kill()
  }
}

// -------------------------------------------------------------------------------------
// the import, and bundles
// -------------------------------------------------------------------------------------

const imports = (): Group => {
  const best = builds.map(() => ({ cpu: Infinity, wall: Infinity }))
  for (let round = 0; round < rounds.counted; round++) {
    for (const [index, { folder, node }] of builds.entries()) {
      const { cpu, wall } = importing([new URL(`file://${resolve(folder, "dist/index.js")}`).href], node)
      const before = best[index] ?? { cpu, wall }
      best[index] = { cpu: Math.min(before.cpu, cpu), wall: Math.min(before.wall, wall) }
    }
  }
  const rows = builds.map(({ name }, index): Row => ({
    name,
    values: { "CPU ms": best[index]?.cpu ?? Infinity, ms: best[index]?.wall ?? Infinity }
  }))
  return comparison(`Cold import of effect-llm, the best of ${rounds.counted}`, "CPU ms", 0.7, rows)
}

const sizes = async (): Promise<ReadonlyArray<Group>> =>
  Promise.all(
    (["modules", "index"] as const).map(async (part) =>
      comparison(
        `A chat with one client from the ${part} of effect-llm, bundled for a browser, minified and gzipped`,
        "kB",
        0.9,
        await Promise.all(
          [baseline, ...(newer === undefined ? [] : [newer])].map(async ({ folder, name, platform }) => ({
            name,
            values: { kB: await bundled(part, { folder, platform }) }
          }))
        )
      )
    )
  )

export const bothBuilds = async (): Promise<ReadonlyArray<Group>> => [...(await calls()), imports(), ...(await sizes())]
