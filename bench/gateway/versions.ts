/** The versions that a run compares. */
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"

/** The `package.json` of Portkey's gateway. */
export const portkeyManifest = (): string => createRequire(import.meta.url).resolve("@portkey-ai/gateway/package.json")

const versionIn = (manifest: string): string => {
  const { version }: { readonly version?: unknown } = JSON.parse(readFileSync(manifest, "utf8"))
  return typeof version === "string" ? version : "unknown"
}

/** The version of a package as Portkey finds it, which need not be that of this project. */
const besidePortkey = (name: string): string => {
  const folders = createRequire(portkeyManifest()).resolve.paths(name) ?? []
  const manifest = folders.map((folder) => join(folder, name, "package.json")).find((file) => existsSync(file))
  return manifest === undefined ? "unknown" : versionIn(manifest)
}

export const versions = () => ({
  undici: versionIn(createRequire(import.meta.url).resolve("undici/package.json")),
  "@portkey-ai/gateway": versionIn(portkeyManifest()),
  "@hono/node-server": besidePortkey("@hono/node-server")
})

/** What differs from the packages as they are installed: see `overrides` in `package.json`. */
export const overrides = {
  "@hono/node-server": "1.13.5 by an override; with 1.14 and later Portkey answers every stream with 500"
}
