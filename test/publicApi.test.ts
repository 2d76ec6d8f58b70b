import { describe, expect, it } from "@effect/vitest"
import { readFileSync, readdirSync } from "node:fs"
import { basename, dirname, join, normalize } from "node:path"

const read = (path: string): string => readFileSync(path, "utf8")

/** The modules that an index exports as namespaces, by name. */
const modulesOf = (index: string): ReadonlyArray<readonly [string, string]> =>
  [...read(index).matchAll(/^export \* as (\w+) from "(.*)\.js"$/gm)].map(([, name = "", path = ""]) => [
    name,
    normalize(join(dirname(index), `${path}.ts`))
  ])

const { exports }: { readonly exports: Readonly<Record<string, Readonly<Record<string, string>> | string>> } =
  JSON.parse(read("package.json"))

const sourceOf = (target: string): string => target.replace("./dist/", "src/").replace(/(\.d\.ts|\.js)$/, ".ts")

/** The sub-paths with their conditions, without `package.json`. */
const subPaths = Object.entries(exports).flatMap(([path, conditions]) =>
  typeof conditions === "string" ? [] : [[path.replace(/^\.\/?/, ""), conditions] as const]
)

const sources = subPaths.map(([path, { types = "" }]) => [path, sourceOf(types)] as const)

const sourceFiles = readdirSync("src", { recursive: true, encoding: "utf8" }).map((path) => join("src", path))

/** The sub-paths with a small letter have optional dependencies, so the index does not export them. */
const wings = sources.filter(([path]) => /^[a-z]/.test(path))

const publicModules = [...modulesOf("src/index.ts"), ...wings.flatMap(([, index]) => modulesOf(index))]

const moduleDoc = (path: string): string => /^\/\*\*.*?\*\//s.exec(read(path))?.[0] ?? ""

describe("the exports of the package", () => {
  it("the index exports the same modules as the sub-paths that begin with a capital letter", () => {
    const capitals = sources.filter(([path]) => /^[A-Z]/.test(path))
    expect([...modulesOf("src/index.ts")].sort()).toEqual([...capitals].sort())
  })

  it("every sub-path has the conditions types, import and default, in this order, for one source file", () => {
    for (const [path, conditions] of subPaths) {
      expect(Object.keys(conditions), path).toEqual(["types", "import", "default"])
      expect(conditions.default, path).toBe(conditions.import)
      expect(sourceOf(conditions.import ?? ""), path).toBe(sourceOf(conditions.types ?? ""))
    }
  })

  it("every sub-path leads to a source file that exists", () => {
    expect(sources.filter(([, source]) => !sourceFiles.includes(source))).toEqual([])
  })

  it("a source file has a name that begins with a capital letter if and only if it is a public module of the same name", () => {
    const capitals = sourceFiles.filter((path) => /^[A-Z]\w*\.ts$/.test(basename(path)))
    expect(publicModules.map(([, path]) => path).sort()).toEqual(capitals.sort())
    for (const [name, path] of publicModules) expect(basename(path)).toBe(`${name}.ts`)
  })

  it("every public module begins with a description that has an example and the version it appeared in", () => {
    for (const [name, path] of publicModules) {
      expect(moduleDoc(path), name).toMatch(/@example\n \* ```ts\n(.*\n)* \* ```\n/)
      expect(moduleDoc(path), name).toMatch(/@since \d+\.\d+\.\d+/)
    }
  })

  it("every example of a public module imports from the package, as a user does", () => {
    for (const [name, path] of publicModules) expect(moduleDoc(path), name).toMatch(/from "effect-llm(\/\w+)?"/)
  })
})
