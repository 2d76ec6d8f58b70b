/**
 * Since `@hono/node-server` 1.14 a response hands out the headers of the one that it was made from, and those of a fetched one
 * cannot be changed; Portkey changes them. Here it hands out a copy, as 1.13 did.
 */
import type { LoadHook } from "node:module"

const handedOut = "headers || init?.headers]"

const copied = "headers || (init?.headers instanceof Headers ? new Headers(init.headers) : init?.headers)]"

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context)
  return url.includes("/@hono/node-server/dist/index.mjs")
    ? { ...loaded, source: String(loaded.source).replace(handedOut, copied) }
    : loaded
}
