/** Compiles programs for child processes into one file, which starts in a fraction of the time that its modules would take. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { build } from "esbuild"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** The path of the compiled program, which is removed when the scope closes. */
export const compiled = (source: URL): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "effect-llm-"))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
    const outfile = join(folder, "program.mjs")
    yield* Effect.promise(() =>
      build({
        entryPoints: [fileURLToPath(source)],
        bundle: true,
        platform: "node",
        format: "esm",
        target: "node20",
        logLevel: "error",
        // CommonJS packages load Node's modules with `require`.
        banner: {
          js: 'import{createRequire as $createRequire}from"node:module";const require=$createRequire(import.meta.url);'
        },
        outfile
      })
    )
    return outfile
  })
