/** The span of a request. */
import { expect, it, describe } from "@effect/vitest"
import { Effect, Option, Ref, Tracer } from "effect"
import type { Middleware } from "../../src/LLM.js"
import { start } from "./support/gateway.js"
import { paths, post, question } from "./support/http.js"

const client = "0af7651916cd43dd8448eb211c80319c"

const asked = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.map(
    post(`${url}${paths["chat completions"]}`, question("chat completions", "openai/large"), headers),
    ({ status }) => status
  )

const traced = { traceparent: `00-${client}-b7ad6b7169203331-01` }

/** Remembers in which trace each call was made. */
const remembering =
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

/** A tracer that remembers the names of its spans and the traces they are of. */
const listening = (told: Array<{ readonly name: string; readonly traceId: string }>): Effect.Effect<Tracer.Tracer> =>
  Effect.map(Effect.tracer, (tracer) =>
    Tracer.make({
      span: (...options) => {
        const span = tracer.span(...options)
        told.push({ name: span.name, traceId: span.traceId })
        return span
      },
      context: tracer.context
    })
  )

describe("request spans", () => {
  it.scopedLive("continues the client's trace in the request span when a tracer is installed", () =>
    Effect.gen(function* () {
      const told: Array<{ readonly name: string; readonly traceId: string }> = []
      const tracer = yield* listening(told)
      const { url } = yield* Effect.withTracer(start(), tracer)
      expect(yield* asked(url, traced)).toBe(200)
      expect(yield* asked(url)).toBe(200)
      const requests = told.filter(({ name }) => name === "http.server POST")
      expect(requests.map(({ traceId }) => traceId === client)).toEqual([true, false])
    })
  )

  it.scopedLive("keeps the client's trace without a tracer, and makes no span when the client sends none", () =>
    Effect.gen(function* () {
      const traces = yield* Ref.make<ReadonlyArray<string | undefined>>([])
      const { url } = yield* start({ gateway: { around: remembering(traces) } })
      expect(yield* asked(url, traced)).toBe(200)
      expect(yield* asked(url)).toBe(200)
      expect(yield* Ref.get(traces)).toEqual([client, undefined])
    })
  )
})
