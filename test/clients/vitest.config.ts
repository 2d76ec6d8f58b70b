/** The tests with the clients of other libraries, which are installed in this folder alone: `npm run test:clients`. */
import { defaultExclude, defineConfig } from "vitest/config"
import all from "../../vitest.config.js"

export default defineConfig({
  ...all,
  test: { ...all.test, include: ["test/clients/**/*.test.ts"], exclude: defaultExclude }
})
