/** What the program loads before it knows its command. */
import { describe, expect, it } from "@effect/vitest"
import { build } from "esbuild"
import { importsByPath } from "../../.ci/imports.mjs"

/** The files that are loaded at once, without those that are imported on demand. */
const filesLoadedAtOnce = async (entry: string): Promise<ReadonlyArray<string>> => {
  const { metafile } = await build({
    entryPoints: [entry],
    outdir: "unused",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    metafile: true,
    write: false,
    logLevel: "silent",
    plugins: [importsByPath]
  })
  const { outputs } = metafile
  const files = new Set<string>()
  const visited = new Set<string>()
  const visit = (path: string): void => {
    if (visited.has(path)) return
    visited.add(path)
    const { imports = [], inputs = {} } = outputs[path] ?? {}
    for (const file of Object.keys(inputs)) files.add(file)
    for (const { external, kind, path: next } of imports)
      if (external !== true && kind !== "dynamic-import") visit(next)
  }
  for (const [path, { entryPoint }] of Object.entries(outputs)) if (entryPoint === entry) visit(path)
  return [...files]
}

describe("the start of the program", () => {
  it("loads no command, no provider, no HTTP client and no parser of files before it runs a command", async () => {
    const loaded = await filesLoadedAtOnce("src/cli/effect-llm.ts")
    expect(loaded).toContain("src/cli/definitions/ask.ts")
    const unneeded =
      /^src\/(?!cli\/)|^src\/cli\/(commands|batch|config|gateway)\/|node_modules\/(undici|yaml|toml|ioredis|zod)\//
    expect(loaded.filter((path) => unneeded.test(path))).toEqual([])
  })
})
