// Reports the public API: one line for each name that a sub-path of the package exports, with its declared type, from the declarations
// that the compiler emits. A change of the API is a change of `.ci/api.txt`, which a reviewer sees. Lines at the end list types that the
// API uses and no sub-path exports.
//
// usage: node .ci/api.mjs            prints the report
//        node .ci/api.mjs --write    updates .ci/api.txt
//        node .ci/api.mjs --check    fails when .ci/api.txt differs
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const report = ".ci/api.txt"

/** The text without comments and with single spaces. Strings stay as they are. */
const normalize = (text) =>
  text
    .replace(/"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|\/\*[^]*?\*\/|\/\/[^\n]*/g, (match) =>
      match.startsWith("/") ? " " : match
    )
    .replace(/import\("[^"]*"\)\./g, "")
    .replace(/\s+/g, " ")
    .trim()

/** The top-level statements of a declaration file. */
const statementsOf = (text) => {
  const statements = []
  let depth = 0
  let from = 0
  for (const { 0: token, index } of text.matchAll(/"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|[{}()[\];]/g)) {
    if ("{([".includes(token)) depth++
    if ("})]".includes(token)) depth--
    const statement = text.slice(from, index + token.length).trim()
    const ends =
      token === ";" ||
      (token === "}" && /^(export )?(declare )?(abstract )?(interface|class|namespace) /.test(statement))
    if (depth > 0 || !ends) continue
    statements.push(statement.replace(/;$/, ""))
    from = index + token.length
  }
  return statements
}

const declaration =
  /^(export )?(?:declare )?(?:abstract )?(const|let|function|class|interface|type|namespace) ([\w$]+)(.*)$/s

/** The names between the braces of an import or an export, as pairs of the original and the new name. */
const namesIn = (list) =>
  list.split(",").flatMap((part) => {
    const [name, alias = name] = part
      .trim()
      .replace(/^type /, "")
      .split(" as ")
    return name === "" ? [] : [[name, alias]]
  })

const files = new Map()

/** The declarations, imports and exports of a declaration file. */
const read = (file) => {
  const known = files.get(file)
  if (known !== undefined) return known
  const pathOf = (specifier) => join(dirname(file), specifier.replace(/\.js$/, ".d.ts"))
  const module = {
    declarations: new Map(),
    exported: new Set(),
    imports: new Map(),
    reexports: new Map(),
    stars: [],
    namespaces: new Map()
  }
  files.set(file, module)
  for (const statement of statementsOf(normalize(readFileSync(file, "utf8")))) {
    const declared = declaration.exec(statement)
    const from = /^(import|export) (?:type )?(.*) from "([^"]*)"$/s.exec(statement)
    if (declared !== null) {
      const [, isExported, kind, name, rest] = declared
      module.declarations.set(name, [
        ...(module.declarations.get(name) ?? []),
        { kind, rest: rest.trim().replace(/^: /, "") }
      ])
      if (isExported !== undefined) module.exported.add(name)
    } else if (from !== null) {
      const [, keyword, clause, specifier] = from
      if (!specifier.startsWith(".")) continue
      const path = pathOf(specifier)
      const namespace = /^\* as (\w+)$/.exec(clause)?.[1]
      if (keyword === "export" && clause === "*") module.stars.push(path)
      else if (namespace !== undefined)
        (keyword === "export" ? module.namespaces : module.imports).set(namespace, [path, "*"])
      else
        for (const [name, alias] of namesIn(clause.replace(/[{}]/g, ""))) {
          if (keyword === "export") module.reexports.set(alias, [path, name])
          else module.imports.set(alias, [path, name])
        }
    } else {
      const list = /^export (?:type )?\{(.*)\}$/.exec(statement)?.[1]
      if (list === undefined) {
        if (statement.startsWith("import ")) continue
        throw new Error(`${file}: cannot read the statement ${statement.slice(0, 200)}`)
      }
      for (const [name, alias] of namesIn(list)) {
        const imported = module.imports.get(name)
        if (imported === undefined) module.reexports.set(alias, [file, name])
        else module.reexports.set(alias, imported)
      }
    }
  }
  return module
}

