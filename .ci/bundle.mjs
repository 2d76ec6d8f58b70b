// Bundles the command line with its dependencies into dist/cli, so that `npx effect-llm` works without other packages and starts without
// resolving modules. A file beside it lists the bundled packages and their licenses.
//
// usage: node .ci/bundle.mjs [folder]
import { build } from "esbuild"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inNewSpace } from "./closures.mjs"
import { importsByPath } from "./imports.mjs"

const folder = process.argv[2] ?? "dist/cli"

const { metafile } = await build({
  entryPoints: ["src/cli/effect-llm.ts"],
  outdir: folder,
  bundle: true,
  // Parts that few commands need are separate files, loaded on demand.
  splitting: true,
  chunkNames: "parts/[name]-[hash]",
  format: "esm",
  platform: "node",
  target: "node20",
  minifySyntax: true,
  minifyWhitespace: true,
  // Errors are recognised by the names of their classes, which `keepNames` would keep, too, but by a call at each creation of a function.
  minifyIdentifiers: false,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  plugins: [importsByPath],
  // CommonJS packages load Node's modules by `require`.
  banner: {
    js: 'import{createRequire as $createRequire}from"node:module";const require=$createRequire(import.meta.url);'
  }
})

for (const path of Object.keys(metafile.outputs)) writeFileSync(path, inNewSpace(readFileSync(path, "utf8")))

const folderOf = (path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0]

const bundled = Object.values(metafile.outputs).flatMap(({ inputs }) =>
  Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : []))
)

const packages = [...new Set(bundled.map(folderOf))].filter(Boolean).sort()

const notice = (home) => {
  const { license, name, version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"))
  const file = readdirSync(home).find((file) => /^licen[cs]e/i.test(file))
  return `${name} ${version} (${license})\n\n${file === undefined ? "" : readFileSync(join(home, file), "utf8").trim()}\n`
}

writeFileSync(join(folder, "LICENSES.txt"), packages.map(notice).join(`\n${"-".repeat(80)}\n\n`))
