/** How long a cancelled request stays open: from the interruption of its call until the server sees the connection close. */
import { Effect, Fiber, Stream } from "effect"
import { createServer } from "node:http"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { Transport } from "../support/transports.js"

const event = `data: ${JSON.stringify({
  id: "1",
  object: "chat.completion.chunk",
  created: 1,
  model: "model",
  choices: [{ index: 0, delta: { content: "one" }, finish_reason: null }]
})}\n\n`

/** A server that sends one event of a stream, or nothing of a whole answer, and then waits. */
const hangingServer = Effect.acquireRelease(
  Effect.async<{
    readonly baseUrl: string
    /** Called with each request that has arrived. */
    onRequest: () => void
    onClose: () => void
    readonly close: () => void
  }>((resume) => {
    const server = createServer((request, response) => {
      request.setEncoding("utf8")
      let body = ""
      request.on("data", (text: string) => {
        body += text
      })
      request.on("end", () => {
        if (body.includes('"stream":true')) {
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.write(event)
        }
        hanging.onRequest()
      })
      response.on("close", () => hanging.onClose())
    })
    const hanging = {
      baseUrl: "",
      onRequest: () => {},
      onClose: () => {},
      close: () => {
        server.close()
        server.closeAllConnections()
      }
    }
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed(Object.assign(hanging, { baseUrl: `http://127.0.0.1:${port}/v1` })))
    })
  }),
  ({ close }) => Effect.sync(close)
)

export interface Times {
  /** The milliseconds of each cancellation, in ascending order. */
  readonly total: ReadonlyArray<number>
  /** The same without the longest time for which the event loop stood still meanwhile. */
  readonly own: ReadonlyArray<number>
}

/** The resolution of the measured delays, in milliseconds. */
const resolution = 1

/** The times of a number of cancellations; half of them of streams. */
export const measure = (count: number, transport: Transport): Effect.Effect<Times> =>
  Effect.gen(function* () {
    const server = yield* hangingServer
    const delays = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const delays = monitorEventLoopDelay({ resolution })
        delays.enable()
        return delays
      }),
      (delays) => Effect.sync(() => delays.disable())
    )
    const llm = yield* LLM.make({ model: "model", retry: false }).pipe(
      Effect.provide(ChatCompletionsClient.layer({ provider: "cancel", baseUrl: server.baseUrl })),
      Effect.provide(KeyPool.layer({ provider: "cancel", keys: ["key"] })),
      Effect.provide(RateLimiter.layerUnlimited)
    )
    const cancel = (call: Effect.Effect<unknown, unknown>) =>
      Effect.gen(function* () {
        const arrived = Effect.async<void>((resume) => {
          server.onRequest = () => resume(Effect.void)
        })
        const waiting = yield* Effect.fork(arrived)
        yield* Effect.yieldNow()
        const fiber = yield* Effect.fork(call)
        yield* Fiber.join(waiting)
        // The first event of a stream arrives.
        yield* Effect.sleep("2 millis")
        delays.reset()
        const total = yield* Effect.async<number>((resume) => {
          const from = performance.now()
          server.onClose = () => resume(Effect.succeed(performance.now() - from))
          Effect.runFork(Fiber.interrupt(fiber))
        })
        // A delay is recorded when the loop runs again.
        yield* Effect.sleep(2 * resolution)
        return { total, own: Math.max(0, total - Math.max(0, delays.max / 1e6 - resolution)) }
      })
    const times = yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
      cancel(index % 2 === 0 ? llm.chat("?") : Stream.runDrain(llm.chatStream("?")))
    )
    const ascending = (all: ReadonlyArray<number>) => all.toSorted((one, other) => one - other)
    return { total: ascending(times.map(({ total }) => total)), own: ascending(times.map(({ own }) => own)) }
  }).pipe(Effect.provide(transport), Effect.scoped, Effect.orDie)

/** The value below which a share of the sorted values is. */
export const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
