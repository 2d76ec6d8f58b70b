// Checks the documents: links, prose, commands, install lines, named tests, and the docstrings of modules.
//
// usage: node .ci/docs/check.mjs [links|prose|tests|modules|installs|commands …]
import { installs } from "./installs.mjs"
import { commands } from "./commands.mjs"
import { links } from "./links.mjs"
import { modules } from "./modules.mjs"
import { prose } from "./prose.mjs"
import { tests } from "./tests.mjs"

const checks = { links, tests, modules, installs, prose, commands }

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !Object.hasOwn(checks, name))
if (unknown.length > 0) {
  console.error(`no such check: ${unknown.join(", ")}; there are ${Object.keys(checks).join(", ")}`)
  process.exit(2)
}

let count = 0
for (const [name, check] of Object.entries(checks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const { faults, notices = [], summary } = await check()
  for (const notice of notices) console.log(notice)
  for (const { line, message, path } of faults) console.error(`${path}:${line}: ${message}`)
  console.log(faults.length === 0 ? `${name}: ${summary}` : `${name}: ${faults.length} faults`)
  count += faults.length
}
process.exit(count === 0 ? 0 : 1)
