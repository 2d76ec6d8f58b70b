/** What a program for a browser has to load. */
import { describe, expect, it } from "@effect/vitest"
import { build } from "esbuild"
import { importByPath, importsByPath } from "../.ci/imports.mjs"

const program = `
  import * as Effect from "effect/Effect"
  import * as Layer from "effect/Layer"
  import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
  import * as ChatCompletionsClient from "./src/provider/ChatCompletionsClient.js"
  import * as KeyPool from "./src/keyPool/KeyPool.js"
  import * as LLM from "./src/LLM.js"
  import * as RateLimiter from "./src/rateLimiter/RateLimiter.js"
  const model = LLM.layer({ model: "gpt-4o" }).pipe(
    Layer.provide(ChatCompletionsClient.layer()),
    Layer.provide(KeyPool.layer({ provider: "openai", keys: ["key"] })),
    Layer.provide(RateLimiter.layerUnlimited),
    Layer.provide(FetchHttpClient.layer)
  )
  Effect.runPromise(Effect.provide(LLM.chat("Hello"), model)).then(({ text }) => console.log(text))
`

describe("a bundle of a program with one client", () => {
  it("has no other protocol, none of the programs and no generators of test data", async () => {
    const { metafile } = await build({
      stdin: { contents: program, resolveDir: process.cwd(), loader: "ts" },
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      metafile: true,
      write: false,
      plugins: [importsByPath]
    })
    const files = Object.values(metafile.outputs).flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : []))
    )
    expect(files).toContain("src/LLM.ts")
    expect(files.some((path) => path.startsWith("src/wire/chatCompletions/client/"))).toBe(true)
    const unneeded =
      /^src\/(wire\/(anthropic|gemini|ollama|dashscope|responses|chatCompletions\/server)|programs|routing|caching|models|gateway|redis)\/|node_modules\/(fast-check|pure-rand)\//
    expect(files.filter((path) => unneeded.test(path))).toEqual([])
  })
})

describe("published imports of Effect", () => {
  it("are those of its modules by their paths, with the same names", () => {
    expect(importByPath('import { Array as Arr, Effect, pipe } from "effect";')).toBe(
      'import * as Arr from "effect/Array"; import * as Effect from "effect/Effect"; import { pipe } from "effect/Function";'
    )
    expect(importByPath('import { HttpClient } from "@effect/platform"')).toBe(
      'import * as HttpClient from "@effect/platform/HttpClient";'
    )
  })

  it("keep the numbers of the lines, for source maps", () => {
    const code = 'import {\n  Effect,\n  Layer\n} from "effect"\nconst next = 1'
    expect(importByPath(code).split("\n").indexOf("const next = 1")).toBe(4)
  })

  it("are not those of types, of other packages or of examples in comments", () => {
    const code = [
      'import type { Scope } from "effect"',
      'import { z } from "zod"',
      ' * import { Effect } from "effect"',
      'import { dual } from "effect/Function"'
    ].join("\n")
    expect(importByPath(code)).toBe(code)
  })
})
