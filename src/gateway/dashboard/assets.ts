/** Serves the built files of the page; each is read and compressed once. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readFile } from "node:fs"
import { fileURLToPath } from "node:url"
import { gzip } from "node:zlib"

/** The folder of the built files. */
export const builtFiles = new URL("./page/", import.meta.url)

interface Asset {
  readonly plain: Uint8Array
  readonly gzipped: Uint8Array
  readonly etag: string
}

type Callback = (error: Error | null, bytes: Uint8Array) => void

const fromCallback = (run: (callback: Callback) => void): Effect.Effect<Uint8Array, Error> =>
  Effect.async((resume) => run((error, bytes) => resume(error === null ? Effect.succeed(bytes) : Effect.fail(error))))

const load = (url: URL): Effect.Effect<Asset, Error> =>
  Effect.gen(function* () {
    const plain = yield* fromCallback((callback) => readFile(fileURLToPath(url), callback))
    const gzipped = yield* fromCallback((callback) => gzip(plain, { level: 9 }, callback))
    return { plain, gzipped, etag: `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"` }
  }).pipe(Effect.tapError((error) => Effect.logWarning("The page of the dashboard cannot be read.", error)))

/**
 * Allows only the page's own files and no inline script or style. With `require-trusted-types-for`, a script cannot turn text
 * into markup, so ids of models and keys cannot inject any.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join("; ")

const headersOf = ({ etag }: Asset) => ({
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-cache",
  vary: "accept-encoding",
  etag: etag
})

const missing = HttpServerResponse.text("The page of the dashboard has not been built. Run 'npm run build'.\n", {
  status: 503
})

/** Makes the handler of a file, which browsers cache and revalidate by its ETag. */
export const make = (
  directory: URL,
  name: string,
  contentType: string
): Effect.Effect<Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>> =>
  Effect.map(Effect.cached(load(new URL(name, directory))), (loaded) =>
    Effect.zipWith(HttpServerRequest.HttpServerRequest, loaded, ({ headers }, asset) => {
      if (headers["if-none-match"] === asset.etag)
        return HttpServerResponse.empty({ status: 304, headers: headersOf(asset) })
      const acceptsGzip = /\bgzip\b/.test(headers["accept-encoding"] ?? "")
      return HttpServerResponse.uint8Array(acceptsGzip ? asset.gzipped : asset.plain, {
        contentType,
        headers: { ...headersOf(asset), ...(acceptsGzip ? { "content-encoding": "gzip" } : {}) }
      })
    }).pipe(Effect.orElseSucceed(() => missing))
  )
