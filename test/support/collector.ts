/** A loopback collector of OTLP over HTTP in JSON: traces, metrics and logs. */
import type { Scope } from "effect"
import { Effect, Schema } from "effect"
import { createServer } from "node:http"

/**
 * Source: opentelemetry-proto, "JSON Protobuf Encoding": 64-bit integers are decimal texts, and numbers are accepted, too. A counter
 * of another test can exceed the safe integers.
 */
const Int64 = Schema.Union(
  Schema.Number.pipe(Schema.filter((number) => Number.isInteger(number))),
  Schema.NumberFromString
)

const Value = Schema.Union(
  Schema.Struct({ stringValue: Schema.String }),
  Schema.Struct({ boolValue: Schema.Boolean }),
  Schema.Struct({ intValue: Int64 }),
  Schema.Struct({ doubleValue: Schema.Number }),
  Schema.Struct({ arrayValue: Schema.Struct({ values: Schema.Array(Schema.Struct({ stringValue: Schema.String })) }) })
)

const Attributes = Schema.Array(Schema.Struct({ key: Schema.NonEmptyString, value: Value }))

const Resource = Schema.Struct({ attributes: Attributes })

const hexadecimal = (digits: number) => Schema.String.pipe(Schema.pattern(new RegExp(`^[0-9a-f]{${digits}}$`)))

const Span = Schema.Struct({
  traceId: hexadecimal(32),
  spanId: hexadecimal(16),
  parentSpanId: Schema.optional(hexadecimal(16)),
  name: Schema.NonEmptyString,
  kind: Schema.Literal(1, 2, 3, 4, 5),
  startTimeUnixNano: Schema.BigInt,
  endTimeUnixNano: Schema.BigInt,
  attributes: Attributes,
  status: Schema.Struct({ code: Schema.Literal(0, 1, 2), message: Schema.optional(Schema.String) })
})

export type Span = typeof Span.Type

const Traces = Schema.parseJson(
  Schema.Struct({
    resourceSpans: Schema.Array(
      Schema.Struct({
        resource: Resource,
        scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) }))
      })
    )
  })
)

/**
 * A gauge of another test can be infinite, which JSON has no number for. Source: the JSON mapping of Protocol Buffers, which writes
 * a text; Effect 3 writes null.
 */
const Double = Schema.Union(Schema.Number, Schema.Literal("Infinity", "-Infinity", "NaN"), Schema.Null)

const Numbers = Schema.Struct({
  dataPoints: Schema.Array(
    Schema.Struct({
      attributes: Attributes,
      asDouble: Schema.optional(Double),
      asInt: Schema.optional(Int64)
    })
  )
})

const Histogram = Schema.Struct({
  dataPoints: Schema.Array(
    Schema.Struct({
      attributes: Attributes,
      count: Int64,
      bucketCounts: Schema.Array(Int64),
      explicitBounds: Schema.Array(Schema.Number)
    })
  )
})

const Metric = Schema.Struct({
  name: Schema.NonEmptyString,
  unit: Schema.String,
  sum: Schema.optional(Schema.extend(Numbers, Schema.Struct({ isMonotonic: Schema.Boolean }))),
  gauge: Schema.optional(Numbers),
  histogram: Schema.optional(Histogram)
})

const Metrics = Schema.parseJson(
  Schema.Struct({
    resourceMetrics: Schema.Array(
      Schema.Struct({
        resource: Resource,
        scopeMetrics: Schema.Array(Schema.Struct({ metrics: Schema.Array(Metric) }))
      })
    )
  })
)

const Logs = Schema.parseJson(
  Schema.Struct({
    resourceLogs: Schema.Array(
      Schema.Struct({
        resource: Resource,
        scopeLogs: Schema.Array(
          Schema.Struct({
            logRecords: Schema.Array(
              Schema.Struct({ severityText: Schema.String, body: Value, attributes: Attributes })
            )
          })
        )
      })
    )
  })
)

/** The last exported value of a series. */
export interface Series {
  readonly name: string
  readonly unit: string
  readonly kind: "counter" | "gauge" | "histogram"
  readonly attributes: Readonly<Record<string, unknown>>
  /** For a histogram, the number of its values. */
  readonly value: number
}

