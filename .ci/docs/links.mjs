// Every relative link and anchor of a Markdown file resolves, in the repository and in the packed library.
import { execFileSync } from "node:child_process"
import { dirname, normalize } from "node:path"
import GithubSlugger from "github-slugger"
import { documentAt, fault, files, markdown, nodesOf, root } from "./documents.mjs"

const textOf = (node) =>
  nodesOf(node)
    .map(({ type, value }) => (type === "Str" || type === "Code" ? value : ""))
    .join("")

const anchors = new Map()

/** The anchors that GitHub gives to the headings of a document, and those that its HTML names. */
const anchorsOf = (path) => {
  if (!anchors.has(path)) {
    const slugger = new GithubSlugger()
    anchors.set(
      path,
      new Set(
        documentAt(path).nodes.flatMap((node) =>
          node.type === "Header"
            ? [slugger.slug(textOf(node))]
            : node.type === "Html"
              ? [...node.value.matchAll(/\b(?:id|name)="([^"]+)"/g)].map(([, name]) => name)
              : []
        )
      )
    )
  }
  return anchors.get(path)
}

/** The paths in the tarball that `npm publish` would send. */
const packed = () => {
  const [{ files: list }] = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 2 ** 28
    })
  )
  return list.map(({ path }) => path)
}

const withFolders = (paths) =>
  new Set(paths.flatMap((path) => path.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/"))))

export const links = () => {
  const inRepository = withFolders(files)
  const inTarball = withFolders(packed())
  const faults = []
  let count = 0
  for (const path of markdown) {
    for (const node of documentAt(path).nodes) {
      if (!["Link", "Image", "Definition"].includes(node.type)) continue
      const url = node.url ?? ""
      if (/^[a-z][a-z+.-]*:/i.test(url) || url.startsWith("//")) continue
      count++
      const report = (message) => faults.push(fault(path, node.loc.start.line, message))
      const [target, anchor] = url.split("#")
      if (target.startsWith("/")) {
        report(`${url}: the link is absolute; a relative one also resolves in the package`)
        continue
      }
      const file = target === "" ? path : normalize(`${dirname(path)}/${decodeURI(target)}`).replace(/\/$/, "")
      if (file !== "." && !inRepository.has(file)) {
        report(`${url}: there is no such file`)
      } else if (inTarball.has(path) && file !== "." && !inTarball.has(file)) {
        report(`${url}: the file is not in the package (see "files" in package.json)`)
      } else if (anchor !== undefined && file.endsWith(".md") && !anchorsOf(file).has(decodeURIComponent(anchor))) {
        report(`${url}: ${file} has no heading with this anchor`)
      }
    }
  }
  return { faults, summary: `${count} relative links resolve, in the repository and in the package` }
}
