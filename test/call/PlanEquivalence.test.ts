/**
 * The straight way of a call and the same call made of effects have the same results, reports and states, whatever the provider, the
 * time limits and the caller do. Time is virtual: a script has the same times on each way.
 */
import { HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import type { Clock } from "effect"
import { Cause, Chunk, Effect, Exit, Fiber, Random, Schedule, Stream } from "effect"
import * as fc from "fast-check"
import * as Series from "../../src/telemetry/series.js"
import { relayOf, textOf, WantsRawResponse } from "../../src/call/passthrough.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import { liveClock } from "../../src/internal/clock.js"
import type * as LLM from "../../src/LLM.js"
import type * as KeyPool from "../../src/keyPool/KeyPool.js"
import type * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Framing from "../../src/wire/framing.js"
import { otherClock } from "../support/otherClock.js"
import { plainError } from "../support/scriptedServer.js"
import type { Answer, Reply } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"
import { runInVirtualTime } from "../support/virtualTime.js"
import { chatResponse } from "../wire/generators.js"
import { splitDeltas, writeFrames } from "../wire/roundTrips.js"

const provider = "equivalent"

const wire = ChatCompletions.make()

// -------------------------------------------------------------------------------------
// what a provider does
// -------------------------------------------------------------------------------------

/** Counts that replace those of an answer; absent when undefined. */
const counts: fc.Arbitrary<unknown> = fc.constantFrom<unknown[]>(
  undefined,
  { prompt_tokens: 1e15, completion_tokens: 7, total_tokens: 1e15 },
  { prompt_tokens: 12, completion_tokens: -7, total_tokens: 5 },
  { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
  { prompt_tokens: "many" }
)

const withCounts = (json: string, usage: unknown): string =>
  JSON.stringify(JSON.parse(json, (key, value: unknown) => (key === "usage" && value !== null ? usage : value)))

/** Texts, refusals, reasoning and tool calls, in deltas of some characters and reads of some frames. */
const answer: fc.Arbitrary<Answer> = fc
  .record({
    response: chatResponse(provider),
    characters: fc.integer({ min: 2, max: 12 }),
    frames: fc.integer({ min: 1, max: 4 }),
    hasOwnUsage: fc.boolean(),
    usage: counts
  })
  .map(({ characters, frames, hasOwnUsage, response, usage }) => {
    const counted = (json: string): string => (hasOwnUsage || !json.startsWith("{") ? json : withCounts(json, usage))
    const stream = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(response), characters), {
      stream_options: { include_usage: true }
    }).map((frame) => Framing.render("sse", { ...frame, data: counted(frame.data) }))
    return {
      whole: counted(JSON.stringify(wire.encodeResponse(response))),
      pieces: Array.from({ length: Math.ceil(stream.length / frames) }, (_, at) =>
        stream.slice(at * frames, (at + 1) * frames).join("")
      )
    }
  })

const pace: fc.Arbitrary<Reply["pace"]> = fc.oneof(fc.constant("now" as const), fc.constantFrom(0, 41, 307, 703))

const rateLimits: fc.Arbitrary<Readonly<Record<string, string>>> = fc.constantFrom(
  {},
  {},
  { "x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.9s" },
  { "x-ratelimit-remaining-tokens": "100", "x-ratelimit-reset-tokens": "1s", "x-request-id": "req_1" }
)

const answered: fc.Arbitrary<Reply> = fc.record(
  { pace, answer, headers: rateLimits },
  { requiredKeys: ["pace", "headers"] }
)

const errorBody = (code: string, message = "It does not work."): string =>
  JSON.stringify({ error: { message, code, type: code } })

