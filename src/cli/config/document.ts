/** Parses a file in JSON or YAML and locates the faults of its values by line and column. */
import { FileSystem } from "@effect/platform"
import { Effect, Either } from "effect"
import type { Document } from "yaml"
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml"
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

/** A file that could be parsed. */
export interface Parsed {
  readonly value: unknown
  /** Adds the position of the value at the path of the fault, or of its nearest existing parent. */
  readonly locate: (fault: { readonly path: string; readonly message: string }) => Fault
  /** Of JSON: fields that come twice, of which the last one counts. */
  readonly duplicates: ReadonlyArray<Fault>
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
const errorMessage = ({ code, message }: { readonly code: string; readonly message: string }): string => {
  const quote = /^Missing closing (["'])quote/.exec(message)?.[1]
  return quote === undefined ? code.toLowerCase().replaceAll("_", " ") : `a text has no closing ${quote}`
}

/** The start of the quoted text that has no end before the offset, where its closing quote is missed. */
const openQuote = (document: Document.Parsed, offset: number): number | undefined => {
  let start: number | undefined
  visit(document, {
    Scalar: (_, { range, source, type }) => {
      const [from, to] = range ?? [0, 0]
      const quote = type === "QUOTE_DOUBLE" ? '"' : type === "QUOTE_SINGLE" ? "'" : undefined
      if (quote !== undefined && from < offset && offset <= to + 1 && source !== undefined) start = from
    }
  })
  return start
}

const isYaml = (path: string): boolean => /\.ya?ml$/i.test(path)

/** Parses the text of the file at `path`, as YAML by its extension, else as JSON. */
export const parse = (text: string, path: string): Either.Either<Parsed, ReadonlyArray<Fault>> => {
  const lines = new LineCounter()
  const yaml = isYaml(path)
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    ...(yaml ? { merge: true } : { schema: "json" })
  })
  const syntaxFaults = document.errors.map((error): Fault => ({
    path: "",
    message: yaml ? `not valid YAML: ${errorMessage(error)}` : errorMessage(error),
    ...lineAndColumn(lines, openQuote(document, error.pos[0]) ?? error.pos[0])
  }))
  const locate: Parsed["locate"] = (fault) => ({ ...fault, ...positionOf(fault.path, document, lines) })
  if (yaml) {
    if (syntaxFaults.length > 0) return Either.left(syntaxFaults)
    return Either.try({
      try: (): Parsed => ({ value: document.toJS(), locate, duplicates: [] }),
      // The parser limits the expansion of aliases.
      catch: () => [{ path: "", message: "too many aliases" }]
    })
  }
  const end = JsonSyntax.faultOf(text)
  if (end !== undefined) return Either.left([{ path: "", message: "not valid JSON", ...lineAndColumn(lines, end) }])
  const value: unknown = JSON.parse(text)
  return Either.right({ value, locate, duplicates: syntaxFaults.filter(({ message }) => message === "duplicate key") })
}

export const byPosition = (a: Fault, b: Fault): number =>
  (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)

/** Formats `provider.json:3:5: openai[0].api_keys: is missing`, like compilers, so that editors can jump to it. */
export const formatFault = (file: string, { column, line, message, path }: Fault): string =>
  [`${file}${line === undefined ? "" : `:${line}:${column}`}`, ...(path === "" ? [] : [path]), message].join(": ")

/** Reads the text of a file. */
export const read = (path: string): Effect.Effect<string, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.mapError(fileSystem.readFileString(path), (error) =>
      usageFailure(
        error._tag === "SystemError" && error.reason === "NotFound"
          ? `${path} does not exist.`
          : `${path} cannot be read: ${error.message}`
      )
    )
  )
