/** The alert rules fire where they should, as promtool of Prometheus evaluates them. */
import { describe, expect, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

const promtool = (...args: ReadonlyArray<string>): string =>
  execFileSync("promtool", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

describe("promtool", () => {
  it("finds no fault in the alert rules", () => {
    expect(promtool("check", "rules", "docs/prometheus/alerts.yml")).toContain("SUCCESS: 6 rules found")
  })

  it("sees each alert fire for its case, and for no other", () => {
    expect(promtool("test", "rules", "test/telemetry/alerts.test.yml")).toContain("SUCCESS")
  })
})
