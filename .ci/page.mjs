// Builds the page of the dashboard into a folder: node .ci/page.mjs dist/gateway/dashboard/page
import { build } from "esbuild"
import { copyFile, mkdir } from "node:fs/promises"
import { join } from "node:path"

const source = new URL("../src/gateway/dashboard/page/", import.meta.url).pathname
const target = process.argv[2]
if (target === undefined) throw new Error("Say where the page goes: node .ci/page.mjs <folder>")

await mkdir(target, { recursive: true })
await build({
  entryPoints: [join(source, "app.ts"), join(source, "app.css")],
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome123", "firefox121", "safari17.5"],
  legalComments: "none",
  banner: { js: "/*! With uPlot, Copyright (c) Leon Sorokin, MIT License: https://github.com/leeoniya/uPlot */" },
  outdir: target,
  logLevel: "warning"
})
for (const name of ["index.html", "icon.svg"]) await copyFile(join(source, name), join(target, name))
