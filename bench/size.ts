/** Measures bundles of programs for a browser, minified and gzipped. Needs `npm run build` for effect-llm. */
import { build } from "esbuild"
import { gzipSync } from "node:zlib"
import type { Group } from "./report.js"

/** In kB (1,000 bytes). */
const bundleSize = async (code: string): Promise<number> => {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: "bench", loader: "ts" },
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

const effect = `
  import { Effect, Layer } from "effect"
  import { FetchHttpClient } from "@effect/platform"
`

const programs = {
  "effect, with Schema, Stream and HttpClient": `
    ${effect}
    import { Schema, Stream } from "effect"
    import { HttpClient } from "@effect/platform"
    console.log(Effect.runPromise, Layer.provide, Stream.fromPull, Schema.Struct, Schema.TaggedError, HttpClient.HttpClient, FetchHttpClient.layer)
  `,
  "effect-llm, its modules": `
    ${effect}
    import * as ChatCompletionsClient from "../dist/provider/ChatCompletionsClient.js"
    import * as KeyPool from "../dist/keyPool/KeyPool.js"
    import * as LLM from "../dist/LLM.js"
    import * as RateLimiter from "../dist/rateLimiter/RateLimiter.js"
    ${program}
  `,
  "effect-llm, its index": `
    ${effect}
    import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "../dist/index.js"
    ${program}
  `,
  "ai with @ai-sdk/openai": `
    import { generateText } from "ai"
    import { createOpenAI } from "@ai-sdk/openai"
    const openai = createOpenAI({ apiKey: "key" })
    generateText({ model: openai("gpt-4o"), prompt: "Hello" }).then(({ text }) => console.log(text))
  `
}

export const bundleSizes = async (): Promise<Group> => ({
  title: "A chat with one client, bundled for a browser, minified and gzipped",
  rows: await Promise.all(
    Object.entries(programs).map(async ([name, code]) => ({ name, values: { kB: await bundleSize(code) } }))
  ),
  baselines: ["ai with @ai-sdk/openai"],
  aims: [
    { row: "effect-llm, its modules", unit: "kB", limit: 200 },
    { row: "effect-llm, its index", unit: "kB", limit: 200 }
  ]
})
