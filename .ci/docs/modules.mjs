// Every public module, which is an entry of `exports` in package.json, begins with a docstring that has an example.
import { fault, read } from "./documents.mjs"

const { exports } = JSON.parse(read("package.json"))

export const modules = () => {
  const paths = Object.values(exports).flatMap((target) =>
    typeof target === "string" ? [] : [target.import.replace("./dist/", "src/").replace(/\.js$/, ".ts")]
  )
  const faults = paths.flatMap((path) => {
    const [docstring] = /^\s*\/\*\*[\s\S]*?\*\//.exec(read(path)) ?? []
    if (docstring === undefined) return [fault(path, 1, "the module has no docstring at its beginning")]
    return /@example\b/.test(docstring) ? [] : [fault(path, 1, "the docstring of the module has no @example")]
  })
  return { faults, summary: `${paths.length} public modules have a docstring with an example` }
}
