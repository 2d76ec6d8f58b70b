/** Measures what an import adds to a bundle. */
import { build } from "esbuild"
import { gzipSync } from "node:zlib"

const bundleSize = async (code: string): Promise<number> => {
  const result = await build({
    stdin: { contents: code, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false
  })
  return gzipSync(result.outputFiles[0]?.contents ?? new Uint8Array()).length
}

const effect = `import { Effect, Layer, Stream, Schema } from "effect"; import { HttpClient } from "@effect/platform"`
const usage = `console.log(Effect, Layer, Stream, Schema, HttpClient)`

export const bundleSizes = async () => {
  const base = await bundleSize(`${effect}; ${usage}`)
  const llmOnly = await bundleSize(
    `${effect}; import * as LLM from "./src/LLM.js"; ${usage}; console.log(LLM.layer, LLM.chat)`
  )
  const whole = await bundleSize(`${effect}; import { LLM } from "./src/index.js"; ${usage}; console.log(LLM)`)
  return [
    { name: "effect and @effect/platform, as used", bytes: base },
    { name: "LLM.layer and LLM.chat of effect-llm/LLM add", bytes: llmOnly - base },
    { name: "import { LLM } adds, all of it and every protocol", bytes: whole - base }
  ]
}
