/** Log lines that are written in plain code. */
import type { Fiber } from "effect"
import { Cause, FiberRef, HashMap, HashSet, Inspectable, Logger, LogLevel, Predicate } from "effect"
import { clockOf } from "../internal/clock.js"

/** The annotations of a line, in addition to those of its fiber. */
export type Fields = Readonly<Record<string, string | number | boolean>>

type Options = Logger.Logger.Options<unknown>

const FieldsLoggerTypeId: unique symbol = Symbol.for("effect-llm/FieldsLogger")

/** A logger that takes fields as they are. Others get them as a map, which takes longer to make and to read than the rest of the line. */
interface FieldsLogger extends Logger.Logger<unknown, void> {
  readonly [FieldsLoggerTypeId]: (options: Options, fields: Fields) => void
}

const isFieldsLogger = (logger: Logger.Logger<unknown, unknown>): logger is FieldsLogger =>
  Predicate.hasProperty(logger, FieldsLoggerTypeId)

type Structured = typeof Logger.structuredLogger extends Logger.Logger<unknown, infer Line> ? Line : never

/** Writes the lines of `Logger.structuredLogger`. */
export const structuredLogger = (write: (line: Structured) => void): Logger.Logger<unknown, void> => {
  const logger: FieldsLogger = {
    ...Logger.map(Logger.structuredLogger, write),
    [FieldsLoggerTypeId]: (options, fields) => {
      const line = Logger.structuredLogger.log(options)
      // Not by a spread, which takes three times as long as the rest of the line.
      Object.assign(line.annotations, fields)
      write(line)
    }
  }
  return logger
}

type Annotations = Options["annotations"]

const withFields = (inherited: Annotations, fields: Fields): Annotations =>
  HashMap.mutate(inherited, (annotations: Annotations) => {
    for (const name of Object.keys(fields)) HashMap.set(annotations, name, fields[name])
  })

/** Does what `Effect.annotateLogs` around `Effect.logWithLevel` does, without its change of the fiber's annotations. */
export const unsafeWrite = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  logLevel: LogLevel.LogLevel,
  message: string,
  fields: Fields
): void => {
  if (LogLevel.greaterThan(fiber.getFiberRef(FiberRef.currentMinimumLogLevel), logLevel)) return
  const loggers = fiber.getFiberRef(FiberRef.currentLoggers)
  if (HashSet.size(loggers) === 0) return
  const context = fiber.getFiberRefs()
  const options: Options = {
    fiberId: fiber.id(),
    logLevel,
    message: [message],
    cause: Cause.empty,
    context,
    spans: fiber.getFiberRef(FiberRef.currentLogSpan),
    annotations: fiber.getFiberRef(FiberRef.currentLogAnnotations),
    date: new Date(clockOf(fiber).unsafeCurrentTimeMillis())
  }
  Inspectable.withRedactableContext(context, () => {
    for (const logger of loggers) {
      if (isFieldsLogger(logger)) logger[FieldsLoggerTypeId](options, fields)
      else logger.log({ ...options, annotations: withFields(options.annotations, fields) })
    }
  })
}