const refused: fc.Arbitrary<Reply> = fc.record({
  pace,
  status: fc.constantFrom(300, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529),
  headers: fc.constantFrom(
    {},
    { "retry-after-ms": "53" },
    { "retry-after": "1" },
    { "retry-after": "3600" },
    { "x-should-retry": "false", "x-request-id": "req_2" }
  ),
  body: fc.constantFrom(
    errorBody("other"),
    errorBody("insufficient_quota"),
    errorBody("rate_limit_exceeded"),
    errorBody("context_length_exceeded"),
    errorBody("content_filter"),
    errorBody("model_not_found"),
    errorBody("unsupported_parameter", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
    "<html>",
    ""
  )
})

const broken: fc.Arbitrary<Reply> = fc.oneof(
  fc.record(
    {
      pace,
      answer,
      pieces: fc.nat({ max: 6 }),
      end: fc.constantFrom("close" as const, "reset" as const)
    },
    { requiredKeys: ["pace", "pieces", "end"] }
  ),
  fc.record({ pace, status: fc.constant("refused" as const) }),
  fc.record({
    pace,
    body: fc.constantFrom("<html>", "null", "", '{"choices":[]}', errorBody("insufficient_quota"), errorBody("other"))
  }),
  fc.record({
    pace,
    answer: fc.constantFrom(
      ...[errorBody("rate_limit_exceeded"), '{"choices":', '{"choices":[{"delta":{"content":7}}]}'].map((data) => ({
        whole: data,
        pieces: ['data: {"id":"a","choices":[{"index":0,"delta":{"content":"one"}}]}\n\n', `data: ${data}\n\n`]
      }))
    )
  })
)

/** A response that never ends. */
const hanging: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({ pace, status: fc.constant("silent" as const) }),
  fc.record(
    { pace, answer, pieces: fc.nat({ max: 8 }), end: fc.constant("stay open" as const) },
    { requiredKeys: ["pace", "pieces", "end"] }
  )
)

const reply: fc.Arbitrary<Reply> = fc.oneof(
  { weight: 5, arbitrary: answered },
  { weight: 4, arbitrary: refused },
  { weight: 2, arbitrary: broken },
  { weight: 2, arbitrary: hanging }
)

// -------------------------------------------------------------------------------------
// what its callers do
// -------------------------------------------------------------------------------------

interface Caller {
  readonly kind: "chat" | "stream"
  /** Milliseconds before the call: since the end of the one before, or since the start where calls overlap. */
  readonly after: number
  readonly request: ChatRequest.Input
  /** Milliseconds until the caller is interrupted. */
  readonly leavesAfter: number
  readonly isUninterruptible: boolean
  /** The events after which the consumer of a stream stops. */
  readonly takes: number
  /** Whether the caller wants the raw response. */
  readonly isRelay: boolean
}

const caller: fc.Arbitrary<Caller> = fc.record({
  kind: fc.constantFrom("chat", "stream"),
  after: fc.constantFrom(3, 17, 1999),
  request: fc.constantFrom<ChatRequest.Input[]>(
    "Hello",
    { messages: [Chat.user("Hello")], maxTokens: 300, model: "other" },
    { messages: [Chat.user("Hello")], maxTokens: 1e6, temperature: 0.5 },
    { messages: [] }
  ),
  leavesAfter: fc.oneof({ weight: 3, arbitrary: fc.constant(50_021) }, fc.constantFrom(97, 859, 2503)),
  isUninterruptible: fc.boolean(),
  takes: fc.oneof({ weight: 3, arbitrary: fc.constant(Infinity) }, fc.integer({ min: 1, max: 5 })),
  isRelay: fc.boolean()
})

interface Script {
  readonly callers: ReadonlyArray<Caller>
  readonly overlap: boolean
  readonly replies: ReadonlyArray<Reply>
  readonly keys: KeyPool.Options["keys"]
  readonly llm: Omit<LLM.Options, "model">
  /** The time limits of a middleware around the `LLM`. */
  readonly limits: Timeouts.Options
  readonly reportsUsage: boolean
  readonly countsTokens: boolean
  readonly limiter: Partial<RateLimiter.Options>
}

const limit = (...millis: ReadonlyArray<number>): fc.Arbitrary<number> => fc.constantFrom(...millis, 1e6)

const backoff = { base: 211, max: 977, jitter: 0 }

