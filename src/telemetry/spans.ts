/** Spans for those who listen. */
import { Context, DefaultServices, Effect, Option, Tracer } from "effect"

/** Effect's own tracer, which tells nobody. */
const silentTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether no tracer has been installed. */
export const isSilent: Effect.Effect<boolean> = Effect.tracerWith((tracer) => Effect.succeed(tracer === silentTracer))

/**
 * A span, where a tracer has been installed. To make one for a tracer that tells nobody costs as much as all else that a call
 * does in memory.
 */
export const make = (
  name: string,
  options: () => Omit<Tracer.SpanOptions, "captureStackTrace">
): Effect.Effect<Option.Option<Tracer.Span>> =>
  Effect.tracerWith((tracer) =>
    tracer === silentTracer
      ? Effect.succeedNone
      : Effect.map(Effect.makeSpan(name, { ...options(), captureStackTrace: false }), Option.some)
  )
