/** An hour of simulated time with 10,000 requests a minute, and a server of the dashboard page that shows it. */
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { LoggedRequest } from "../../../src/gateway/dashboard/requestLog.js"
import * as Series from "../../../src/gateway/dashboard/series.js"
import type { Alert, Snapshot } from "../../../src/gateway/dashboard/snapshot.js"

export const requestsPerMinute = 10_000

const minute = 60_000

const classes = [
  "RateLimitError",
  "ProviderUnavailableError",
  "InvalidRequestError",
  "AuthenticationError",
  "MalformedResponseError",
  "NetworkError"
]

export const models = Array.from({ length: 20 }, (_, index) => `provider/model-${index}`)

/** Records the calls of the hour that ends with `end`. Latencies are spread over three orders of magnitude. */
export const record = (
  end: number,
  onCall: (call: Series.Call, at: number) => void,
  onUsage: (consumption: Series.Consumption, at: number) => void
): void => {
  const count = 60 * requestsPerMinute
  for (let index = 0; index < count; index++) {
    const at = end + 1 - 60 * minute + Math.floor((index * 60 * minute) / count)
    const model = models[(index * 7) % models.length] ?? ""
    const latency = 20 * 1000 ** (((index * 7919) % 10_007) / 10_007)
    const outcome = index % 40 === 0 ? (classes[(index / 40) % classes.length] ?? "") : "ok"
    onCall({ model, outcome, latency, timeToFirstEvent: latency / 3 }, at)
    onUsage({ model, inputTokens: 1000, outputTokens: 200, cost: 0.004 }, at)
  }
}

export const recordIn = (series: Series.Series, end: number): void =>
  record(
    end,
    (call, at) => {
      series.unsafeRecordStart(call.model)
      series.unsafeRecordEnd(call, at)
    },
    series.unsafeRecordUsage
  )

/** What a page gets: everything since a time. */
export const snapshotOf = (
  series: Series.Series,
  since: number,
  at: number,
  alerts: ReadonlyArray<Alert>
): Snapshot => ({
  at,
  startedAt: at - 90 * minute,
  width: Series.width,
  mayAct: false,
  hasHistory: false,
  hasBodies: false,
  inFlight: 120,
  buckets: series.unsafeBuckets(since, at),
  windows: [5, 15, 60].map((minutes) => ({ minutes, ...series.unsafeTimes(minutes, at) })),
  alerts,
  models: models.map((id) => ({
    id,
    aliases: [],
    wire: "chat-completions",
    ...series.unsafeTotals(id, at),
    waiting: 0,
    waitingForPermit: 0,
    isAway: false,
    levels: [{ name: "requests", available: 50, limit: 100 }],
    hasPool: true,
    keys: Array.from({ length: 5 }, (_, key) => ({
      id: `key-${key}`,
      state: "ready" as const,
      inFlight: 1,
      maxConcurrency: 8,
      load: 0.125,
      weight: 1,
      latency: 900,
      served: 6000,
      succeeded: 5900,
      rateLimited: 30,
      outOfQuota: 0,
      refused: 0
    })),
    deployments: []
  })),
  budgets: [],
  caches: []
})

const loggedRequest = (number: number, at: number): LoggedRequest => ({
  number,
  requestId: `req-${number}`,
  startedAt: at,
  client: `team-${number % 9}`,
  operation: "chat",
  streamed: number % 2 === 0,
  model: models[number % models.length] ?? "",
  refused: false,
  provider: "provider",
  answeredBy: "model",
  clientKey: "key-1",
  keyId: "key-1",
  status: 200,
  outcome: "ok",
  inputTokens: 1000,
  outputTokens: 200,
  cost: 0.004,
  latency: 900,
  timeToFirstEvent: 300,
  attempts: [{ provider: "provider", model: "model", keyId: "key-1", duration: 900 }]
})

const types: Readonly<Record<string, string>> = {
  "app.js": "text/javascript; charset=utf-8",
  "app.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml"
}

/** Serves the built files of the page, with the events of `snapshot`, ten a second. */
export const serve = (files: URL, at: number, snapshot: (since: number) => Snapshot) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost")
        const json = (value: unknown): void => {
          response.setHeader("content-type", "application/json").end(JSON.stringify(value))
        }
        if (pathname === "/dashboard/access") return json({ token: "none" })
        if (pathname === "/dashboard/requests") {
          const isFirst = searchParams.get("after") === "0"
          return json({
            requests: isFirst ? Array.from({ length: 1000 }, (_, index) => loggedRequest(1000 - index, at)) : []
          })
        }
        if (pathname === "/dashboard/events") {
          response.setHeader("content-type", "text/event-stream")
          const write = (since: number): void => {
            response.write(`event: snapshot\ndata: ${JSON.stringify(snapshot(since))}\n\n`)
          }
          write(0)
          const timer = setInterval(() => write(at - 1000), 100)
          response.on("close", () => clearInterval(timer))
          return
        }
        const name = pathname === "/" ? "index.html" : (pathname.split("/").at(-1) ?? "")
        response.setHeader("content-type", types[name] ?? "text/html; charset=utf-8")
        readFile(new URL(name, files)).then(
          (bytes) => response.end(bytes),
          () => response.writeHead(404).end()
        )
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            close: () => {
              server.closeAllConnections()
              server.close()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
