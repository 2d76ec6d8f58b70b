import { spawnSync } from "node:child_process"
import { availableParallelism } from "node:os"
import { defaultExclude, defineConfig } from "vitest/config"

/** What some tests need beside Node. */
const programs = [
  { program: "redis-server", tests: "test/redis/**", install: "apt-get install redis-server" },
  { program: "curl", tests: "test/gateway/Curl.test.ts", install: "apt-get install curl" },
  { program: "tmux", tests: "test/cli/terminal.test.ts", install: "apt-get install tmux" },
  { program: "chromium", tests: "test/gateway/DashboardPage.test.ts", install: "apt-get install chromium" }
]

/** A machine without such a program passes the rest and is told so; where everything must be tested, it fails. */
const missing = programs.filter(({ program }) => spawnSync("which", [program]).status !== 0)
for (const { install, program, tests } of missing) {
  const notice = `${program} is not installed: ${tests} is left out (${install}).`
  if (process.env["TEST_EVERYTHING"] !== undefined) throw new Error(notice)
  console.warn(notice)
}

const workers = availableParallelism() + 1

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...defaultExclude, ...missing.map(({ tests }) => tests)],
    setupFiles: ["test/support/eventLoop.ts"],
    // Ends a test that hangs, also on a machine that is busy with much else. No test is about this limit.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Many tests wait for processes and sockets: one worker more than processors uses the time in which the others wait.
    // As many at least: a worker that is removed as idle while the run ends is removed twice, which fails a green run (tinypool 1.1).
    maxWorkers: workers,
    minWorkers: workers,
    // The modules are loaded once a worker instead of once a file: half of the time. No test keeps anything in them, and
    // none uses `layer` of @effect/vitest: it would change `it` for all files that come after.
    isolate: false,
    // Collections of young objects took a tenth of the time.
    poolOptions: { forks: { execArgv: ["--max-semi-space-size=64"] } }
  }
})