const anyScript: fc.Arbitrary<Script> = fc.record({
  callers: fc.array(caller, { minLength: 1, maxLength: 4 }),
  overlap: fc.boolean(),
  replies: fc.array(reply, { minLength: 1, maxLength: 6 }),
  keys: fc
    .array(fc.constantFrom({}, { maxConcurrency: 1 }, { weight: 3 }), { minLength: 1, maxLength: 3 })
    .map((keys) => keys.map((options, index) => ({ key: `secret-${index}`, id: `key-${index}`, ...options }))),
  llm: fc.record(
    {
      retry: fc.constantFrom<Array<NonNullable<LLM.Options["retry"]>>>(
        false,
        { backoff },
        { backoff, maxAttempts: 3 },
        { backoff, maxAttempts: 1 },
        { backoff, budget: { floor: 1 } },
        { backoff, budget: false },
        { schedule: Schedule.addDelay(Schedule.recurs(2), () => 97) }
      ),
      timeouts: fc.oneof(
        fc.constant(false as const),
        fc.record({
          total: limit(3301, 7919),
          response: limit(1009, 2521),
          firstEvent: limit(907, 1511),
          idle: limit(613, 1223)
        })
      ),
      telemetry: fc.constantFrom<Array<NonNullable<LLM.Options["telemetry"]>>>(
        false,
        {},
        { metrics: false },
        { spans: false, aliases: true }
      ),
      defaults: fc.constantFrom({}, { temperature: 0.5, maxTokens: 20 }),
      price: fc.constantFrom({ input: 3, output: 15 })
    },
    { requiredKeys: ["retry", "timeouts", "telemetry"] }
  ),
  limits: fc.constantFrom<Timeouts.Options[]>({}, { total: 2903 }, { response: 1499, firstEvent: 1493, idle: 601 }),
  reportsUsage: fc.boolean(),
  countsTokens: fc.boolean(),
  limiter: fc.constantFrom<Partial<RateLimiter.Options>[]>(
    {},
    { maxConcurrency: 1 },
    { capacity: 2, refillRate: 1.3, maxWait: "5 seconds" },
    { capacity: 3, refillRate: 2.3, adaptive: { every: 307 } },
    { tokensPerMinute: 3000 }
  )
})

/**
 * Scripts whose results are determined. The straight way reads a stream before its consumer asks for more, so a consumer that stops
 * early gets slow responses, of which no events have arrived but those that it takes. The deadline of a middleware is also one of the
 * calls below it that have time limits, and either can end them, so a middleware has a deadline only around calls without limits.
 */
const script = anyScript.map((each): Script => {
  const isSlow = each.callers.some(({ takes }) => takes < Infinity)
  const replies = each.replies.map((reply) => ({
    ...reply,
    pace: typeof reply.pace === "number" ? reply.pace + 1 : 41
  }))
  return {
    ...each,
    replies: isSlow ? replies : each.replies,
    limits: each.limits.total !== undefined && each.llm.timeouts !== false ? {} : each.limits
  }
})

// -------------------------------------------------------------------------------------
// what is compared
// -------------------------------------------------------------------------------------

const plainExit = (exit: Exit.Exit<unknown, LLMError>): unknown =>
  Exit.match(exit, {
    onFailure: (cause) => ({
      errors: Chunk.toArray(Cause.failures(cause)).map(plainError),
      defects: Chunk.toArray(Cause.defects(cause)).map(String),
      // Of a call that fails at the moment at which its caller leaves, either comes first.
      isInterrupted: Cause.isInterrupted(cause) && !Cause.isFailure(cause)
    }),
    onSuccess: (value) => value
  })

/** Everything that a call returns: the answer, or the events up to the end or the failure. */
const consume = (
  llm: LLM.Service,
  { isRelay, isUninterruptible, kind, leavesAfter, request, takes }: Caller,
  isLimited: boolean
) =>
  Effect.gen(function* () {
    const events: Array<ChatEvent.ChatEvent> = []
    const bytes: Array<number> = []
    const stream = llm.chatStream(request)
    const call: Effect.Effect<unknown, LLMError> =
      kind === "chat"
        ? Effect.map(llm.chat(request), (response) => ({ response, text: textOf(wire.name, response) }))
        : Stream.runForEachChunk(takes === Infinity ? stream : Stream.take(stream, takes), (chunk) =>
            Effect.sync(() => {
              bytes.push(...(relayOf(wire.name, chunk)?.bytes ?? []))
              events.push(...chunk)
            })
          )
    const relayed = isRelay ? Effect.provideService(call, WantsRawResponse, wire.name) : call
    const fiber = yield* Effect.fork(isUninterruptible && isLimited ? Effect.uninterruptible(relayed) : relayed)
    yield* Effect.raceFirst(Effect.sleep(leavesAfter), Fiber.await(fiber))
    yield* Fiber.interruptFork(fiber)
    const exit = yield* Fiber.await(fiber)
    return { exit: plainExit(exit), events, ...(takes === Infinity ? { bytes } : {}) }
  })

