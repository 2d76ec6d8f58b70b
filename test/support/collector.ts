/** A collector of traces on loopback that takes OTLP over HTTP in JSON, and what sends it the spans of a tracer. */
import type { Scope } from "effect"
import { Cause, Effect, Exit, Layer, Option, Schema, Tracer } from "effect"
import { createServer } from "node:http"

const Value = Schema.Union(
  Schema.Struct({ stringValue: Schema.String }),
  Schema.Struct({ boolValue: Schema.Boolean }),
  // ProtoJSON: a 64-bit number is written as a text, and read as a number, too.
  Schema.Struct({ intValue: Schema.Union(Schema.NumberFromString, Schema.Int) }),
  Schema.Struct({ doubleValue: Schema.Number }),
  Schema.Struct({ arrayValue: Schema.Struct({ values: Schema.Array(Schema.Struct({ stringValue: Schema.String })) }) })
)

const hexadecimal = (digits: number) => Schema.String.pipe(Schema.pattern(new RegExp(`^[0-9a-f]{${digits}}$`)))

const Span = Schema.Struct({
  traceId: hexadecimal(32),
  spanId: hexadecimal(16),
  parentSpanId: Schema.optional(hexadecimal(16)),
  name: Schema.NonEmptyString,
  kind: Schema.Literal(1, 2, 3, 4, 5),
  startTimeUnixNano: Schema.BigInt,
  endTimeUnixNano: Schema.BigInt,
  attributes: Schema.Array(Schema.Struct({ key: Schema.NonEmptyString, value: Value })),
  status: Schema.Struct({ code: Schema.Literal(0, 1, 2), message: Schema.optional(Schema.String) })
})

const Traces = Schema.parseJson(
  Schema.Struct({
    resourceSpans: Schema.Array(
      Schema.Struct({ scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) })) })
    )
  })
)

export type Received = typeof Span.Type

export interface Collector {
  readonly url: string
  /** The spans that have arrived; dies of a message that is not as the protocol wants it. */
  readonly spans: Effect.Effect<ReadonlyArray<Received>>
}

/** Source: opentelemetry-specification, OTLP/HTTP: POST to `/v1/traces`, answered with 200 and an empty object. */
export const make: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function* () {
  const bodies: Array<string> = []
  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const created = createServer((request, response) => {
        let body = ""
        request.on("data", (data: Buffer) => (body += data.toString()))
        request.on("end", () => {
          const isTrace = request.method === "POST" && request.url === "/v1/traces"
          if (isTrace) bodies.push(body)
          response.writeHead(isTrace ? 200 : 404, { "content-type": "application/json" }).end("{}")
        })
      })
      created.listen(0, "127.0.0.1", () => resume(Effect.succeed(created)))
    }),
    (created) =>
      Effect.async<void>((resume) => {
        created.closeAllConnections()
        created.close(() => resume(Effect.void))
      })
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    spans: Effect.suspend(() => Effect.forEach([...bodies], (body) => Schema.decode(Traces)(body))).pipe(
      Effect.orDie,
      Effect.map((all) =>
        all.flatMap(({ resourceSpans }) =>
          resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        )
      )
    )
  }
})

const valueOf = (value: unknown): unknown => {
  if (typeof value === "boolean") return { boolValue: value }
  if (typeof value === "number") return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  return Array.isArray(value) ? { arrayValue: { values: value.map(valueOf) } } : { stringValue: value }
}

const kinds: Readonly<Record<Tracer.SpanKind, number>> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }

const statusOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)
    ? { code: 1 }
    : { code: 2, message: Cause.prettyErrors(exit.cause)[0]?.message }

const encoded = (span: Tracer.Span) => {
  const { status } = span
  if (status._tag !== "Ended") throw new Error(`${span.name} has not ended`)
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: Option.getOrUndefined(Option.map(span.parent, ({ spanId }) => spanId)),
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: String(status.startTime),
    endTimeUnixNano: String(status.endTime),
    attributes: Array.from(span.attributes, ([key, value]) => ({ key, value: valueOf(value) })),
    status: statusOf(status.exit)
  }
}

/** Runs an effect, and sends the collector every span that was made meanwhile. */
export const exporting = <A, E, R>(effect: Effect.Effect<A, E, R>, { url }: Collector): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const spans: Array<Tracer.Span> = []
    const native = yield* Effect.tracer
    const recording = Tracer.make({
      context: native.context,
      span: (...options) => {
        const span = native.span(...options)
        spans.push(span)
        return span
      }
    })
    const result = yield* Effect.provide(effect, Layer.setTracer(recording))
    yield* Effect.promise(() =>
      fetch(`${url}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: spans.map(encoded) }] }] })
      })
    )
    return result
  })
