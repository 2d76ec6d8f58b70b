/** The log of the gateway. */
import { Effect, FiberRef, HashSet, Logger } from "effect"
import type { Settings } from "./settings.js"

const loggers = {
  json: Logger.withConsoleLog(Logger.jsonLogger),
  text: Logger.withConsoleLog(Logger.logfmtLogger),
  pretty: Logger.prettyLogger()
} as const

/** Logs to the standard output: the output of a server is its log. */
export const withLog =
  ({ logFormat, logLevel }: Settings) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(
      Effect.locally(FiberRef.currentLoggers, HashSet.make(loggers[logFormat])),
      Effect.provide(Logger.minimumLogLevel(logLevel))
    )
