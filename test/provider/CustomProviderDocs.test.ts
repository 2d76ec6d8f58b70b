import { expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

it("the example of a custom provider is printed in the documentation in full, in under 60 lines", () => {
  const source = read("examples/custom-provider.ts").trim()
  expect(read("docs/adding-a-provider.md")).toContain(source)
  expect(source.split("\n").length).toBeLessThan(60)
})
