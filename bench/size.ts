/** What an import adds to a bundle. */
import { build } from "esbuild"
import { gzipSync } from "node:zlib"

const bundled = async (code: string): Promise<number> => {
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
const used = `console.log(Effect, Layer, Stream, Schema, HttpClient)`

export const bundleSizes = async () => {
  const base = await bundled(`${effect}; ${used}`)
  const asUsed = await bundled(
    `${effect}; import * as LLM from "./src/LLM.js"; ${used}; console.log(LLM.layer, LLM.chat)`
  )
  const whole = await bundled(`${effect}; import { LLM } from "./src/index.js"; ${used}; console.log(LLM)`)
  return [
    { name: "effect and @effect/platform, as used", bytes: base },
    { name: "LLM.layer and LLM.chat of effect-llm/LLM add", bytes: asUsed - base },
    { name: "import { LLM } adds, all of it and every protocol", bytes: whole - base }
  ]
}
