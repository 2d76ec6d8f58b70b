import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

for (const [variable, content] of [
  ["LLM_SPECS", "descriptions of APIs"],
  ["LLM_FIXTURES", "recorded requests"]
] as const) {
  if (process.env[variable] === undefined) console.warn(`${variable} is not set: tests of ${content} are skipped.`)
}

export default defineConfig({
  test: { root: fileURLToPath(new URL(".", import.meta.url)), include: ["*.test.ts"], testTimeout: 180_000 }
})
