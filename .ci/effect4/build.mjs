// Writes the project for Effect 4, from the sources for Effect 3, to a folder with its own package.json, ready to be checked, tested and
// packed: node .ci/effect4/build.mjs <folder>
//
// A file of `twins` stands for the file of the same path. Whatever is not rewritten, such as documents that tests read, is linked.
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "ts5"
import { codemod } from "./codemod.mjs"
import { isListed, onlyInEffect3 } from "./oneVersion.mjs"
import * as rules from "./rules.mjs"
import { surfaceOf } from "./surface.mjs"

const here = fileURLToPath(new URL(".", import.meta.url))
const root = resolve(here, "../..")
const target = resolve(process.argv[2] ?? join(root, ".effect4"))
const twins = join(here, "twins")

const readJson = (path) => JSON.parse(readFileSync(path, "utf8"))

/** The command line is bundled with the Effect that it was written for, and the page of the dashboard has none. */
const isRewritten = (path) =>
  /^(src|test|examples)\/.*\.ts$/.test(path) &&
  !/^(src\/(cli|gateway\/dashboard\/page)|test\/(chaos|clients|schemas))\//.test(path) &&
  !rules.scripts.includes(path) &&
  !isListed(onlyInEffect3, path)

const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config
const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
// Their own packages are not installed, which only TypeScript minds.
const webExamples = readdirSync(join(root, "examples/web")).map((name) => join(root, "examples/web", name))
const program = ts.createProgram(
  [...fileNames, ...webExamples].filter((file) => isRewritten(relative(root, file))),
  options
)

const unknown = []
const importOf = (file, path) => {
  const relativePath = relative(dirname(file), join(root, path))
  return relativePath.startsWith(".") ? relativePath : `./${relativePath}`
}
const { rewrite } = codemod({
  program,
  rules,
  surface: surfaceOf(join(here, "node_modules"), ["effect", "@effect/platform-node", "@effect/vitest"]),
  local: importOf,
  facade: (file) => importOf(file, "src/facade.js")
})

const write = (path, text) => {
  mkdirSync(dirname(join(target, path)), { recursive: true })
  writeFileSync(join(target, path), text)
}

/** Comments, and so the examples of the public API, with the names of Effect 4. */
const withComments = (text) =>
  text.replace(/^\s*(?:\/\*\*|\*|\/\/).*$/gm, (line) =>
    rules.comments.reduce((changed, [old, now]) => changed.replaceAll(old, now), line)
  )

for (const entry of existsSync(target) ? readdirSync(target) : []) rmSync(join(target, entry), { recursive: true })

for (const source of program.getSourceFiles()) {
  const path = relative(root, source.fileName)
  if (path.startsWith("..") || path.includes("node_modules/") || !/^(src|test|bench|examples)\//.test(path)) continue
  if (existsSync(join(twins, path)) || rules.replaced.includes(path)) continue
  const text = rewrite(source, (problem) => unknown.push(problem))
  write(path, path.startsWith("src/") ? withComments(text) : text)
}
// The descriptions of HTTP APIs in Effect 4 are others. The document is made by the sources for Effect 3.
const openApi = "src/gateway/routes/openapi"
const script = `import { document } from "./${openApi}/openapi.ts"; console.log(JSON.stringify(document()))`
const document = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script], {
  cwd: root
})
write(
  `${openApi}/openapi.ts`,
  `/** The OpenAPI 3.1 document of the gateway. */
export interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly description?: string
  readonly tags: ReadonlyArray<string>
  readonly security: ReadonlyArray<Readonly<Record<string, ReadonlyArray<string>>>>
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string; readonly description?: string; readonly required: boolean; readonly schema: object }>
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Readonly<Record<string, { readonly schema: object }>> }>>
}

export interface Specification {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly tags: ReadonlyArray<{ readonly name: string; readonly description?: string }>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

export const document = (): Specification => JSON.parse(text)

const text = ${JSON.stringify(String(document).trim())}
`
)

cpSync(twins, target, { recursive: true })
cpSync(join(here, "facade.ts"), join(target, "src/facade.ts"))
cpSync(join(root, "src/gateway/dashboard/page"), join(target, "src/gateway/dashboard/page"), { recursive: true })

// What is packed beside the code, and what is read, but not rewritten: documents, scripts, and the files of tests that are not TypeScript.
const manifest = readJson(join(root, "package.json"))
const packed = manifest.files.filter((path) => path !== "src" && path !== "dist")
for (const path of packed) {
  cpSync(join(root, path), join(target, path), {
    recursive: true,
    filter: (file) => !file.includes("node_modules") && !isRewritten(relative(root, file))
  })
}

const linked = (folder) => {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    const isOwn =
      /^(\.git|\.github|node_modules|dist|\.effect4|package(-lock)?\.json|tsconfig.*\.json|vitest\.config\.ts)$/.test(
        path
      )
    if (isOwn || resolve(root, path) === target) continue
    if (!existsSync(join(target, path))) {
      if (path.endsWith(".ts") || /^(src|test)\/cli(\/|$)/.test(path)) continue
      mkdirSync(dirname(join(target, path)), { recursive: true })
      symlinkSync(join(root, path), join(target, path))
    } else if (entry.isDirectory()) linked(path)
  }
}
linked("")
symlinkSync(join(here, "node_modules"), join(target, "node_modules"))

// The package: the same name, with a major version of its own.
const tools = readJson(join(here, "package.json")).devDependencies
const [, minor, patch] = manifest.version.split(".")
const peers = Object.fromEntries(
  Object.entries(manifest.peerDependencies).flatMap(([name, range]) => {
    if (name === "effect" || name === "@effect/platform-node") return [[name, `^${tools[name]}`]]
    // Parts of Effect 4 itself.
    return name.startsWith("@effect/") ? [] : [[name, range]]
  })
)
write(
  "package.json",
  `${JSON.stringify(
    {
      ...manifest,
      version: `1.${minor}.${patch}`,
      scripts: {},
      devDependencies: undefined,
      peerDependencies: peers,
      peerDependenciesMeta: Object.fromEntries(
        Object.entries(manifest.peerDependenciesMeta).filter(([name]) => name in peers)
      ),
      // Those of @effect/platform-node.
      engines: { node: ">=22.19.0" },
      allowScripts: undefined
    },
    undefined,
    2
  )}\n`
)

const { compilerOptions, exclude, include } = config
write(
  "tsconfig.json",
  JSON.stringify(
    {
      compilerOptions: {
        ...compilerOptions,
        lib: [...compilerOptions.lib, "ESNext.Disposable"],
        // Rules can leave an import or a parameter without use.
        noUnusedLocals: false,
        noUnusedParameters: false
      },
      include: include.filter((path) => path !== "vitest.config.ts"),
      exclude
    },
    undefined,
    2
  )
)
write("tsconfig.build.json", readFileSync(join(root, "tsconfig.build.json"), "utf8"))
write("vitest.config.mts", readFileSync(join(here, "vitest.config.ts"), "utf8"))

if (unknown.length > 0) {
  for (const { message } of unknown) console.error(message)
  console.error(`${unknown.length} names have no rule in .ci/effect4/rules.mjs and are not in Effect 4.`)
  process.exitCode = 1
}
