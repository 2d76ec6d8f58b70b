/**
 * `provider.json`: which models there are, where, with which keys and limits.
 *
 * ```json
 * {
 *   "openai": [
 *     {
 *       "model_name": "gpt-4o",
 *       "api_keys": ["${OPENAI_API_KEY}", { "key": "sk-two", "weight": 2, "max_concurrency": 8 }],
 *       "base_url": "https://api.openai.com/v1",
 *       "rate_limit_capacity": 20,
 *       "rate_limit_refill_rate": 3.0
 *     }
 *   ],
 *   "deepseek": [{ "model_name": "deepseek-chat", "api_keys": ["${DEEPSEEK_API_KEY}"] }],
 *   "$groups": { "sturdy": { "strategy": "failover", "members": ["openai/gpt-4o", "deepseek/deepseek-chat"] } },
 *   "$aliases": { "smart": "openai/gpt-4o" },
 *   "$default": "sturdy"
 * }
 * ```
 *
 * Files of the libraries that this format comes from are read unchanged. `${NAME}` in a text is replaced by the environment
 * variable; `$${` stands for itself. All faults are told at once, each with its place, none with a secret.
 *
 * @since 0.1.0
 */
import { FileSystem } from "@effect/platform"
import { Config, Effect, Option } from "effect"
import type { Fault } from "./fileFields.js"
import type { ProviderFile } from "./fileModel.js"
import { ProviderFileError } from "./fileModel.js"
import { readFile } from "./fileReader.js"

export * from "./fileModel.js"

const variable = /(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/** The variables that a text names, with what the environment says of each. */
const variablesOf = (text: string): Effect.Effect<ReadonlyMap<string, string | undefined>> =>
  Effect.map(
    Effect.forEach(
      new Set([...text.matchAll(variable)].filter(([, escaped]) => escaped === "").map(([, , name]) => name ?? "")),
      (name) =>
        Effect.map(
          // A variable that cannot be read is as good as none: it is told as a fault at each place that needs it.
          Effect.option(Config.string(name)),
          (value) => [name, Option.getOrUndefined(value)] as const
        )
    ),
    (found) => new Map(found)
  )

/** Where a JSON text breaks off, as far as the engine tells it. Its own words may quote the text, and a key with it. */
const positionOf = (text: string, cause: unknown): string => {
  const at = /position (\d+)/.exec(cause instanceof Error ? cause.message : "")?.[1]
  if (at === undefined) return ""
  const lines = text.slice(0, Number(at)).split("\n")
  return ` at line ${lines.length}, column ${(lines[lines.length - 1]?.length ?? 0) + 1}`
}

const refuse = (file: string, faults: ReadonlyArray<Fault>, warnings: ReadonlyArray<string> = []) =>
  Effect.fail(new ProviderFileError({ file, faults, warnings }))

/**
 * Reads a file's text. `file` is what errors call it.
 *
 * @since 0.1.0
 * @category decoding
 */
export const parse = (text: string, file = "provider.json"): Effect.Effect<ProviderFile, ProviderFileError> =>
  Effect.flatMap(
    Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) =>
        new ProviderFileError({
          file,
          faults: [{ path: "", message: `not valid JSON${positionOf(text, cause)}` }]
        })
    }),
    (json) =>
      Effect.flatMap(variablesOf(text), (variables) => {
        const expand = (value: string): string | undefined => {
          let missing = false
          const expanded = value.replace(variable, (whole, escaped: string, name: string) => {
            if (escaped !== "") return whole.slice(1)
            const found = variables.get(name)
            missing ||= found === undefined
            return found ?? ""
          })
          return missing ? undefined : expanded
        }
        const { faults, value } = readFile(json, expand)
        return faults.length > 0 ? refuse(file, faults, value.warnings) : Effect.succeed(value)
      })
  )

/** @internal */
export const read = (path: string): Effect.Effect<string, ProviderFileError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.catchAll(fileSystem.readFileString(path), (error) =>
      refuse(path, [
        {
          path: "",
          message:
            error._tag === "SystemError" && error.reason === "NotFound"
              ? "there is no such file"
              : `cannot be read: ${error.message}`
        }
      ])
    )
  )

/**
 * Reads a file. `parsed` makes it of its text, for files in another form than JSON.
 *
 * @since 0.1.0
 * @category decoding
 */
export const load = (
  path: string,
  parsed: (text: string, path: string) => Effect.Effect<ProviderFile, ProviderFileError> = parse
): Effect.Effect<ProviderFile, ProviderFileError, FileSystem.FileSystem> =>
  Effect.flatMap(read(path), (text) => parsed(text, path))
