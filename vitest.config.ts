import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    // The modules are loaded once a worker instead of once a file: half of the time. No test keeps anything in them,
    // and none uses `layer` of @effect/vitest: it would change `it` for all files that come after.
    isolate: false
  }
})
