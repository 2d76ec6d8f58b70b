// Imports the modules of Effect's packages by their paths, instead of from the index of a package: the index loads all modules, and some
// bundlers (esbuild) keep every export of a module that is imported through it.
//
// usage: node .ci/imports.mjs <folder>, for all JavaScript files below it
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const indexImport = /^import \{([^{}]*)\} from "(effect(?:\/[a-z-]+)?|@effect\/[a-z-]+)";?$/gm

/** The modules are those whose names begin with a capital; all other names of `effect` are functions of `effect/Function`. */
const importOf = (packageName) => (specifier) => {
  const [name, alias = name] = specifier.split(/\s+as\s+/)
  return /^[A-Z]/.test(name)
    ? `import * as ${alias} from "${packageName}/${name}";`
    : `import { ${specifier} } from "${packageName}/Function";`
}

/** Rewrites the imports of a module in JavaScript or TypeScript. Lines keep their numbers, so that source maps stay valid. */
export const importByPath = (code) =>
  code.replace(indexImport, (whole, specifiers, packageName) => {
    const values = specifiers
      .split(",")
      .map((specifier) => specifier.trim())
      .filter((specifier) => specifier !== "" && !specifier.startsWith("type "))
    return values.map(importOf(packageName)).join(" ") + "\n".repeat(whole.split("\n").length - 1)
  })

/** Rewrites the imports of our own sources in a bundle of esbuild. */
export const importsByPath = {
  name: "imports by path",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) =>
      path.includes("/node_modules/") ? undefined : { contents: importByPath(readFileSync(path, "utf8")), loader: "ts" }
    )
}

const [, script, folder] = process.argv
if (script === fileURLToPath(import.meta.url)) {
  if (folder === undefined) throw new Error("Say where the modules are: node .ci/imports.mjs <folder>")
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith(".js")) continue
    const path = join(folder, name)
    const rewritten = importByPath(readFileSync(path, "utf8"))
    for (const [, specifier] of rewritten.matchAll(/^import .* from "((?:effect|@effect\/[a-z-]+)(?:\/[^"]*)?)";?/gm)) {
      // Throws for a module that the package does not have.
      createRequire(resolve(path)).resolve(specifier)
      if (!/^(effect(\/[a-z-]+)?|@effect\/[a-z-]+)\/[A-Z]/.test(specifier))
        throw new Error(`${path} imports the index of ${specifier}`)
    }
    writeFileSync(path, rewritten)
  }
}
