/**
 * Compares gateways in front of the same provider: `npm run bench:gateway`. The ratios of CPU in one run are the result. Requests a
 * second are reported, but load generator and provider share the cores with the gateway, so they say less the faster the gateway is:
 * `load µs` is the CPU that the two use for each request. Absolute values depend on the machine.
 *
 * Every contestant is a separate process. Rounds are interleaved and the best of each counts, because other load only adds time.
 * Portkey's gateway runs with an override (`versions.ts`): as it is installed it answers every stream with 500.
 *
 * `--json figures.json` writes all figures to a file, with the machine, the versions and the options. `--only json,memory` measures only the parts
 * whose names contain one of the texts, and `--contestants effect-llm,Portkey` only the contestants.
 *
 * `--requests 1500`: JSON requests per contestant and round, and a quarter as many streams. `--rounds 3`.
 * `--warmup 20000`: as many before the first round: V8 goes on compiling the code of a gateway for thousands of requests. `--connections 32,256`, where JSON and streams are
 * measured under load. `--slow 500`: slow streams at once.
 * `--memory 100000`: requests before the memory is read, in each of `--runs 3` processes, after `--idle 10` seconds without any. This
 * part takes most of the time.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import type { Group } from "../report.js"
import { describeVerdict, reportOf, tableOf, verdictsOf } from "../report.js"
import { failed } from "./measure.js"
import { parts } from "./parts.js"
import { overrides, versions as installed } from "./versions.js"

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string", default: "" },
    contestants: { type: "string", default: "" },
    requests: { type: "string", default: "1500" },
    warmup: { type: "string", default: "20000" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "32,256" },
    slow: { type: "string", default: "500" },
    memory: { type: "string", default: "100000" },
    runs: { type: "string", default: "3" },
    idle: { type: "string", default: "10" }
  }
})

/** Whether a name contains one of the texts of an option. */
const selection = (option: string) => {
  const texts = option.split(",").map((text) => text.trim())
  return (name: string): boolean => texts.some((text) => name.includes(text))
}

const isPart = selection(values.only)

const options = {
  connections: values.connections.split(",").map(Number),
  requests: Number(values.requests),
  warmup: Number(values.warmup),
  rounds: Number(values.rounds),
  slow: Number(values.slow),
  memory: { requests: Number(values.memory), runs: Number(values.runs), idle: Number(values.idle) * 1000 },
  isSelected: selection(values.contestants)
}

const versions = installed()

console.log(`Node ${process.version}, ${process.platform} ${process.arch}`)
for (const [name, version] of Object.entries(versions)) console.log(`${name} ${version}`)
for (const [name, override] of Object.entries(overrides)) console.log(`${name} ${override}`)

const groups: Array<Group> = []
for (const [name, measure] of Object.entries(parts)) {
  if (!isPart(name)) continue
  // A part that cannot be measured is a row of the report, and the others are measured.
  const measured = await measure(options).catch((cause: unknown): ReadonlyArray<Group> => [
    { title: name, rows: [failed(name)(cause)] }
  ])
  for (const group of measured) {
    console.log(tableOf(group))
    groups.push(group)
  }
}

const verdicts = groups.flatMap(verdictsOf)
if (verdicts.length > 0) console.log("\nAims")
for (const verdict of verdicts) console.log(`  ${verdict.group}. ${describeVerdict(verdict)}`)

if (values.json !== undefined)
  writeFileSync(
    values.json,
    `${JSON.stringify({ ...reportOf(groups), versions, overrides, options: values }, undefined, 2)}\n`
  )
