/** Measures bundles of programs for a browser, minified and gzipped. Needs `npm run build` for effect-llm. */
import { build } from "esbuild"
import { resolve } from "node:path"
import { gzipSync } from "node:zlib"
import type { Group } from "./report.js"

/** In kB (1,000 bytes). */
const bundleSize = async (code: string, folder: string): Promise<number> => {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: resolve(folder), loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false
  })
  return gzipSync(outputFiles[0]?.contents ?? new Uint8Array()).length / 1000
}

/** One chat with one client, over the browser's `fetch`. */
const program = `
  const model = LLM.layer({ model: "gpt-4o" }).pipe(
    Layer.provide(ChatCompletionsClient.layer()),
    Layer.provide(KeyPool.layer({ provider: "openai", keys: ["key"] })),
    Layer.provide(RateLimiter.layerUnlimited),
    Layer.provide(FetchHttpClient.layer)
  )
  Effect.runPromise(Effect.provide(LLM.chat("Hello"), model)).then(({ text }) => console.log(text))
`

const effectWith = (platform: string): string => `
  import { Effect, Layer } from "effect"
  import { FetchHttpClient } from "${platform}"
`

const effect = effectWith("@effect/platform")

/** How a program imports effect-llm. */
const imports = {
  modules: `
    import * as ChatCompletionsClient from "./dist/provider/ChatCompletionsClient.js"
    import * as KeyPool from "./dist/keyPool/KeyPool.js"
    import * as LLM from "./dist/LLM.js"
    import * as RateLimiter from "./dist/rateLimiter/RateLimiter.js"
  `,
  index: `
    import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "./dist/index.js"
  `
}

/** The size of the program with the build in `folder`, whose `FetchHttpClient` comes from the package `platform`. */
export const bundled = (
  part: keyof typeof imports,
  { folder, platform }: { readonly folder: string; readonly platform: string }
): Promise<number> => bundleSize(`${effectWith(platform)}${imports[part]}${program}`, folder)

/** Each with the folder from which it imports packages. */
const programs: ReadonlyArray<readonly [name: string, folder: string, code: string]> = [
  [
    "effect, with Schema, Stream and HttpClient",
    ".",
    `
    ${effect}
    import { Schema, Stream } from "effect"
    import { HttpClient } from "@effect/platform"
    console.log(Effect.runPromise, Layer.provide, Stream.fromPull, Schema.Struct, Schema.TaggedError, HttpClient.HttpClient, FetchHttpClient.layer)
  `
  ],
  ["effect-llm, its modules", ".", `${effect}${imports.modules}${program}`],
  ["effect-llm, its index", ".", `${effect}${imports.index}${program}`],
  [
    "ai with @ai-sdk/openai",
    "bench",
    `
    import { generateText } from "ai"
    import { createOpenAI } from "@ai-sdk/openai"
    const openai = createOpenAI({ apiKey: "key" })
    generateText({ model: openai("gpt-4o"), prompt: "Hello" }).then(({ text }) => console.log(text))
  `
  ]
]

export const bundleSizes = async (): Promise<Group> => ({
  title: "A chat with one client, bundled for a browser, minified and gzipped",
  rows: await Promise.all(
    programs.map(async ([name, folder, code]) => ({ name, values: { kB: await bundleSize(code, folder) } }))
  ),
  baselines: ["ai with @ai-sdk/openai"],
  aims: [
    { row: "effect-llm, its modules", unit: "kB", limit: 200 },
    { row: "effect-llm, its index", unit: "kB", limit: 200 }
  ]
})