/** The attributes by name, with their values on the wire. */
export const attributesOf = (attributes: typeof Attributes.Type): Readonly<Record<string, unknown>> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** The received data. Reading it dies on a message that violates the protocol. */
export interface Collector {
  readonly url: string
  /** Spans in the order of their ends. */
  readonly spans: Effect.Effect<ReadonlyArray<Span>>
  readonly metrics: Effect.Effect<ReadonlyArray<Series>>
  /** The texts of the logs. */
  readonly logs: Effect.Effect<ReadonlyArray<unknown>>
  /** The `service.name` of all resources. */
  readonly services: Effect.Effect<ReadonlySet<unknown>>
  /** The bodies of traces and logs. */
  readonly bodies: Effect.Effect<string>
}

const seriesOf = ({ gauge, histogram, name, sum, unit }: typeof Metric.Type): ReadonlyArray<Series> => [
  ...[sum, gauge].flatMap((numbers) =>
    (numbers?.dataPoints ?? []).map(({ asDouble, asInt, attributes }): Series => ({
      name,
      unit,
      kind: sum?.isMonotonic === true ? "counter" : "gauge",
      attributes: attributesOf(attributes),
      value: Number(asInt ?? asDouble ?? Number.NaN)
    }))
  ),
  ...(histogram?.dataPoints ?? []).map(({ attributes, bucketCounts, count, explicitBounds }): Series => ({
    name,
    unit,
    kind: "histogram",
    attributes: attributesOf(attributes),
    // Source: opentelemetry-proto, metrics.proto, HistogramDataPoint: one bucket more than bounds, and `count` is their sum.
    value:
      bucketCounts.length === explicitBounds.length + 1 && bucketCounts.reduce((sum, it) => sum + it, 0) === count
        ? count
        : Number.NaN
  }))
]

/** Source: opentelemetry-proto, "OTLP/HTTP": POST to `/v1/<signal>`, answered with 200 and an empty object. */
export const make: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function* () {
  const bodies: { readonly [Path in "/v1/traces" | "/v1/metrics" | "/v1/logs"]: Array<string> } = {
    "/v1/traces": [],
    "/v1/metrics": [],
    "/v1/logs": []
  }
  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const created = createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (data: Buffer) => chunks.push(data))
        request.on("end", () => {
          const { method, url } = request
          const isJson = request.headers["content-type"]?.startsWith("application/json") === true
          const isWanted = method === "POST" && (url === "/v1/traces" || url === "/v1/metrics" || url === "/v1/logs")
          if (isWanted && isJson) bodies[url].push(Buffer.concat(chunks).toString())
          response.writeHead(isWanted && isJson ? 200 : 404, { "content-type": "application/json" }).end("{}")
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

  const traces = Effect.orDie(
    Effect.suspend(() => Effect.forEach([...bodies["/v1/traces"]], (body) => Schema.decode(Traces)(body)))
  )
  const metrics = Effect.orDie(
    Effect.suspend(() => Effect.forEach(bodies["/v1/metrics"].slice(-1), (body) => Schema.decode(Metrics)(body)))
  )
  const logs = Effect.orDie(
    Effect.suspend(() => Effect.forEach([...bodies["/v1/logs"]], (body) => Schema.decode(Logs)(body)))
  )
  return {
    url: `http://127.0.0.1:${port}`,
    spans: Effect.map(traces, (all) =>
      all.flatMap(({ resourceSpans }) =>
        resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      )
    ),
    metrics: Effect.map(metrics, (all) =>
      all.flatMap(({ resourceMetrics }) =>
        resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics.flatMap(seriesOf)))
      )
    ),
    logs: Effect.map(logs, (all) =>
      all.flatMap(({ resourceLogs }) =>
        resourceLogs.flatMap(({ scopeLogs }) =>
          scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body }) => Object.values(body)[0]))
        )
      )
    ),
    services: Effect.map(
      Effect.all([traces, metrics, logs]),
      ([traces, metrics, logs]) =>
        new Set(
          [
            ...traces.flatMap(({ resourceSpans }) => resourceSpans),
            ...metrics.flatMap(({ resourceMetrics }) => resourceMetrics),
            ...logs.flatMap(({ resourceLogs }) => resourceLogs)
          ].map(({ resource }) => attributesOf(resource.attributes)["service.name"])
        )
    ),
    bodies: Effect.sync(() => [...bodies["/v1/traces"], ...bodies["/v1/logs"]].join("\n"))
  }
})
