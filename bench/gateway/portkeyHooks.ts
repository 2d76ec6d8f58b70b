/**
 * Since `@hono/node-server` 1.14 a response shares the headers of the response that it was made from. Those of a fetched response
 * are immutable, and Portkey changes them. This hook restores the copy of 1.13.
 */
import type { LoadHook } from "node:module"

const original = "headers || init?.headers]"

const replacement = "headers || (init?.headers instanceof Headers ? new Headers(init.headers) : init?.headers)]"

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context)
  return url.includes("/@hono/node-server/dist/index.mjs")
    ? { ...loaded, source: String(loaded.source).replace(original, replacement) }
    : loaded
}
