// The tests named beside claims, as `<!-- test: test/path/File.test.ts "part of a title" -->`, exist.
import { documentAt, fault, files, pages, read } from "./documents.mjs"

const known = new Set(files)

const problemOf = (name) => {
  const [, path, title] = /^(\S+)(?:\s+"([\s\S]+)")?$/.exec(name) ?? []
  if (path === undefined) return `expected a path and part of a title in quotes, found: ${name}`
  if (!known.has(path)) return `${path}: there is no such file`
  if (title !== undefined && !read(path).replace(/\s+/g, " ").includes(title.replace(/\s+/g, " "))) {
    return `${path} contains no "${title}"`
  }
  return undefined
}

export const tests = () => {
  const faults = []
  let count = 0
  for (const path of pages) {
    for (const { loc, type, value } of documentAt(path).nodes) {
      if (type !== "Html") continue
      for (const [, name] of value.matchAll(/<!--\s*test:\s*([\s\S]*?)\s*-->/g)) {
        count++
        const problem = problemOf(name)
        if (problem !== undefined) faults.push(fault(path, loc.start.line, problem))
      }
    }
  }
  return { faults, summary: `${count} tests named beside claims exist` }
}
