/**
 * Keys under pressure: keys that return to a crowd, 5xx of single keys and of all, absurd headers, and jumps of the wall clock. Each
 * scenario has a server of its own, whose log counts the requests.
 */
import type { HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import { Array as Arr, Cause, Effect, Exit, Option, Stream } from "effect"
import { createServer } from "node:http"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { isLLMError } from "../../src/vocabulary/LLMError.js"
import * as RandomDraw from "../../src/internal/random.js"

interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
}

interface Request {
  readonly key: number
  /** In milliseconds of the monotonic clock, since the scenario began. */
  readonly at: number
  /** The share of the calls that were made before. */
  readonly progress: number
  /** A number from 0 to 1, by the seed and the number of the request. */
  readonly draw: number
}

interface Scenario {
  readonly name: string
  readonly keys: number
  readonly pool?: Partial<KeyPool.Options>
  readonly replyTo: () => (request: Request) => Reply
  /** The least share of the calls that are answered. */
  readonly answered: number
  /** The most requests a call, without those that the floor of the retry budget allows. */
  readonly requests: number
  /** The number of milliseconds by which the wall clock jumps, back and forth. */
  readonly jump?: number
}

const ok: Reply = { status: 200 }

/** As many requests in any `millis` as this, for each key. The others get a 429 with the time until there is room. */
const limited = (limit: number, millis: number) => () => {
  const starts = new Map<number, ReadonlyArray<number>>()
  return ({ at, key }: Request): Reply => {
    const recent = (starts.get(key) ?? []).filter((start) => start > at - millis)
    const [first = 0] = recent
    if (recent.length >= limit) return { status: 429, headers: { "retry-after-ms": String(first + millis - at) } }
    starts.set(key, [...recent, at])
    return ok
  }
}

const absurdHeaders: ReadonlyArray<Readonly<Record<string, string>>> = [
  { "retry-after": "99999999999" },
  { "retry-after": "-99999999999" },
  { "retry-after": "NaN" },
  { "retry-after": "1e308" },
  { "retry-after": "" },
  { "retry-after": "Fri, 31 Dec 9999 23:59:59 GMT" },
  { "retry-after": "Thu, 01 Jan 1970 00:00:00 GMT" },
  { "retry-after": "99 Foo 2099" },
  { "retry-after-ms": "-1" },
  { "retry-after-ms": "9".repeat(400) },
  { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "99999999h" },
  { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "-5s" },
  { "x-ratelimit-remaining-requests": "NaN", "x-ratelimit-reset-requests": "NaN" },
  { "x-ratelimit-remaining-requests": "-7", "x-ratelimit-limit-requests": "1e999" },
  { "anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "9999-12-31T23:59:59Z" }
]

const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "keys return to a crowd",
    keys: 4,
    replyTo: limited(8, 200),
    // A call has five attempts, each of which can meet the limit.
    answered: 0.95,
    requests: 2.5
  },
  {
    name: "5xx of single keys",
    keys: 10,
    // Three keys fail at a time, others after each tenth of the calls.
    replyTo:
      () =>
      ({ key, progress }) =>
        (key + Math.floor(progress * 10)) % 10 < 3 ? { status: 500 } : ok,
    answered: 0.99,
    requests: 2
  },
  {
    name: "5xx of all keys, then none",
    keys: 10,
    replyTo:
      () =>
      ({ progress }) =>
        progress < 0.5 ? { status: 503 } : ok,
    answered: 0.45,
    requests: 1.2
  },
  {
    name: "absurd headers",
    keys: 6,
    pool: { cooldown: { base: "20 millis", maxCooldown: "50 millis" } },
    replyTo:
      () =>
      ({ draw }) => ({
        status: draw < 0.1 ? 429 : 200,
        headers: absurdHeaders[Math.floor(draw * 1e6) % absurdHeaders.length] ?? {}
      }),
    answered: 1,
    requests: 1.5
  },
  {
    name: "the wall clock jumps",
    keys: 4,
    replyTo: limited(15, 200),
    answered: 1,
    requests: 2.5,
    jump: 3_600_000
  }
]

/** The number of requests that the floors of the retry budget allow besides, while a scenario runs. */
const floor = 20

const chunk = (data: object): string =>
  `data: ${JSON.stringify({ id: "1", object: "chat.completion.chunk", created: 1, model: "model", ...data })}\n\n`

const streamed =
  chunk({ choices: [{ index: 0, delta: { role: "assistant", content: "yes" }, finish_reason: null }] }) +
  chunk({
    choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
  }) +
  "data: [DONE]\n\n"

