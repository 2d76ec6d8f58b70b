/** Reads a configuration file in JSON or YAML and locates each fault by line and column. */
import { FileSystem } from "@effect/platform"
import { Effect } from "effect"
import type { Document } from "yaml"
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml"
import type { ProviderFile } from "../../models/fileModel.js"
import { ProviderFileError } from "../../models/fileModel.js"
import * as FileParser from "../../models/fileParser.js"
import { isRecord } from "../../wire/json.js"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"
import * as JsonSyntax from "./jsonSyntax.js"

/** Line and column, both from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface Fault extends Partial<Position> {
  /** Such as `openai[0].api_keys`; empty for a fault of the whole file. */
  readonly path: string
  readonly message: string
}

export interface ParsedConfiguration {
  /** Absent if there are faults. */
  readonly file: ProviderFile | undefined
  readonly faults: ReadonlyArray<Fault>
  readonly warnings: ReadonlyArray<Fault>
}

/** Splits `openai[0].api_keys` into steps. Names can contain dots: the longest existing name matches. */
const pathSteps = (path: string, document: Document.Parsed): ReadonlyArray<string | number> => {
  const steps: Array<string | number> = []
  let rest = path
  let node: unknown = document.contents
  while (rest !== "") {
    const index = /^\[(\d+)\]\.?/.exec(rest)
    if (index !== null) {
      steps.push(Number(index[1]))
      rest = rest.slice(index[0].length)
    } else {
      const keys = isMap(node) ? node.items.map(({ key }) => String(isScalar(key) ? key.value : key)) : []
      const fits = (key: string) => rest === key || rest.startsWith(`${key}.`) || rest.startsWith(`${key}[`)
      const key = keys.filter(fits).sort((a, b) => b.length - a.length)[0] ?? /^[^.[]+/.exec(rest)?.[0] ?? rest
      steps.push(key)
      rest = rest.slice(key.length).replace(/^\./, "")
    }
    const last = steps[steps.length - 1]
    node = childOf(node, last, document)?.value
  }
  return steps
}

interface Child {
  /** The offset of the field's name, or of the value in a list. */
  readonly at: number | undefined
  readonly value: unknown
}

const offsetOf = (node: unknown): number | undefined =>
  isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? undefined) : undefined

const childOf = (node: unknown, step: string | number | undefined, document: Document.Parsed): Child | undefined => {
  const resolved = isAlias(node) ? node.resolve(document) : node
  if (isSeq(resolved) && typeof step === "number") {
    const value = resolved.items[step]
    return value === undefined ? undefined : { at: offsetOf(value), value }
  }
  const pair = isMap(resolved)
    ? resolved.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step))
    : undefined
  return pair === undefined ? undefined : { at: offsetOf(pair.key), value: pair.value }
}

/** The position of a path, or of its nearest existing parent, for example for a missing field. */
const positionOf = (path: string, document: Document.Parsed, lines: LineCounter): Partial<Position> => {
  let node: unknown = document.contents
  let at = offsetOf(node)
  for (const step of pathSteps(path, document)) {
    const child = childOf(node, step, document)
    if (child === undefined) break
    at = child.at ?? at
    node = child.value
  }
  return at === undefined ? {} : lineAndColumn(lines, at)
}

const lineAndColumn = (lines: LineCounter, offset: number): Partial<Position> => {
  const { col, line } = lines.linePos(offset)
  return line === 0 ? {} : { line, column: col }
}

/** Describes a parser error by its code, because its message can quote a key from the file. */
const errorCodeMessage = (code: string): string => code.toLowerCase().replaceAll("_", " ")

const isYaml = (path: string): boolean => /\.ya?ml$/i.test(path)

/** Parses the text of the file at `path`, as YAML by its extension, else as JSON. Replaces `${NAME}` from the environment. */
export const parse = (text: string, path: string): Effect.Effect<ParsedConfiguration> => {
  const lines = new LineCounter()
  const yaml = isYaml(path)
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    ...(yaml ? { merge: true } : { schema: "json" })
  })
  const syntaxFaults = document.errors.map((error): Fault => ({
    path: "",
    message: yaml ? `not valid YAML: ${errorCodeMessage(error.code)}` : errorCodeMessage(error.code),
    ...lineAndColumn(lines, error.pos[0])
  }))
  const withPosition = (fault: { readonly path: string; readonly message: string }): Fault => ({
    ...fault,
    ...positionOf(fault.path, document, lines)
  })
  // JSON.parse silently takes the last duplicate.
  const duplicates = yaml ? [] : syntaxFaults.filter(({ message }) => message === "duplicate key")
  const failedResult = (error: ProviderFileError): ParsedConfiguration => ({
    file: undefined,
    faults: error.faults.map(withPosition).sort(byPosition),
    warnings: error.warnings.map(warningOf).map(withPosition)
  })
  const validate = (json: string): Effect.Effect<ParsedConfiguration> =>
    Effect.match(FileParser.parse(json, path), {
      onFailure: failedResult,
      onSuccess: (file) => ({
        file,
        faults: [],
        warnings: [...duplicates, ...file.warnings.map(warningOf).map(withPosition)]
      })
    })
  if (yaml) {
    if (syntaxFaults.length > 0) return Effect.succeed({ file: undefined, faults: syntaxFaults, warnings: [] })
    return Effect.matchEffect(
      Effect.try((): unknown => document.toJS()),
      {
        // The parser limits the expansion of aliases.
        onFailure: () =>
          Effect.succeed({ file: undefined, faults: [{ path: "", message: "too many aliases" }], warnings: [] }),
        onSuccess: (value) => validate(JSON.stringify(isRecord(value) ? value : null))
      }
    )
  }
  const end = JsonSyntax.faultOf(text)
  return end === undefined
    ? validate(text)
    : Effect.succeed({
        file: undefined,
        faults: [{ path: "", message: "not valid JSON", ...lineAndColumn(lines, end) }],
        warnings: []
      })
}

/** Splits a warning such as `openai[0].modle_name: unknown field`. */
const warningOf = (warning: string): Fault => {
  const end = warning.lastIndexOf(": ")
  return { path: warning.slice(0, end), message: warning.slice(end + 2) }
}

const byPosition = (a: Fault, b: Fault): number => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)

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
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    fileSystem.readFileString(path).pipe(
      Effect.mapError((error) =>
        usageFailure(
          error._tag === "SystemError" && error.reason === "NotFound"
            ? `${path} does not exist.`
            : `${path} cannot be read: ${error.message}`
        )
      ),
      Effect.flatMap((text) => parse(text, path))
    )
  )

/** Formats `provider.json:3:5: openai[0].api_keys: is missing`, like compilers, so that editors can jump to it. */
export const formatFault = (file: string, { column, line, message, path }: Fault): string =>
  [`${file}${line === undefined ? "" : `:${line}:${column}`}`, ...(path === "" ? [] : [path]), message].join(": ")
