/** Reads a configuration file in JSON or YAML and locates each fault by line and column. */
import type { FileSystem } from "@effect/platform"
import { Effect, Either } from "effect"
import type { ProviderFile } from "../../models/fileModel.js"
import { ProviderFileError } from "../../models/fileModel.js"
import * as FileParser from "../../models/fileParser.js"
import { isRecord } from "../../wire/json.js"
import type { CliFailure } from "../failure.js"
import * as Document from "./document.js"
import type { Fault } from "./document.js"

export interface ParsedConfiguration {
  /** Absent if there are faults. */
  readonly file: ProviderFile | undefined
  readonly faults: ReadonlyArray<Fault>
  readonly warnings: ReadonlyArray<Fault>
}

/** Parses the text of the file at `path`, as YAML by its extension, else as JSON. Replaces `${NAME}` from the environment. */
export const parse = (text: string, path: string): Effect.Effect<ParsedConfiguration> =>
  Either.match(Document.parse(text, path), {
    onLeft: (faults) => Effect.succeed({ file: undefined, faults, warnings: [] }),
    onRight: ({ duplicates, locate, value }) =>
      Effect.match(FileParser.parse(JSON.stringify(isRecord(value) ? value : null), path), {
        onFailure: (error): ParsedConfiguration => ({
          file: undefined,
          faults: error.faults.map(locate).sort(Document.byPosition),
          warnings: error.warnings.map(warningOf).map(locate)
        }),
        onSuccess: (file) => ({
          file,
          faults: [],
          // JSON.parse silently takes the last duplicate.
          warnings: [...duplicates, ...file.warnings.map(warningOf).map(locate)]
        })
      })
  })

/** Splits a warning such as `openai[0].modle_name: unknown field`. */
const warningOf = (warning: string): Fault => {
  const end = warning.lastIndexOf(": ")
  return { path: warning.slice(0, end), message: warning.slice(end + 2) }
}

/** Formats `is missing (line 3, column 5)`. */
const messageWithPosition = ({ column, line, message }: Fault): string =>
  line === undefined ? message : `${message} (line ${line}, column ${column})`

/** Parses like `parse`, with the errors that `Models` expects of a parser. */
export const parseFile = (text: string, path: string): Effect.Effect<ProviderFile, ProviderFileError> =>
  Effect.flatMap(parse(text, path), ({ faults, file, warnings }) =>
    file === undefined
      ? Effect.fail(
          new ProviderFileError({
            file: path,
            faults: faults.map((fault) => ({ path: fault.path, message: messageWithPosition(fault) })),
            warnings: warnings.map((warning) =>
              [warning.path, messageWithPosition(warning)].filter((part) => part !== "").join(": ")
            )
          })
        )
      : Effect.succeed(file)
  )

/** Reads and parses a file. */
export const load = (path: string): Effect.Effect<ParsedConfiguration, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(Document.read(path), (text) => parse(text, path))
