/** Records spans and log messages, and prints values in every form in which they could leak a secret. */
import type { Tracer } from "effect"
import { Cause, Effect, Layer, Logger } from "effect"
import { inspect } from "node:util"

/** Every textual form of a value. */
export const printed = (value: unknown): string =>
  [
    String(value),
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner)) ?? "",
    inspect(value, { depth: Infinity, showHidden: true, getters: false }),
    value instanceof Error ? `${value.message} ${value.stack ?? ""}` : ""
  ].join("\n")

/** A tracer with a list of the spans that it has made. */
export const recordingTracer = Effect.map(Effect.tracer, (tracer) => {
  const spans: Array<Tracer.Span> = []
  const recording: Tracer.Tracer = {
    ...tracer,
    span: (...args: Parameters<Tracer.Tracer["span"]>) => {
      const span = tracer.span(...args)
      spans.push(span)
      return span
    }
  }
  return { spans, tracer: recording, layer: Layer.setTracer(recording) }
})

/** A logger with a list of what it was given: message, cause and annotations of each entry. */
export const recordingLogger = Effect.sync(() => {
  const lines: Array<string> = []
  const layer = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, cause, message }) => {
      lines.push(printed(message), Cause.pretty(cause), printed([...annotations]))
    })
  )
  return { lines, layer }
})
