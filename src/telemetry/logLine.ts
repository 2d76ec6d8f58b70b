/** Log lines that are written in plain code. */
import type { Fiber, FiberId } from "effect"
import { Cause, FiberRef, HashMap, HashSet, Inspectable, Logger, LogLevel, Option, Predicate } from "effect"
import { clockOf } from "../internal/clock.js"

/** The annotations of a line, in addition to those of its fiber. */
export type Fields = Readonly<Record<string, string | number | boolean>>

type Options = Logger.Logger.Options<unknown>

interface Line extends Options {
  readonly fiberId: FiberId.Runtime
  readonly message: readonly [string]
}

const FieldsLoggerTypeId: unique symbol = Symbol.for("effect-llm/FieldsLogger")

/** A logger that takes fields as they are. Others get them as a map, which takes longer to make and to read than the rest of the line. */
interface FieldsLogger extends Logger.Logger<unknown, void> {
  readonly [FieldsLoggerTypeId]: (line: Line, fields: Fields) => void
}

const isFieldsLogger = (logger: Logger.Logger<unknown, unknown>): logger is FieldsLogger =>
  Predicate.hasProperty(logger, FieldsLoggerTypeId)

type Structured = typeof Logger.structuredLogger extends Logger.Logger<unknown, infer Output> ? Output : never

const structuredValue = (value: unknown): unknown => {
  const type = typeof value
  return type === "bigint" || type === "function" || type === "symbol" ? String(value) : Inspectable.toJSON(value)
}

/** The annotations of a fiber, which those of the line replace: in a gateway all of them. */
const structuredAnnotations = (inherited: Annotations, fields: Fields): Record<string, unknown> => {
  const others: Array<readonly [string, unknown]> = []
  for (const [name, value] of inherited) if (!(name in fields)) others.push([name, structuredValue(value)])
  return others.length === 0 ? fields : { ...Object.fromEntries(others), ...fields }
}

/** Does what `Logger.structuredLogger` does, whose sets and maps cost a gateway 4 % of the CPU of a request. */
const structured = ({ annotations, date, fiberId, logLevel, message, spans }: Line, fields: Fields): Structured => {
  const durations: Record<string, number> = {}
  for (const { label, startTime } of spans) durations[label] = date.getTime() - startTime
  return {
    message: message[0],
    logLevel: logLevel.label,
    timestamp: date.toISOString(),
    cause: undefined,
    annotations: structuredAnnotations(annotations, fields),
    spans: durations,
    fiberId: `#${fiberId.id}`
  }
}

/** Writes the lines of `Logger.structuredLogger`. */
export const structuredLogger = (write: (line: Structured) => void): Logger.Logger<unknown, void> => {
  const logger: FieldsLogger = {
    ...Logger.map(Logger.structuredLogger, write),
    [FieldsLoggerTypeId]: (line, fields) => write(structured(line, fields))
  }
  return logger
}

type Annotations = Options["annotations"]

const withFields = (inherited: Annotations, fields: Fields): Annotations =>
  HashMap.mutate(inherited, (annotations: Annotations) => {
    for (const name of Object.keys(fields)) HashMap.set(annotations, name, fields[name])
  })

/** The annotation that a fiber adds to every line. */
export const annotationOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>, name: string): unknown =>
  Option.getOrUndefined(HashMap.get(fiber.getFiberRef(FiberRef.currentLogAnnotations), name))

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
  const line: Line = {
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
      if (isFieldsLogger(logger)) logger[FieldsLoggerTypeId](line, fields)
      else logger.log({ ...line, annotations: withFields(line.annotations, fields) })
    }
  })
}
