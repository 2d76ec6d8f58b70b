/** The tests of faults, which run against the packed library. */
import { defineConfig } from "vitest/config"

const tests = [
  "call/{MiddlewareInterruption,OnDisconnect,Plan,Retry,Sockets,StreamEnds,StreamTimeout,TimeLimit,Timeouts}",
  "LLMDefects",
  "secrets"
]

export default defineConfig({
  test: {
    include: tests.map((name) => `test/${name}.test.ts`),
    testTimeout: 180_000,
    isolate: false
  }
})
