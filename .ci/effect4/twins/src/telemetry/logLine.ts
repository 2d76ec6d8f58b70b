/** Log lines that are written in plain code. */
import type { Fiber, LogLevel } from "effect"
import { Cause, Context, Logger, LogLevel as LogLevels, References } from "effect"
import { clockOf } from "../internal/clock.js"

/** The annotations of a line, in addition to those of its fiber. */
export type Fields = Readonly<Record<string, string | number | boolean>>

type Structured = typeof Logger.formatStructured extends Logger.Logger<unknown, infer Output> ? Output : never

/** Writes the lines of `Logger.formatStructured`. */
export const structuredLogger = (write: (line: Structured) => void): Logger.Logger<unknown, void> =>
  Logger.map(Logger.formatStructured, write)

/** The annotation that a fiber adds to every line. */
export const annotationOf = (fiber: Fiber.Fiber<unknown, unknown>, name: string): unknown =>
  fiber.getRef(References.CurrentLogAnnotations)[name]

/** Does what `Effect.annotateLogs` around `Effect.logWithLevel` does, at once. */
export const unsafeWrite = (
  fiber: Fiber.Fiber<unknown, unknown>,
  logLevel: LogLevel.LogLevel,
  message: string,
  fields: Fields
): void => {
  if (LogLevels.isGreaterThan(fiber.getRef(References.MinimumLogLevel), logLevel)) return
  const loggers = fiber.getRef(References.CurrentLoggers)
  if (loggers.size === 0) return
  const { context } = fiber
  const annotations = { ...fiber.getRef(References.CurrentLogAnnotations), ...fields }
  const date = new Date(clockOf(fiber).currentTimeMillisUnsafe())
  // Loggers read the annotations of the fiber.
  fiber.setContext(Context.add(context, References.CurrentLogAnnotations, annotations))
  try {
    for (const logger of loggers) logger.log({ fiber, logLevel, message: [message], cause: Cause.empty, date })
  } finally {
    fiber.setContext(context)
  }
}
