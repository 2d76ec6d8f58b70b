/** Under the live clock, whatever happens to calls: everything that they took is given back, and each attempt is reported once. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Stream } from "effect"
import * as fc from "fast-check"
import * as Series from "../../src/telemetry/series.js"
import type * as LLM from "../../src/LLM.js"
import { eventually } from "../support/eventually.js"
import { restless } from "../support/interleaving.js"
import type { Reply } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"
import { portable } from "../support/portable.js"
import { recordingTracer } from "../support/recording.js"
import { timers } from "../support/timers.js"

/** The gauges of a provider, which count calls in flight. */
const gauges = (provider: string) =>
  Effect.map(Series.snapshot, (all) =>
    all.flatMap(({ labels, state }) =>
      state._tag === "Gauge" && labels.some(([, value]) => value === provider) ? [state.value] : []
    )
  )

// -------------------------------------------------------------------------------------
// what is generated
// -------------------------------------------------------------------------------------

const errorBody = (code: string): string => JSON.stringify({ error: { message: "no", code, type: code } })

const pace: fc.Arbitrary<Reply["pace"]> = fc.oneof(fc.constant("now" as const), fc.constantFrom(0, 0, 1, 4))

const refusal: fc.Arbitrary<Reply> = fc.record({
  pace,
  status: fc.constantFrom(400, 401, 402, 403, 404, 413, 422, 429, 500, 502, 503, 529),
  headers: fc.constantFrom({}, { "retry-after-ms": "5" }),
  body: fc.constantFrom(
    errorBody("other"),
    errorBody("insufficient_quota"),
    errorBody("context_length_exceeded"),
    errorBody("content_filter"),
    "<html>"
  )
})

const answered: fc.Arbitrary<Reply> = fc.record({ pace })

const broken: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({
    pace,
    pieces: fc.nat({ max: 5 }),
    end: fc.constantFrom("close" as const, "reset" as const)
  }),
  fc.record({ pace, status: fc.constant("refused" as const) }),
  fc.record({ pace, body: fc.constantFrom("<html>", "null", "", '{"choices":[]}') })
)

/** A response that never ends. */
const hanging: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({ pace, status: fc.constant("silent" as const) }),
  fc.record({ pace, pieces: fc.nat({ max: 4 }), end: fc.constant("stay open" as const) })
)

const reply: fc.Arbitrary<Reply> = fc.oneof(
  { weight: 5, arbitrary: answered },
  { weight: 3, arbitrary: refusal },
  { weight: 2, arbitrary: broken },
  { weight: 2, arbitrary: hanging }
)

interface Caller {
  readonly kind: "chat" | "stream"
  /** Milliseconds before the call. */
  readonly at: number
  /** Milliseconds until the caller is interrupted. */
  readonly leavesAfter: number
  readonly isUninterruptible: boolean
  /** The events after which the consumer of a stream stops. */
  readonly takes: number
  /** Milliseconds that the consumer of a stream takes for each event. */
  readonly slowness: number
}

const caller: fc.Arbitrary<Caller> = fc.record({
  kind: fc.constantFrom("chat", "stream"),
  at: fc.nat({ max: 12 }),
  leavesAfter: fc.oneof(fc.constant(Infinity), fc.double({ min: 0, max: 12, noNaN: true })),
  isUninterruptible: fc.oneof(
    { weight: 5, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) }
  ),
  takes: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 4 })),
  slowness: fc.constantFrom(0, 0, 2)
})

const consume = (
  llm: LLM.Service,
  { kind, slowness, takes }: Omit<Caller, "at" | "leavesAfter" | "isUninterruptible">
) => {
  if (kind === "chat") return Effect.asVoid(llm.chat("?"))
  const stream = llm.chatStream("?")
  const taken = takes === Infinity ? stream : Stream.take(stream, takes)
  return Stream.runDrain(slowness === 0 ? taken : Stream.tap(taken, () => Effect.sleep(slowness)))
}

let runs = 0

// -------------------------------------------------------------------------------------
// everything is given back
// -------------------------------------------------------------------------------------

interface Storm {
  readonly callers: ReadonlyArray<Caller>
  readonly replies: ReadonlyArray<Reply>
  /** The calls at a time with each key. */
  readonly caps: ReadonlyArray<number>
  /** The calls at a time of the limiter. */
  readonly concurrency: number
  readonly retries: boolean
  /** Whether the provider has a direct transport. */
  readonly isDirect: boolean
  /** The seed of the scheduler. */
  readonly seed: number
}

