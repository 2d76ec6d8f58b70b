/** Changes of a tracer: one module, since those of Effect 4 have another form. */
import type { Fiber } from "effect"
import { Tracer } from "effect"

/** Makes spans by the name and the tracer's own way to make one. */
export const withSpan = (
  tracer: Tracer.Tracer,
  make: (name: string, own: () => Tracer.Span) => Tracer.Span
): Tracer.Tracer =>
  Tracer.make({
    context: tracer.context,
    span: (name, ...rest) => make(name, () => tracer.span(name, ...rest))
  })

/** Runs each step of a fiber within `around`. */
export const withContext = (
  tracer: Tracer.Tracer,
  around: <X>(span: Tracer.AnySpan | undefined, run: () => X) => X
): Tracer.Tracer => ({
  ...tracer,
  context: <X>(run: () => X, fiber: Fiber.RuntimeFiber<unknown, unknown>) => around(fiber.currentSpan, run)
})
