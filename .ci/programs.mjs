// Programs that some tests need, in both builds.
import { spawnSync } from "node:child_process"

const programs = [
  { program: "redis-server", tests: "test/redis/**", install: "apt-get install redis-server" },
  { program: "curl", tests: "test/gateway/Curl.test.ts", install: "apt-get install curl" },
  { program: "tmux", tests: "test/cli/terminal.test.ts", install: "apt-get install tmux" },
  { program: "promtool", tests: "test/telemetry/PromtoolAlerts.test.ts", install: "apt-get install prometheus" },
  { program: "chromium", tests: "test/gateway/DashboardPage.test.ts", install: "apt-get install chromium" }
]

/** Those that are not installed: their tests are skipped with a notice; with `TEST_EVERYTHING`, the run fails. */
export const missingPrograms = () => {
  const missing = programs.filter(({ program }) => spawnSync("which", [program]).status !== 0)
  for (const { install, program, tests } of missing) {
    const notice = `${program} is not installed: ${tests} is skipped (${install}).`
    if (process.env["TEST_EVERYTHING"] !== undefined) throw new Error(notice)
    console.warn(notice)
  }
  return missing
}
