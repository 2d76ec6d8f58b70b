/** Spans in plain code, as children of that of a fiber: one module, since Effect 4 has tracers of another form. */
import type { Fiber } from "effect"
import { Chunk, Context, DefaultServices, Effect, FiberRef, HashMap, Option, Tracer } from "effect"
import { clockOf } from "../internal/clock.js"

/** Effect's default tracer, which exports nothing. */
const defaultTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether no tracer has been installed. */
export const isSilent: Effect.Effect<boolean> = Effect.tracerWith((tracer) => Effect.succeed(tracer === defaultTracer))

/**
 * Whether a fiber's calls have spans: not without a tracer, since a span of the default one would cost as much as the rest of a call
 * in memory, and not where tracing is disabled.
 */
export const isTraced = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  fiber.currentTracer !== defaultTracer && fiber.getFiberRef(FiberRef.currentTracerEnabled)

/** The span of a fiber, or the nearest one around it whose trace continues. */
const parentOf = (span: Tracer.AnySpan | undefined): Option.Option<Tracer.AnySpan> => {
  if (span === undefined) return Option.none()
  if (!Context.get(span.context, Tracer.DisablePropagation)) return Option.some(span)
  return span._tag === "Span" ? parentOf(Option.getOrUndefined(span.parent)) : Option.none()
}

/** Does what `Effect.makeSpan` does, at once. `parent`: in place of the span of the fiber. */
export const unsafeMake = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  name: string,
  kind: Tracer.SpanKind,
  attributes: Record<string, unknown>,
  parent: Tracer.AnySpan | undefined = fiber.currentSpan
): Tracer.Span => {
  const links = Chunk.toReadonlyArray(fiber.getFiberRef(FiberRef.currentTracerSpanLinks))
  const startTime = fiber.getFiberRef(FiberRef.currentTracerTimingEnabled)
    ? clockOf(fiber).unsafeCurrentTimeNanos()
    : 0n
  const options = { kind, attributes, captureStackTrace: false }
  const span = fiber.currentTracer.span(name, parentOf(parent), Context.empty(), links, startTime, kind, options)
  HashMap.forEach(fiber.getFiberRef(FiberRef.currentTracerSpanAnnotations), (value, key) => span.attribute(key, value))
  for (const [key, value] of Object.entries(attributes)) span.attribute(key, value)
  return span
}
