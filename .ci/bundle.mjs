// Bundles the command line into dist/cli, with everything that it needs, so that `npx effect-llm` works where nothing else is
// installed and starts without looking for modules. What is bundled is named with its license beside it.
//
// usage: node .ci/bundle.mjs [folder]
import { build } from "esbuild"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const folder = process.argv[2] ?? "dist/cli"

const { metafile } = await build({
  entryPoints: ["src/cli/effect-llm.ts"],
  outdir: folder,
  bundle: true,
  // Parts that few commands need are files of their own, loaded when they are.
  splitting: true,
  chunkNames: "parts/[name]-[hash]",
  format: "esm",
  platform: "node",
  target: "node20",
  minify: true,
  // Errors are known by the names of their classes.
  keepNames: true,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  // Packages in the older format ask for Node's own modules by `require`.
  banner: {
    js: 'import{createRequire as $createRequire}from"node:module";const require=$createRequire(import.meta.url);'
  }
})

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
