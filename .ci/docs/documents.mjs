// The documents of the project, parsed, for the checks beside this file.
import { parse } from "@textlint/markdown-to-ast"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "")

/** The files of the repository: those in git and those that are about to be. */
export const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"], {
  cwd: root,
  encoding: "utf8"
})
  .trim()
  .split("\n")

export const read = (path) => readFileSync(`${root}/${path}`, "utf8")

/** All nodes of a syntax tree, parents before children. */
export const nodesOf = (node) => [node, ...(node.children ?? []).flatMap(nodesOf)]

const document = (path) => {
  const text = read(path)
  const tree = parse(text)
  return { path, text, tree, nodes: nodesOf(tree) }
}

const documents = new Map()

/** The parsed document at a path. */
export const documentAt = (path) => {
  if (!documents.has(path)) documents.set(path, document(path))
  return documents.get(path)
}

/** All Markdown files. */
export const markdown = files.filter((path) => path.endsWith(".md"))

/** The documents that describe the library to its users and contributors; the changelog records what was true once. */
export const pages = markdown.filter((path) => /^(README|CONTRIBUTING|SECURITY|docs\/.+)\.md$/.test(path))

/** The text of a comment such as `<!-- file: main.ts -->`, by its name. */
export const commentOf = (node, name) =>
  node?.type === "Html"
    ? new RegExp(`^<!--\\s*${name}:\\s*([\\s\\S]*?)\\s*-->$`).exec(node.value.trim())?.[1]
    : undefined

/** The code fences of a document, each with the comments directly above it. */
export const fencesOf = ({ path, tree }) => {
  const comments = []
  const fences = []
  const visit = (node) => {
    for (const child of node.children ?? []) {
      if (child.type === "Html") {
        comments.push(child)
      } else {
        if (child.type === "CodeBlock") {
          fences.push({
            path,
            lang: child.lang ?? "",
            code: child.value,
            line: child.loc.start.line,
            above: [...comments]
          })
        }
        comments.length = 0
        visit(child)
      }
    }
  }
  visit(tree)
  return fences
}

/** A fault at a line of a file. */
export const fault = (path, line, message) => ({ path, line, message })
