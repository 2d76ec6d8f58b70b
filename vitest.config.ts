import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defaultExclude, defineConfig } from "vitest/config"
import { missingPrograms } from "./.ci/programs.mjs"

const workers = availableParallelism() + 1

const reports = process.env["TEST_REPORTS"]

const src = fileURLToPath(new URL("src/", import.meta.url))

export default defineConfig({
  // The sources under the names that users and examples import, as in `paths` of tsconfig.json.
  resolve: {
    alias: [
      { find: /^effect-llm$/, replacement: `${src}index.ts` },
      { find: /^effect-llm\/(\w+)$/, replacement: `${src}$1/index.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    // These folders have packages of their own: `npm run test:clients` and `npm run test:schemas`.
    exclude: [...defaultExclude, "test/clients/**", "test/schemas/**", ...missingPrograms().map(({ tests }) => tests)],
    setupFiles: ["test/support/eventLoop.ts"],
    // What was run, for the comparison of both builds.
    ...(reports === undefined ? {} : { reporters: ["default", ["json", { outputFile: `${reports}/effect3.json` }]] }),
    // Ends a test that hangs; high enough for a busy machine.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // One worker more than processors, since many tests wait for processes and sockets.
    // `minWorkers` is equal: tinypool 1.1 removes an idle worker twice when the run ends at that moment, which fails a green run.
    maxWorkers: workers,
    minWorkers: workers,
    // Loads modules once for each worker instead of each file, which halves the time. Tests must keep no state in modules and must not
    // use `layer` of @effect/vitest, which changes `it` for all later files.
    isolate: false,
    // Garbage collection of young objects took a tenth of the time.
    poolOptions: { forks: { execArgv: ["--max-semi-space-size=64"] } }
  }
})
