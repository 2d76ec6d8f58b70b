import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"

/** The files of `src` whose code is left in a bundle of this entry. */
const bundled = (entry: string) =>
  Effect.map(
    Effect.promise(() =>
      build({
        stdin: { contents: entry, resolveDir: process.cwd(), loader: "ts" },
        bundle: true,
        metafile: true,
        write: false,
        packages: "external",
        format: "esm",
        treeShaking: true,
        outfile: "bundle.js"
      })
    ),
    ({ metafile }) =>
      Object.values(metafile.outputs).flatMap(({ inputs }) =>
        Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : []))
      )
  )

const clients = ["Anthropic", "ChatCompletions", "DashScope", "Embeddings", "Gemini", "Ollama", "Responses"]

describe("a bundle", () => {
  it.effect.each(clients)("of %sClient alone contains no server half of any protocol", (name) =>
    Effect.gen(function* () {
      const files = yield* bundled(`import { layer } from "./src/provider/${name}Client.ts"; globalThis.client = layer`)
      expect(files).toContain(`src/provider/${name}Client.ts`)
      expect(files.filter((file) => file.includes("/server/") || file.includes("/testing/"))).toEqual([])
    })
  )

  it.effect("of one client that is imported from the index contains no server half of any protocol", () =>
    Effect.gen(function* () {
      const files = yield* bundled(
        `import { AnthropicClient } from "./src/index.ts"; globalThis.client = AnthropicClient.layer`
      )
      expect(files).toContain("src/provider/AnthropicClient.ts")
      expect(files.filter((file) => file.includes("/server/") || file.includes("/testing/"))).toEqual([])
    })
  )

  it.effect("with the server half of one protocol contains no client half of it", () =>
    Effect.gen(function* () {
      const files = yield* bundled(
        `import * as Anthropic from "./src/wire/Anthropic.ts"; globalThis.wire = Anthropic.server()`
      )
      expect(files).toContain("src/wire/anthropic/server/wire.ts")
      expect(files.filter((file) => file.includes("/client/"))).toEqual([])
    })
  )
})
