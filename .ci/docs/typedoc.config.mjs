// The reference of the public modules, as HTML in `.reference`. A broken link in a docstring fails it.
import { readFileSync } from "node:fs"
import { Converter, ReflectionKind } from "typedoc"

const { exports, name } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))

/** The names that users import, by the sources of the modules; `exports` names the built files. */
const modules = new Map(
  Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "string"
      ? []
      : [[target.import.replace("./dist/", "src/").replace(/\.js$/, ".ts"), path.replace(/^\./, name)]]
  )
)

/** Names each module as users import it. */
const namedAsImported = (app) => {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Module)) return
    const file = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile().fileName
    const imported = [...modules].find(([source]) => file?.endsWith(`/${source}`))?.[1]
    if (imported !== undefined) reflection.name = imported
  })
}

/** @type {import("typedoc").TypeDocOptions} */
const options = {
  name,
  entryPoints: [...modules.keys()].map((source) => `../../${source}`),
  tsconfig: "tsconfig.reference.json",
  out: "../../.reference",
  plugin: [namedAsImported],
  readme: "none",
  includeVersion: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  disableSources: true,
  validation: { invalidLink: true, notExported: false, notDocumented: false, rewrittenLink: false },
  treatValidationWarningsAsErrors: true,
  treatWarningsAsErrors: true
}

export default options
