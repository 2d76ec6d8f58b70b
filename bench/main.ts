/**
 * Measures costs in one run: `npm run bench`. Compare the ratios; the absolute values depend on the machine, and the scaled ones are
 * those of a machine where `JSON.parse` of a fixed body takes its reference time.
 *
 * `--json figures.json` writes all figures to a file. `--only socket,redis` measures only the parts whose names contain one of the
 * texts.
 *
 * Everything is compiled before, like a program that uses the package. The provider runs in its own process, so that only the
 * client's work is counted.
 */
import { fork } from "node:child_process"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { bothBuilds } from "./builds.js"
import { importTimes, startTimes } from "./imports.js"
import { overSockets } from "./peers.js"
import { permits, poolLeases } from "./pieces.js"
import { addedToChats, addedToStreams, chatsInMemory, chunksInMemory } from "./production.js"
import { sharedThroughRedis } from "./redis.js"
import type { Group } from "./report.js"
import { describeVerdict, reportOf, tableOf, verdictsOf } from "./report.js"
import { bundleSizes } from "./size.js"
import { wireCosts } from "./wires.js"

const { values } = parseArgs({ options: { json: { type: "string" }, only: { type: "string", default: "" } } })

const sockets = async (): Promise<ReadonlyArray<Group>> => {
  const server = fork(fileURLToPath(new URL("server.js", import.meta.url)), { execArgv: [] })
  try {
    const port = await new Promise<number>((resolve, reject) => {
      server.once("message", (message) => resolve(Number(message)))
      server.once("exit", (code) => reject(new Error(`the provider of the benchmark ended with ${code}`)))
    })
    return await overSockets(`http://127.0.0.1:${port}/v1`)
  } finally {
    server.kill()
  }
}

const parts: Readonly<Record<string, () => Promise<Group | ReadonlyArray<Group>>>> = {
  // First, because they are the shortest: what other parts leave in the heap adds a microsecond of garbage collection to each piece.
  leases: poolLeases,
  permits,
  sockets,
  "chats in memory": chatsInMemory,
  "chunks in memory": chunksInMemory,
  "features of chats": addedToChats,
  "features of streams": addedToStreams,
  redis: sharedThroughRedis,
  wires: wireCosts,
  bundles: bundleSizes,
  builds: bothBuilds,
  starts: startTimes,
  imports: importTimes
}

const selected = values.only.split(",").map((text) => text.trim())

console.log(`Node ${process.version}, ${process.platform} ${process.arch}`)
const groups: Array<Group> = []
for (const [name, measure] of Object.entries(parts)) {
  if (!selected.some((text) => name.includes(text))) continue
  // A part that cannot be measured is a row of the report, and the others are measured.
  const measured = await measure().catch((cause: unknown): Group => ({
    title: name,
    rows: [{ name, values: {}, error: cause instanceof Error ? cause.message : String(cause) }]
  }))
  for (const group of [measured].flat()) {
    console.log(tableOf(group))
    groups.push(group)
  }
}

const verdicts = groups.flatMap(verdictsOf)
if (verdicts.length > 0) console.log("\nAims")
for (const verdict of verdicts) console.log(`  ${verdict.group}. ${describeVerdict(verdict)}`)

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(reportOf(groups), undefined, 2)}\n`)
