// Writes the reference of the public modules to `.reference`, as HTML. A broken link in a docstring fails it.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Application, Converter, ReflectionKind } from "typedoc"

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, "../..")
const sources = join(here, ".sources")

const { exports, name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

/** The names that users import, by the sources of the modules; `exports` names the built files. */
const modules = new Map(
  Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "string"
      ? []
      : [[target.import.replace("./dist/", "src/").replace(/\.js$/, ".ts"), path.replace(/^\./, name)]]
  )
)

// A copy of the sources, in which the docstring that begins a module has the tag by which TypeDoc recognises it.
rmSync(sources, { recursive: true, force: true })
cpSync(join(root, "src"), join(sources, "src"), { recursive: true })
writeFileSync(join(sources, "package.json"), JSON.stringify({ name, version, type: "module" }))
for (const path of readdirSync(sources, { recursive: true, encoding: "utf8" })) {
  if (!path.endsWith(".ts")) continue
  const text = readFileSync(join(sources, path), "utf8")
  const [docstring] = /^\/\*\*[\s\S]*?\*\//.exec(text) ?? []
  if (docstring === undefined) continue
  writeFileSync(
    join(sources, path),
    text.replace(docstring, docstring.replace(/\s*\*\/$/, "\n * @packageDocumentation\n */"))
  )
}
mkdirSync(join(root, ".reference"), { recursive: true })

/** Names each module as users import it. */
const namedAsImported = (app) => {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Module)) return
    const file = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile().fileName
    const imported = [...modules].find(([source]) => file?.endsWith(`/${source}`))?.[1]
    if (imported !== undefined) reflection.name = imported
  })
}

const app = await Application.bootstrap({
  name,
  entryPoints: [...modules.keys()].map((source) => join(sources, source)),
  tsconfig: join(here, "tsconfig.reference.json"),
  readme: "none",
  includeVersion: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  disableSources: true,
  validation: { invalidLink: true, invalidPath: true, notExported: false, notDocumented: false, rewrittenLink: false }
})
namedAsImported(app)
const project = await app.convert()
if (project === undefined) process.exit(1)
app.validate(project)
await app.generateDocs(project, join(root, ".reference"))
rmSync(sources, { recursive: true, force: true })
if (app.logger.hasErrors() || app.logger.hasWarnings()) {
  console.error(`the reference has ${app.logger.errorCount} errors and ${app.logger.warningCount} warnings`)
  process.exit(1)
}
console.log(`the reference of ${modules.size} modules is in .reference`)
