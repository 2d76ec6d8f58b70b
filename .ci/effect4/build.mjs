// Writes the sources for Effect 4 from those for Effect 3.
//
// usage: node .ci/effect4/build.mjs <folder>
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "ts5"
import { codemod } from "./codemod.mjs"
import * as rules from "./rules.mjs"
import { surfaceOf } from "./surface.mjs"

const here = fileURLToPath(new URL(".", import.meta.url))
const root = fileURLToPath(new URL("../../", import.meta.url))
const target = process.argv[2]
const only = process.argv[3] ?? "."

const surface = surfaceOf(join(here, "node_modules"), ["effect", "@effect/platform-node", "@effect/vitest"])
const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config
const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root)
const wanted = fileNames.filter((file) => {
  const path = relative(root, file)
  return /^(src|test)\//.test(path) && !/^(src|test)\/cli\//.test(path) && new RegExp(only).test(path)
})
const program = ts.createProgram(wanted, options)
const unknown = new Map()
const report = (problem) => {
  if (!unknown.has(problem.key)) unknown.set(problem.key, [])
  unknown.get(problem.key).push(problem.place)
}
const importOf = (file, path) => {
  const relativePath = relative(dirname(file), join(root, path))
  return relativePath.startsWith(".") ? relativePath : `./${relativePath}`
}
const { rewrite } = codemod({
  program,
  surface,
  rules,
  local: importOf,
  facade: (file) => importOf(file, "src/facade.js")
})
const twins = join(here, "twins")
for (const file of wanted) {
  if (existsSync(join(twins, relative(root, file)))) continue
  const path = join(target, relative(root, file))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, rewrite(program.getSourceFile(file), report))
}
for (const [key, places] of [...unknown].sort((a, b) => b[1].length - a[1].length))
  console.log(`${places.length}\t${key}\t${places[0]}`)
if (unknown.size > 0) process.exitCode = 1
