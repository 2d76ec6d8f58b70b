/** The spans of requests. */
import { expect, it, describe } from "@effect/vitest"
import { Effect, Option, Ref, Tracer } from "effect"
import type { Middleware } from "../../src/LLM.js"
import { start } from "./support/gateway.js"
import { paths, post, question } from "./support/http.js"

const client = "0af7651916cd43dd8448eb211c80319c"

const chat = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.map(
    post(`${url}${paths["chat completions"]}`, question("chat completions", "openai/large"), headers),
    ({ status }) => status
  )

const traceHeaders = { traceparent: `00-${client}-b7ad6b7169203331-01` }

/** Records the trace id of each call. */
const recordTraces =
  (traces: Ref.Ref<ReadonlyArray<string | undefined>>): Middleware =>
  (next) =>
    Effect.succeed({
      ...next,
      chat: (request) =>
        Effect.option(Effect.currentSpan).pipe(
          Effect.flatMap((span) =>
            Ref.update(traces, (all) => [...all, Option.getOrUndefined(Option.map(span, ({ traceId }) => traceId))])
          ),
          Effect.zipRight(next.chat(request))
        )
    })

/** A tracer that records the kinds and trace ids of its spans. */
const recordingTracer = (
  spans: Array<{ readonly kind: Tracer.SpanKind; readonly traceId: string }>
): Effect.Effect<Tracer.Tracer> =>
  Effect.map(Effect.tracer, (tracer) =>
    Tracer.make({
      span: (...options) => {
        const span = tracer.span(...options)
        spans.push({ kind: span.kind, traceId: span.traceId })
        return span
      },
      context: tracer.context
    })
  )

describe("request spans", () => {
  it.scopedLive("continues the client's trace in the request span when a tracer is installed", () =>
    Effect.gen(function* () {
      const spans: Array<{ readonly kind: Tracer.SpanKind; readonly traceId: string }> = []
      const tracer = yield* recordingTracer(spans)
      const { url } = yield* Effect.withTracer(start(), tracer)
      expect(yield* chat(url, traceHeaders)).toBe(200)
      expect(yield* chat(url)).toBe(200)
      const requests = spans.filter(({ kind }) => kind === "server")
      expect(requests.map(({ traceId }) => traceId === client)).toEqual([true, false])
    })
  )

  it.scopedLive("keeps the client's trace without a tracer, and makes no span when the client sends none", () =>
    Effect.gen(function* () {
      const traces = yield* Ref.make<ReadonlyArray<string | undefined>>([])
      const { url } = yield* start({ gateway: { around: recordTraces(traces) } })
      expect(yield* chat(url, traceHeaders)).toBe(200)
      expect(yield* chat(url)).toBe(200)
      expect(yield* Ref.get(traces)).toEqual([client, undefined])
    })
  )
})