const numbers = (state: Series.State): ReadonlyArray<number> => {
  switch (state._tag) {
    case "Counter":
      return [state.count]
    case "Gauge":
      return [state.value]
    case "Histogram":
      return [state.count, state.sum, ...state.buckets.map(([, count]) => count)]
    case "Summary":
      return [state.count, state.sum]
    case "Frequency":
      return []
  }
}

/** The metrics of the provider, by name and labels. */
const metrics = Effect.map(
  Series.snapshot,
  (all) =>
    new Map(
      all
        .filter(({ labels }) => labels.some(([, value]) => value === provider))
        // A share of all calls so far.
        .filter(({ name }) => name !== "llm_router_success_rate")
        .map(({ labels, name, state }) => [
          [name, ...labels.map(([key, value]) => `${key}=${value}`).toSorted()].join(" "),
          numbers(state)
        ])
    )
)

type Metrics = Effect.Effect.Success<typeof metrics>

/** What the metrics have grown by. */
const growth = (before: Metrics, after: Metrics) =>
  Object.fromEntries(
    [...after].flatMap(([name, values]) => {
      const grown = values.map((value, index) => Math.round((value - (before.get(name)?.[index] ?? 0)) * 1e6) / 1e6)
      return grown.some((value) => value !== 0) ? [[name, grown]] : []
    })
  )

interface Way {
  readonly clock: Clock.Clock
  /** Whether the `HttpClient` has a direct transport. */
  readonly isDirect: boolean
}

const ways = {
  "over a direct transport": { clock: liveClock, isDirect: true },
  "over an HttpClient": { clock: liveClock, isDirect: false }
} satisfies Record<string, Way>

const effects: Way = { clock: otherClock, isDirect: true }

const run = (
  { callers, countsTokens, keys, limiter, limits, llm, overlap, replies, reportsUsage }: Script,
  { clock, isDirect }: Way
) =>
  Effect.gen(function* () {
    const server = Provider.make((index) => replies[index % replies.length] ?? { pace: 0 })
    const http = isDirect ? server.http : HttpClient.mapRequest(server.http, (request) => request)
    const before = yield* metrics
    const made = yield* Provider.setup(
      { ...server, http },
      {
        provider,
        keys,
        pool: { maxWait: "9 seconds", cooldown: { base: 1709, max: 4001, quota: 5003, refused: 6007 } },
        countsTokens,
        limiter,
        llm,
        reportsUsage
      }
    )
    const limited = yield* Timeouts.middleware(limits)(made.llm)
    const results = yield* Effect.forEach(
      callers,
      (caller, index) =>
        Effect.zipRight(
          // No two calls begin at the same time.
          Effect.sleep(caller.after + index * 29),
          Effect.zip(consume(limited, caller, llm.timeouts !== false), overlap ? Effect.void : limited.status)
        ),
      overlap ? { concurrency: "unbounded" } : {}
    )
    return {
      results,
      status: yield* limited.status,
      attempts: made.attempts,
      sent: server.sent(),
      open: server.open(),
      metrics: growth(before, yield* metrics)
    }
  }).pipe(
    Effect.tagMetrics("caller", "law"),
    Effect.scoped,
    Effect.withClock(clock),
    Effect.withRandom(Random.make("law"))
  )

describe.each(Object.entries(ways))("calls on the straight way %s", (_, way) => {
  it("have the results, reports, metrics and states of calls that are made of effects", () =>
    fc.assert(
      fc.asyncProperty(script, async (each) => {
        const expected = await runInVirtualTime(run(each, effects))
        expect(await runInVirtualTime(run(each, way))).toEqual(expected)
      }),
      { numRuns: 150 }
    ))
})
