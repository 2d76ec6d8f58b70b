/** Reads the options of `simulate-load`: rates, times, distributions, outages, and traces. */
import { FileSystem } from "@effect/platform"
import { Effect, Either } from "effect"
import type { Arrival, Distribution, Outage } from "../../simulation/model.js"
import { isRecord, parseJson } from "../../wire/json.js"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"

type Read<A> = Either.Either<A, CliFailure>

const unitMillis: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

/** The milliseconds of a text such as `500ms`. */
export const millisOf = (text: string): number | undefined => {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)$/.exec(text.trim()) ?? []
  const factor = unitMillis[unit]
  return factor === undefined ? undefined : Number(amount) * factor
}

const expected = <A>(option: string, text: string, value: A | undefined, what: string): Read<A> =>
  value === undefined ? Either.left(usageFailure(`--${option} ${text}: expected ${what}.`)) : Either.right(value)

/** Milliseconds. */
export const time = (option: string, text: string): Read<number> =>
  expected(option, text, millisOf(text), "a time such as 500ms, 90s, 30m, 8h or 1d")

/** Calls per second. */
export const rate = (text: string): Read<number> => {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)\/(s|m|min|h|d)$/.exec(text.trim()) ?? []
  const perSecond = (Number(amount) * 1000) / (unitMillis[unit] ?? 0)
  return expected(
    "rate",
    text,
    perSecond > 0 && perSecond < Infinity ? perSecond : undefined,
    "a rate above 0 such as 5/s or 300/min"
  )
}

const distribution = (
  option: string,
  text: string,
  valueOf: (text: string) => number | undefined,
  what: string
): Read<Distribution<number>> => {
  const [median = "", high, ...more] = text.split("/")
  const [p50, p95] = [valueOf(median), high === undefined ? undefined : valueOf(high)]
  const isValid = p50 !== undefined && more.length === 0 && (high === undefined || (p95 !== undefined && p95 >= p50))
  return expected(option, text, isValid ? (p95 === undefined ? p50 : { p50, p95 }) : undefined, what)
}

const count = (text: string): number | undefined => (/^\d+$/.test(text.trim()) ? Number(text) : undefined)

export const tokens = (option: string, text: string): Read<Distribution<number>> =>
  distribution(option, text, count, "a number of tokens such as 800, or median and 95th percentile such as 800/3000")

export const latency = (text: string): Read<Distribution<number>> =>
  distribution("latency", text, millisOf, "a time such as 800ms, or median and 95th percentile such as 800ms/3s")

export const outage = (text: string): Read<Outage> => {
  const [, begin = "", end = "", status, provider] =
    /^([^.]+(?:\.\d+\w+)?)\.\.([^@]+)(?:@(\d{3})(?::(.+))?)?$/.exec(text) ?? []
  const [from, to] = [millisOf(begin), millisOf(end)]
  return expected(
    "outage",
    text,
    from === undefined || to === undefined || to <= from
      ? undefined
      : {
          from,
          to,
          ...(status === undefined ? {} : { status: Number(status) }),
          ...(provider === undefined ? {} : { provider })
        },
    "a period such as 10m..12m, 10m..12m@500 or 10m..12m@503:openai"
  )
}

// -------------------------------------------------------------------------------------
// traces
// -------------------------------------------------------------------------------------

const fields = ["at", "input_tokens", "output_tokens", "model", "client"] as const

type Fields = Partial<Record<(typeof fields)[number], unknown>>

interface Row extends Omit<Arrival, "at"> {
  /** Milliseconds since the start, or since the epoch. */
  readonly at: number
  readonly isDate: boolean
}

const numberOf = (value: unknown): number =>
  typeof value === "string" && value.trim() !== "" ? Number(value) : typeof value === "number" ? value : NaN

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

/** The call of a line, or what is wrong with it. */
const rowOf = ({ at, client, input_tokens, model, output_tokens }: Fields): Either.Either<Row, string> => {
  const seconds = numberOf(at)
  const date = Number.isNaN(seconds) && typeof at === "string" ? Date.parse(at) : NaN
  const [inputTokens, outputTokens] = [numberOf(input_tokens), numberOf(output_tokens)]
  const isCount = (value: number): boolean => value >= 0 && value < Infinity
  if (!isCount(seconds) && Number.isNaN(date)) return Either.left("at must be seconds since the start, or a date")
  if (!isCount(inputTokens)) return Either.left("input_tokens must be a number of at least 0")
  if (!isCount(outputTokens)) return Either.left("output_tokens must be a number of at least 0")
  const [modelName, clientName] = [textOf(model), textOf(client)]
  return Either.right({
    at: Number.isNaN(date) ? seconds * 1000 : date,
    isDate: !Number.isNaN(date),
    inputTokens,
    outputTokens,
    ...(modelName === undefined ? {} : { model: modelName }),
    ...(clientName === undefined ? {} : { client: clientName })
  })
}

const jsonFields = (line: string): Fields | undefined => {
  const value = parseJson(line)
  return isRecord(value) ? value : undefined
}

const cells = (line: string): ReadonlyArray<string> =>
  line.split(",").map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"))

/** The calls of a trace. Dates are relative to the first of them. */
export const parseTrace = (path: string, content: string): Read<ReadonlyArray<Arrival>> =>
  Either.gen(function* () {
    const fail = (line: number, problem: string) => Either.left(usageFailure(`${path} line ${line}: ${problem}.`))
    const lines = content.split(/\r?\n/)
    const isJson = content.trimStart().startsWith("{")
    const header = isJson ? [] : cells(lines[0] ?? "")
    if (!isJson && !["at", "input_tokens", "output_tokens"].every((name) => header.includes(name))) {
      return yield* fail(1, "expected JSON, or a CSV header with at, input_tokens and output_tokens")
    }
    const rows: Array<Row> = []
    for (const [index, line] of lines.entries()) {
      if (line.trim() === "" || (!isJson && index === 0)) continue
      const read = isJson
        ? jsonFields(line)
        : Object.fromEntries(cells(line).map((cell, column) => [header[column], cell]))
      if (read === undefined) return yield* fail(index + 1, "it is not a JSON object")
      const row = rowOf(read)
      if (Either.isLeft(row)) return yield* fail(index + 1, row.left)
      if (rows.some(({ isDate }) => isDate !== row.right.isDate)) {
        return yield* fail(index + 1, "at must be seconds in all lines, or a date in all lines")
      }
      rows.push(row.right)
    }
    if (rows.length === 0) return yield* Either.left(usageFailure(`${path} has no calls.`))
    const start = rows.reduce((least, { at, isDate }) => (isDate ? Math.min(least, at) : 0), Infinity)
    return rows.map(({ at, isDate: _, ...row }) => ({ ...row, at: at - start }))
  })

export const trace = (path: string): Effect.Effect<ReadonlyArray<Arrival>, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const content = yield* Effect.mapError(fileSystem.readFileString(path), () =>
      usageFailure(`${path} cannot be read.`)
    )
    return yield* parseTrace(path, content)
  })
