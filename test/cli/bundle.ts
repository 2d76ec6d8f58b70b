/** The bundled program, built for the tests of a file and removed after them. */
import { afterAll, beforeAll } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { SimulatedProvider } from "../../src/testing/index.js"
import { canary } from "./support.js"

/** The path of the program, and a working folder. Call it once at the top of a test file. */
export const bundled = (): { readonly folder: string; readonly program: string } => {
  const folder = mkdtempSync(join(tmpdir(), "effect-llm-program-"))
  beforeAll(() => {
    for (const [script, place] of [
      [".ci/bundle.mjs", "cli"],
      [".ci/page.mjs", "gateway/dashboard/page"]
    ] as const) {
      const { status, stderr } = spawnSync("node", [script, join(folder, place)], { encoding: "utf8" })
      if (status !== 0) throw new Error(`The program cannot be built: ${stderr}`)
    }
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return { folder, program: join(folder, "cli", "effect-llm.js") }
}

export const environment = (provider: SimulatedProvider.Service) => ({
  PATH: process.env["PATH"] ?? "",
  OPENAI_API_KEY: canary,
  OPENAI_BASE_URL: provider.baseUrl
})
