/** The log of the gateway. */
import { Effect, FiberRef, HashSet, Inspectable, Logger } from "effect"
import { writeSync } from "node:fs"
import * as LogLine from "../../telemetry/logLine.js"
import type { Settings } from "./settings.js"

/** Lines of this turn of the event loop. One write for all of them costs a busy gateway less than one for each request. */
let pending = ""

/** Writes what is left when the process ends, where nothing asynchronous runs any more. */
const writeRest = (): void => {
  if (pending === "") return
  const rest = pending
  pending = ""
  writeSync(process.stdout.fd, rest)
}

const flush = (): void => {
  const lines = pending
  pending = ""
  process.stdout.write(lines)
}

const writeLine = (line: string): void => {
  if (pending === "") setImmediate(flush)
  pending += `${line}\n`
}

/** The line of a log entry in JSON. Few values are circular, and finding those takes longer than all else. */
const jsonLine = (entry: unknown): string => {
  try {
    return JSON.stringify(entry)
  } catch {
    return Inspectable.stringifyCircular(entry)
  }
}

const loggers = {
  json: LogLine.structuredLogger((line) => writeLine(jsonLine(line))),
  text: Logger.map(Logger.logfmtLogger, writeLine),
  pretty: Logger.prettyLogger()
} as const

/** Logs to the standard output: the output of a server is its log. */
export const withLog =
  ({ logFormat, logLevel }: Settings) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.zipRight(
      Effect.sync(() => process.once("exit", writeRest)),
      effect
    ).pipe(
      Effect.locally(FiberRef.currentLoggers, HashSet.make(loggers[logFormat])),
      Effect.provide(Logger.minimumLogLevel(logLevel))
    )