/** The declarations of an exported name; undefined when the file does not export it. */
const find = (file, name) => {
  const module = read(file)
  const source = module.reexports.get(name)
  if (source !== undefined && (source[0] !== file || source[1] !== name)) return find(...source)
  if (module.exported.has(name) || source !== undefined)
    return { file, name, declarations: module.declarations.get(name) ?? [] }
  for (const star of module.stars) {
    const found = find(star, name)
    if (found !== undefined) return found
  }
  return undefined
}

/** The exported names of a file. */
const exportsOf = (file) => {
  const module = read(file)
  return new Set([
    ...module.exported,
    ...module.reexports.keys(),
    ...module.stars.flatMap((star) => [...exportsOf(star)])
  ])
}

/** The type of a class that extends a generated constant contains the type of that constant. */
const typeOf = ({ kind, rest }, { file }) =>
  kind === "class"
    ? rest.replace(/\b\w+_base\b/, (base) => read(file).declarations.get(base)?.[0]?.rest ?? base)
    : rest.replace(/^= /, "")

const linesOf = (path, file) =>
  [...exportsOf(file)].sort().flatMap((name) => {
    const found = find(file, name)
    if (found === undefined || found.declarations.length === 0) throw new Error(`${file}: cannot find ${name}`)
    return found.declarations.map((declared) => `${path}.${name}: ${declared.kind} ${typeOf(declared, found)}`)
  })

const byName = ([one], [other]) => (one < other ? -1 : 1)

const identifier = /(?<![.\w"])([A-Za-z_]\w*)(?:\.(\w+))?/g

/** The declarations that the type of a declaration names, of this package. */
const usedBy = (found) => {
  const { declarations, imports } = read(found.file)
  const text = found.declarations.map((declared) => typeOf(declared, found)).join(" ")
  return [...text.matchAll(identifier)].flatMap(([, name, member]) => {
    const [file, original] = imports.get(name) ?? []
    if (file === undefined) return declarations.has(name) ? [{ file: found.file, name }] : []
    const used = original === "*" ? member && find(file, member) : find(file, original)
    return used ? [used] : []
  })
}

const folder = mkdtempSync(join(tmpdir(), "api-"))
try {
  const { status } = spawnSync(
    "npx",
    [
      "tsc",
      "-p",
      "tsconfig.build.json",
      "--emitDeclarationOnly",
      "--declarationMap",
      "false",
      "--sourceMap",
      "false",
      "--outDir",
      folder
    ],
    { stdio: ["ignore", "inherit", "inherit"] }
  )
  if (status !== 0) process.exit(status ?? 1)

  /** The declaration file of each sub-path. The index holds the same modules as the sub-paths with a capital letter. */
  const subPaths = Object.entries(JSON.parse(readFileSync("package.json", "utf8")).exports).flatMap(
    ([path, { types }]) =>
      types === undefined || path === "." ? [] : [[path.slice(2), types.replace("./dist", folder)]]
  )
  const modules = subPaths
    .flatMap(([path, file]) => [
      [path, file],
      ...[...read(file).namespaces].map(([name, [file]]) => [`${path}/${name}`, file])
    ])
    .sort(byName)
  const keyOf = ({ file, name }) => `${file.slice(folder.length + 1).replace(/\.d\.ts$/, "")}#${name}`
  const exported = modules.flatMap(([path, file]) =>
    [...exportsOf(file)].map((name) => [`${path}.${name}`, find(file, name)])
  )
  const keys = new Set(exported.map(([, found]) => keyOf(found)))
  const hidden = exported.flatMap(([user, found]) =>
    usedBy(found).flatMap((used) => (keys.has(keyOf(used)) ? [] : [`not exported: ${keyOf(used)}, used by ${user}`]))
  )
  const lines = [...modules.flatMap(([path, file]) => linesOf(path, file)), ...[...new Set(hidden)].sort()]
  const text = `${lines.join("\n")}\n`

  if (process.argv.includes("--write")) writeFileSync(report, text)
  else if (process.argv.includes("--check")) {
    writeFileSync(join(folder, "api.txt"), text)
    const { status } = spawnSync("diff", ["-u", report, join(folder, "api.txt")], { stdio: "inherit" })
    if (status !== 0) {
      console.error(
        `The public API has changed. If that is meant, run "node .ci/api.mjs --write" and commit ${report}.`
      )
      process.exitCode = 1
    }
  } else process.stdout.write(text)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
