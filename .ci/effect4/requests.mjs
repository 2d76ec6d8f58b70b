// Compares the requests of both builds byte for byte: method, URL, headers in their order, and body, for every provider client, and how
// each call ends. `node .ci/effect4/requests.mjs [CALLS]` after `npm run build:effect4`; there are 75 calls of each kind by default.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { builds } from "./builds.mjs"

const calls = process.argv[2] ?? "75"
const folder = mkdtempSync(join(tmpdir(), "effect-llm-requests-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

const [three, four] = builds.map(({ cwd, effect, node }) => {
  const path = join(folder, `${effect}.ndjson`)
  const { status } = spawnSync(node, ["--import", "tsx", "test/effect4/requests.ts", path, calls], {
    cwd,
    stdio: "inherit"
  })
  if (status !== 0) throw new Error(`The requests with Effect ${effect} were not written: ${status}`)
  return readFileSync(path, "utf8").trimEnd().split("\n")
})

const counts = new Map()
let differences = 0
for (let index = 0; index < Math.max(three.length, four.length); index++) {
  const [one, other] = [three[index], four[index]]
  if (one !== other) {
    differences++
    if (differences <= 5) {
      let at = 0
      while (one?.[at] !== undefined && one[at] === other?.[at]) at++
      const { kind, provider, wire } = JSON.parse(one ?? other)
      console.error(`${wire}, ${provider}, ${kind}, line ${index + 1}, differs after ${at} characters`)
      for (const [effect, line] of [
        ["3", one],
        ["4", other]
      ])
        console.error(`  Effect ${effect}: …${(line ?? "no line").slice(Math.max(0, at - 80), at + 120)}`)
    }
    continue
  }
  const { sent, wire } = JSON.parse(one)
  const count = counts.get(wire) ?? { requests: 0, refused: 0 }
  if (sent.length === 0) count.refused++
  count.requests += sent.length
  counts.set(wire, count)
}

for (const [wire, { refused, requests }] of counts)
  console.log(`${wire}: ${requests} equal requests, and ${refused} calls that both builds refuse with the same error`)
const enough = 500
const few = [...counts]
  .filter(([wire, { requests }]) => wire !== "embeddings" && requests < enough)
  .map(([wire]) => wire)
if (few.length > 0) console.error(`Fewer than ${enough} requests were sent: ${few.join(", ")}`)
if (differences > 0) console.error(`${differences} of ${three.length} calls differ between the builds.`)
if (differences > 0 || few.length > 0) process.exitCode = 1
