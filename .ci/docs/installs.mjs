// Install lines name a version of each package, and what the snippets of a page import is installed by it, or by the getting started.
import { documentAt, fault, fencesOf, pages, read } from "./documents.mjs"

const manifest = JSON.parse(read("package.json"))

/** The page that everything begins with, whose install lines hold for all other pages. */
const start = "docs/getting-started.md"

const installLine = /(?:^|[;&|]\s*|\bsudo )(?:npm|pnpm|yarn|bun|deno) (?:install|add|i)\b([^#;&|]*)/

/** The packages that a line of a fence installs, each with its version, or undefined where it has none. */
export const installedBy = (line) => {
  const [, list = ""] = installLine.exec(line) ?? []
  return list
    .trim()
    .split(/\s+/)
    .filter((word) => /^(?:npm:|jsr:)?(?:@[a-z0-9-]+\/)?[a-z0-9]/.test(word) && !word.endsWith(".tgz"))
    .map((word) => {
      const [, name, version] = /^(?:npm:|jsr:)?((?:@[^/]+\/)?[^@]+)(?:@(.+))?$/.exec(word) ?? []
      return { name, version }
    })
}

/** The logical lines of a script, each with the number of its first line: a backslash at the end continues a line. */
const linesOf = (code) => {
  const lines = []
  let open = false
  for (const [index, line] of code.split("\n").entries()) {
    const text = line.replace(/\\$/, "")
    if (open) lines.at(-1).text += text
    else lines.push({ text, index })
    open = line.endsWith("\\")
  }
  return lines
}

const installsOf = (path) =>
  fencesOf(documentAt(path))
    .filter(({ lang }) => lang === "sh")
    .flatMap(({ code, line }) =>
      linesOf(code).flatMap(({ index, text }) =>
        installedBy(text).map((installed) => ({ ...installed, line: line + 1 + index }))
      )
    )

const packageOf = (specifier) => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier

const importsOf = (path) =>
  fencesOf(documentAt(path))
    .filter(({ lang }) => ["ts", "tsx", "js"].includes(lang))
    .flatMap(({ code, line }) =>
      code.split("\n").flatMap((text, index) =>
        [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^".][^"]*)"/g)]
          .map(([, specifier]) => specifier)
          .filter((specifier) => !specifier.startsWith("node:"))
          .map((specifier) => ({ name: packageOf(specifier), line: line + 1 + index }))
      )
    )

/** What every page may import. */
const everywhere = () => new Set(pages.includes(start) ? installsOf(start).map(({ name }) => name) : [])

export const installs = () => {
  const atStart = everywhere()
  const faults = []
  let count = 0
  for (const path of pages) {
    const installed = installsOf(path)
    for (const { line, name, version } of installed) {
      count++
      const [, major] = /^[~^]?(\d+)/.exec(version ?? "") ?? []
      if (major === undefined)
        faults.push(fault(path, line, `${name} has no version, such as ${name}@${majorOf(name)}`))
    }
    const names = new Set([...atStart, ...installed.map(({ name }) => name)])
    const reported = new Set()
    for (const { line, name } of importsOf(path)) {
      if (names.has(name) || reported.has(name)) continue
      reported.add(name)
      faults.push(fault(path, line, `no install line of this page or of ${start} names ${name}`))
    }
  }
  return {
    faults,
    summary: `${count} packages in install lines have versions, and the imports of snippets are among them`
  }
}

const majorOf = (name) => {
  const range = manifest.peerDependencies[name] ?? manifest.devDependencies[name] ?? manifest.version
  return /\d+/.exec(name === manifest.name ? manifest.version : range)?.[0] ?? "1"
}