const storm: fc.Arbitrary<Storm> = fc.record({
  callers: fc.array(caller, { minLength: 1, maxLength: 16 }),
  replies: fc.array(reply, { minLength: 1, maxLength: 16 }),
  caps: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
  concurrency: fc.integer({ min: 1, max: 6 }),
  retries: fc.boolean(),
  isDirect: fc.boolean(),
  seed: fc.nat()
})

const limits = { response: "25 millis", firstEvent: "20 millis", idle: "15 millis", total: "60 millis" } as const

/** Waits for a fiber. A `Stream` of Effect 3.22 that is interrupted in its last steps, whatever it is made of, never ends. */
const ended = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.timeoutOption(Fiber.await(fiber), "3 seconds")

const runCaller = (llm: LLM.Service, caller: Caller) =>
  Effect.gen(function* () {
    yield* Effect.sleep(caller.at)
    const call = consume(llm, caller)
    const fiber = yield* Effect.fork(caller.isUninterruptible ? Effect.uninterruptible(call) : call)
    if (caller.leavesAfter < Infinity) {
      yield* Effect.sleep(caller.leavesAfter)
      yield* Fiber.interruptFork(fiber)
    }
    return yield* ended(fiber)
  })

const weather = ({ callers, caps, concurrency, isDirect, replies, retries, seed }: Storm) =>
  Effect.gen(function* () {
    const provider = `storm-${runs++}`
    const alive = yield* timers
    const provided = Provider.make((index) => replies[index % replies.length] ?? { pace: 0 })
    const server = { ...provided, http: isDirect ? provided.http : portable(provided.http) }
    const { spans, tracer } = yield* recordingTracer
    const { attempts, llm } = yield* Provider.setup(server, {
      provider,
      keys: caps.map((maxConcurrency, index) => ({ key: `key-${index}`, maxConcurrency })),
      pool: {
        maxWait: "30 millis",
        cooldown: { base: "2 millis", max: "10 millis", quota: "5 millis", refused: "5 millis" }
      },
      limiter: { maxConcurrency: concurrency, maxWait: "30 millis" },
      llm: {
        timeouts: limits,
        retry: retries ? { maxAttempts: 3, backoff: { base: "1 millis", max: "2 millis" } } : false
      }
    })
    const exits = yield* Effect.forEach(callers, (each) => runCaller(llm, each), { concurrency: "unbounded" }).pipe(
      Effect.withScheduler(restless(seed)),
      Effect.withTracer(tracer)
    )
    for (const exit of exits) {
      if (Option.isSome(exit) && Exit.isFailure(exit.value)) {
        expect(Cause.defects(exit.value.cause).toString()).toBe(Cause.defects(Cause.empty).toString())
      }
    }
    yield* eventually(Effect.sync(() => alive().length === 0))
    expect(spans.filter(({ status }) => status._tag !== "Ended").map(({ name }) => name)).toEqual([])
    const counted = (kind: string) => spans.filter(({ name }) => name.startsWith(kind)).length
    // A caller can leave before its call has begun.
    const stay = callers.filter(({ leavesAfter }) => leavesAfter === Infinity).length
    expect(counted("chat")).toBeGreaterThanOrEqual(stay)
    expect(counted("chat")).toBeLessThanOrEqual(callers.length)
    expect(counted("attempt")).toBe(attempts.length)
    const { keys, limiter } = yield* llm.status
    expect({
      keys: keys.keys.map(({ inFlight }) => inFlight),
      waiting: keys.waiting + limiter.waiting,
      concurrency: limiter.concurrency?.inFlight,
      reserved: limiter.tokens?.reserved,
      permits: Math.round(Provider.capacity - limiter.available),
      open: server.open(),
      gauges: (yield* gauges(provider)).filter((gauge) => gauge !== 0)
    }).toEqual({
      keys: caps.map(() => 0),
      waiting: 0,
      concurrency: 0,
      reserved: 0,
      permits: attempts.length,
      open: 0,
      gauges: []
    })
    // An attempt that is interrupted, by its caller or a time limit, before its request is sent has a permit and is reported, too.
    expect(server.sent()).toBeLessThanOrEqual(attempts.length)
    const ended = attempts.filter(({ outcome }) => outcome !== "interrupted" && outcome !== "TimeoutError")
    expect(server.sent()).toBeGreaterThanOrEqual(ended.length)
  })

describe("calls under the live clock", () => {
  it.live("give everything back and report each attempt once, whatever providers, time limits and callers do", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(storm, (plan) => Effect.runPromise(Effect.scoped(weather(plan)))),
        { numRuns: 40, endOnFailure: true }
      )
    )
  )
})
