/** Reads and parses a `provider.json`. */
import { FileSystem } from "@effect/platform"
import { Config, Effect, Option } from "effect"
import { isNotFound } from "../internal/platformErrors.js"
import type { Fault } from "./fileFields.js"
import type { ProviderFile } from "./fileModel.js"
import { ProviderFileError } from "./fileModel.js"
import { readFile } from "./fileReader.js"

const variable = /(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/** The variables in a text with their values in the environment. */
const variablesOf = (text: string): Effect.Effect<ReadonlyMap<string, string | undefined>> =>
  Effect.map(
    Effect.forEach(
      new Set([...text.matchAll(variable)].filter(([, escaped]) => escaped === "").map(([, , name]) => name ?? "")),
      (name) =>
        Effect.map(
          // A variable that cannot be read counts as not set and is reported as a fault of each field that contains it.
          Effect.option(Config.string(name)),
          (value) => [name, Option.getOrUndefined(value)] as const
        )
    ),
    (entries) => new Map(entries)
  )

/** Line and column of a JSON error when the engine reports them. Its message is not used: it can quote a key from the text. */
const positionOf = (text: string, cause: unknown): string => {
  const at = /position (\d+)/.exec(cause instanceof Error ? cause.message : "")?.[1]
  if (at === undefined) return ""
  const lines = text.slice(0, Number(at)).split("\n")
  return ` at line ${lines.length}, column ${(lines[lines.length - 1]?.length ?? 0) + 1}`
}

const failWith = (file: string, faults: ReadonlyArray<Fault>, warnings: ReadonlyArray<string> = []) =>
  Effect.fail(new ProviderFileError({ file, faults, warnings }))

/**
 * Parses the text of a file. `file` is its name in errors.
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
            const variable = variables.get(name)
            missing ||= variable === undefined
            return variable ?? ""
          })
          return missing ? undefined : expanded
        }
        const { faults, value } = readFile(json, expand)
        return faults.length > 0 ? failWith(file, faults, value.warnings) : Effect.succeed(value)
      })
  )

export const read = (path: string): Effect.Effect<string, ProviderFileError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.catchAll(fileSystem.readFileString(path), (error) =>
      failWith(path, [
        {
          path: "",
          message: isNotFound(error) ? "there is no such file" : `cannot be read: ${error.message}`
        }
      ])
    )
  )

/**
 * Reads and parses a file. `parser` parses its text, for files in another format than JSON.
 *
 * @since 0.1.0
 * @category decoding
 */
export const load = (
  path: string,
  parser: (text: string, path: string) => Effect.Effect<ProviderFile, ProviderFileError> = parse
): Effect.Effect<ProviderFile, ProviderFileError, FileSystem.FileSystem> =>
  Effect.flatMap(read(path), (text) => parser(text, path))