const whole = JSON.stringify({
  id: "1",
  object: "chat.completion",
  created: 1,
  model: "model",
  choices: [{ index: 0, message: { role: "assistant", content: "yes" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
})

interface Server {
  readonly baseUrl: string
  requests: number
  open: number
  readonly close: () => void
}

const serve = (replyTo: (key: string) => Reply): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Server>((resume) => {
      const server = createServer((request, response) => {
        running.requests++
        running.open++
        response.on("close", () => running.open--)
        request.setEncoding("utf8")
        let body = ""
        request.on("data", (text: string) => {
          body += text
        })
        request.on("end", () => {
          const { headers, status } = replyTo((request.headers.authorization ?? "").replace("Bearer ", ""))
          const isStream = status === 200 && body.includes('"stream":true')
          response.writeHead(status, {
            "content-type": isStream ? "text/event-stream" : "application/json",
            ...headers
          })
          response.end(status === 200 ? (isStream ? streamed : whole) : `{"error":{"message":"${status}"}}`)
        })
      })
      const running = {
        baseUrl: "",
        requests: 0,
        open: 0,
        close: () => {
          server.close()
          server.closeAllConnections()
        }
      }
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed(Object.assign(running, { baseUrl: `http://127.0.0.1:${port}/v1` })))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** Moves the wall clock by hand. The monotonic clock goes on. */
const wallClock = Effect.acquireRelease(
  Effect.sync(() => {
    const real = Date.now
    const clock = { offset: 0, restore: () => void (Date.now = real) }
    Date.now = () => real() + clock.offset
    return clock
  }),
  ({ restore }) => Effect.sync(restore)
)

/** How the calls of a scenario ended. */
export interface Row {
  readonly name: string
  readonly calls: number
  readonly answered: number
  /** Failed calls by the tags of their errors. */
  readonly failed: ReadonlyMap<string, number>
  readonly untyped: number
  readonly requests: number
  readonly leaks: number
  /** The longest call, in milliseconds. */
  readonly longest: number
  readonly broken: ReadonlyArray<string>
}

const runScenario = (
  { answered: least, jump, keys, name, pool, replyTo, requests: most }: Scenario,
  calls: number,
  concurrency: number,
  seed: number
): Effect.Effect<Row, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    let made = 0
    let state = RandomDraw.next(seed)
    const reply = replyTo()
    const server = yield* serve((key) => {
      state = RandomDraw.next(state)
      return reply({
        key: Number(key.slice(3)),
        at: performance.now() - startedAt,
        progress: made / calls,
        draw: RandomDraw.uniform(state)
      })
    })
    const clock = jump === undefined ? undefined : yield* wallClock
    const llm = yield* LLM.make({ model: "model" }).pipe(
      Effect.provide(ChatCompletionsClient.layer({ provider: "chaos-keys", baseUrl: server.baseUrl })),
      Effect.provide(
        KeyPool.layer({
          provider: "chaos-keys",
          keys: Arr.makeBy(keys, (index) => ({ key: `sk-${index}`, id: `k${index}` })),
          cooldown: { base: "50 millis" },
          ...pool
        })
      ),
      Effect.provide(RateLimiter.layer({ capacity: 1000, refillRate: 5000, maxConcurrency: 200 }))
    )
    const failed = new Map<string, number>()
    let answered = 0
    let untyped = 0
    let longest = 0
    const call = (index: number) =>
      Effect.gen(function* () {
        const from = performance.now()
        if (clock !== undefined && jump !== undefined && index % 50 === 25) clock.offset = clock.offset === 0 ? jump : 0
        if (clock !== undefined && jump !== undefined && index % 100 === 75) clock.offset = -jump
        made = index
        const exit = yield* Effect.exit(
          index % 3 === 0 ? Stream.runDrain(llm.chatStream("?")) : Effect.asVoid(llm.chat("?"))
        )
        longest = Math.max(longest, performance.now() - from)
        if (Exit.isSuccess(exit)) return void answered++
        const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
        if (!isLLMError(error) || error.provider === "" || error.model === "" || error.message === "") untyped++
        else failed.set(error._tag, (failed.get(error._tag) ?? 0) + 1)
      })
    yield* Effect.forEach(Arr.range(0, calls - 1), call, { concurrency, discard: true })
    // The server sees the end of the last responses a little later.
    yield* Effect.repeat(Effect.sleep(5), { until: () => server.open === 0, times: 1000 })
    const status = yield* llm.status
    const leaks =
      server.open +
      status.keys.waiting +
      status.limiter.waiting +
      (status.limiter.concurrency?.inFlight ?? 0) +
      status.keys.keys.reduce((sum, key) => sum + key.inFlight, 0)
    const counted = answered + untyped + [...failed.values()].reduce((sum, count) => sum + count, 0)
    const broken = [
      ...(leaks === 0 ? [] : [`${leaks} keys, permits, waits or requests are left`]),
      ...(untyped === 0 ? [] : [`${untyped} failures without a type`]),
      ...(counted === calls ? [] : [`${calls - counted} calls have no end`]),
      ...(answered >= least * calls - 1 ? [] : [`${answered} of ${calls} calls were answered`]),
      ...(server.requests <= most * calls + floor ? [] : [`${server.requests} requests for ${calls} calls`])
    ].map((violation) => `${name}: ${violation}`)
    return { name, calls, answered, failed, untyped, requests: server.requests, leaks, longest, broken }
  }).pipe(Effect.scoped, Effect.orDie)

/** Runs all scenarios one after the other, with the calls divided among them. */
export const run = (
  calls: number,
  concurrency: number,
  seed: number
): Effect.Effect<ReadonlyArray<Row>, never, HttpClient.HttpClient> =>
  Effect.forEach(scenarios, (scenario, index) =>
    runScenario(scenario, Math.round(calls / scenarios.length), concurrency, seed + index)
  )

const columns = ["scenario", "calls", "answered", "failed", "untyped", "requests a call", "leaks", "longest"]

/** A table with a line for each scenario. */
export const table = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const cells = rows.map(({ answered, calls, failed, leaks, longest, name, requests, untyped }) => [
    name,
    String(calls),
    String(answered),
    [...failed].map(([tag, count]) => `${count} ${tag}`).join(", ") || "0",
    String(untyped),
    (requests / calls).toFixed(2),
    String(leaks),
    `${longest.toFixed(0)} ms`
  ])
  const all = [columns, ...cells]
  const widths = columns.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)))
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
}
