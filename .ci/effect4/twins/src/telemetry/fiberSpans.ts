/** Spans in plain code, as children of that of a fiber. */
import type { Fiber } from "effect"
import { Context, Effect, Option, References, Tracer } from "effect"
import { clockOf } from "../internal/clock.js"

/** Whether no tracer has been installed: the default one exports nothing. */
export const isSilent: Effect.Effect<boolean> = Effect.map(Effect.tracer, (tracer) => tracer === Tracer.nativeTracer)

/**
 * Whether a fiber's calls have spans: not without a tracer, since a span of the default one would cost as much as the rest of a call
 * in memory, and not where tracing is disabled.
 */
export const isTraced = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracer !== Tracer.nativeTracer && cache.tracerEnabled

/** The span of a fiber, or the nearest one around it whose trace continues. */
const parentOf = (span: Tracer.AnySpan | undefined): Option.Option<Tracer.AnySpan> => {
  if (span === undefined) return Option.none()
  if (!Context.get(span.annotations, Tracer.DisablePropagation)) return Option.some(span)
  return span._tag === "Span" ? parentOf(Option.getOrUndefined(span.parent)) : Option.none()
}

/** Does what `Effect.makeSpan` does, at once. `parent`: in place of the span of the fiber. */
export const unsafeMake = (
  fiber: Fiber.Fiber<unknown, unknown>,
  name: string,
  kind: Tracer.SpanKind,
  attributes: Record<string, unknown>,
  parent: Tracer.AnySpan | undefined = fiber.cache.span
): Tracer.Span => {
  const tracer = fiber.cache.tracer ?? Tracer.nativeTracer
  const around = parentOf(parent)
  const span = tracer.span({
    name,
    parent: around,
    annotations: Context.empty(),
    links: [...fiber.getRef(References.TracerSpanLinks)],
    startTime: fiber.getRef(References.TracerTimingEnabled) ? clockOf(fiber).currentTimeNanosUnsafe() : 0n,
    kind,
    root: false,
    sampled: Option.isNone(around) || around.value.sampled
  })
  for (const [key, value] of Object.entries(fiber.getRef(References.TracerSpanAnnotations))) span.attribute(key, value)
  for (const [key, value] of Object.entries(attributes)) span.attribute(key, value)
  return span
}
