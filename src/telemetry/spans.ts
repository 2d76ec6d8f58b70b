/** Spans that are made only when a tracer is installed. */
import { Context, DefaultServices, Effect, Option, Tracer } from "effect"

/** Effect's default tracer, which exports nothing. */
const defaultTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether no tracer has been installed. */
export const isSilent: Effect.Effect<boolean> = Effect.tracerWith((tracer) => Effect.succeed(tracer === defaultTracer))

/** Makes a span when a tracer is installed. A span of the default tracer would cost as much as the rest of a call in memory. */
export const make = (
  name: string,
  options: () => Omit<Tracer.SpanOptions, "captureStackTrace">
): Effect.Effect<Option.Option<Tracer.Span>> =>
  Effect.tracerWith((tracer) =>
    tracer === defaultTracer
      ? Effect.succeedNone
      : Effect.map(Effect.makeSpan(name, { ...options(), captureStackTrace: false }), Option.some)
  )
