/** The tests of the build for Effect 4. */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defaultExclude, defineConfig } from "vitest/config"
import { missingPrograms } from "./.ci/programs.mjs"

const reports = process.env["TEST_REPORTS"]

const src = fileURLToPath(new URL("src/", import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-llm$/, replacement: `${src}index.ts` },
      { find: /^effect-llm\/(\w+)$/, replacement: `${src}$1/index.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    // These folders have packages of their own.
    exclude: [...defaultExclude, "test/clients/**", "test/schemas/**", ...missingPrograms().map(({ tests }) => tests)],
    setupFiles: ["test/support/eventLoop.ts"],
    // What was run, for the comparison of both builds.
    ...(reports === undefined ? {} : { reporters: ["default", ["json", { outputFile: `${reports}/effect4.json` }]] }),
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: availableParallelism() + 1,
    // Loads modules once for each worker.
    isolate: false,
    execArgv: ["--max-semi-space-size=64"]
  }
})
