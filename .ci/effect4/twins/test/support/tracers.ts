/** Changes of a tracer. */
import { Tracer } from "effect"

/** Makes spans by the name and the tracer's own way to make one. */
export const withSpan = (
  tracer: Tracer.Tracer,
  make: (name: string, own: () => Tracer.Span) => Tracer.Span
): Tracer.Tracer =>
  Tracer.make({
    context: tracer.context,
    span: (options) => make(options.name, () => tracer.span(options))
  })

/** Runs each step of a fiber within `around`. */
export const withContext = (
  tracer: Tracer.Tracer,
  around: <X>(span: Tracer.AnySpan | undefined, run: () => X) => X
): Tracer.Tracer => ({
  ...tracer,
  context: (primitive, fiber) => around(fiber.cache.span, () => primitive["~effect/Effect/evaluate"](fiber))
})
