/** The spans of calls on the straight way of the call plan: those of the effects, whatever happens to the call or the tracer. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Chunk, Effect, Exit, Fiber, FiberRef, Option, Stream, Tracer } from "effect"
import { liveClock } from "../../src/internal/clock.js"
import type * as LLM from "../../src/LLM.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { eventually } from "../support/eventually.js"
import * as InMemory from "../support/inMemoryCalls.js"
import { otherClock } from "../support/otherClock.js"
import { portable } from "../support/portable.js"
import { recordingTracer } from "../support/recording.js"
import { interruptedAt, settledStepsOf } from "../support/steps.js"
import type { Reply, Settings } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"
import * as Tracers from "../support/tracers.js"

let runs = 0

const request = { messages: [Chat.user("?")], temperature: 0.5, maxTokens: 20, stop: ["END"] }

const calls: ReadonlyArray<readonly [string, (llm: LLM.Service) => Effect.Effect<unknown, unknown>]> = [
  ["a chat", (llm) => llm.chat(request)],
  ["a stream", (llm) => Stream.runDrain(llm.chatStream(request))],
  ["a stream whose consumer stops", (llm) => Stream.runDrain(Stream.take(llm.chatStream(request), 1))]
]

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) return "success"
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (typeof failure === "object" && failure !== null && "_tag" in failure) return failure._tag
  return failure ?? (Cause.isInterrupted(exit.cause) ? "interrupted" : "defect")
}

/** What two spans of the same call have in common: everything but ids and times. */
const describeSpan = (span: Tracer.Span, spans: ReadonlyArray<Tracer.Span>) => {
  const parent = Option.getOrUndefined(span.parent)
  return {
    name: span.name,
    kind: span.kind,
    parent: spans.findIndex(({ spanId }) => spanId === parent?.spanId),
    hasParent: parent !== undefined,
    attributes: Object.fromEntries(
      [...span.attributes]
        .map(([name, value]) => [name, name.endsWith("time_to_first_chunk") ? typeof value : value] as const)
        .toSorted(([one], [other]) => one.localeCompare(other))
    ),
    links: span.links.map((link) => link.attributes),
    status: span.status._tag === "Ended" ? outcomeOf(span.status.exit) : "not ended"
  }
}

/** Runs a call under a tracer, and returns its spans when all have ended. */
const spansOf = <R>(call: Effect.Effect<unknown, unknown, R>): Effect.Effect<ReadonlyArray<Tracer.Span>, never, R> =>
  Effect.flatMap(recordingTracer, ({ spans, tracer }) =>
    Effect.gen(function* () {
      yield* Effect.exit(Effect.withTracer(call, tracer))
      yield* eventually(Effect.sync(() => spans.every(({ status }) => status._tag === "Ended")))
      return spans
    })
  )

const quick: Settings["llm"] = {
  retry: { maxAttempts: 2, backoff: { base: "1 millis", max: "1 millis" } },
  timeouts: { response: "20 seconds", firstEvent: "20 seconds", idle: "20 seconds" }
}

const refusal = { pace: 0, status: 401, body: '{"error":{"message":"no"}}' } as const

/** The replies to the requests of one call. */
const scenarios: Readonly<Record<string, ReadonlyArray<Reply>>> = {
  "is answered at once": [{ pace: "now" }],
  "is answered later": [{ pace: 0 }],
  "fails over to another key": [refusal, { pace: 0 }],
  "is retried": [{ pace: 0, status: 500 }, { pace: 0, status: 500 }, { pace: 0 }],
  "fails for good": [{ pace: 0, status: 400, body: '{"error":{"message":"no"}}' }],
  "has no connection": [{ pace: 0, status: "refused" }],
  "has an answer that breaks off": [{ pace: 0, pieces: 1, end: "reset" }]
}

/** Calls that do not end by themselves. The provider reports its events at once, so that no limit expires before. */
const hanging: Readonly<Record<string, ReadonlyArray<Reply>>> = {
  "exceeds its first time limit": [{ pace: 0, status: "silent" }],
  "exceeds its idle limit": [{ pace: "now", pieces: 1, end: "stay open" }]
}

const setup = (replies: ReadonlyArray<Reply>, settings: Partial<Settings> = {}, isDirect = true) => {
  const server = Provider.make((index) => replies[Math.min(index, replies.length - 1)] ?? { pace: 0 })
  return Provider.setup(
    { ...server, http: isDirect ? server.http : portable(server.http) },
    { provider: `spans-${runs++}`, keys: ["one", "two"], llm: quick, ...settings }
  )
}

/** The spans of a call on the straight way and on the way of effects. */
const compare = (
  call: (llm: LLM.Service) => Effect.Effect<unknown, unknown>,
  replies: ReadonlyArray<Reply>,
  isDirect: boolean,
  llm: Settings["llm"] = quick
) =>
  Effect.gen(function* () {
    const provider = `spans-${runs++}`
    const traced = Effect.gen(function* () {
      const made = yield* setup(replies, { provider, llm }, isDirect)
      const spans = yield* spansOf(Effect.withSpan(call(made.llm), "outer", { captureStackTrace: false }))
      for (const { status } of spans) {
        expect(status._tag === "Ended" && status.startTime <= status.endTime).toBe(true)
      }
      const starts = spans.map(({ status }) => status.startTime)
      expect(starts).toEqual(starts.toSorted((one, other) => Number(one - other)))
      return spans.map((span) => describeSpan(span, spans))
    })
    const straight = yield* Effect.withClock(traced, liveClock)
    const effects = yield* Effect.withClock(traced, otherClock)
    expect(straight).toEqual(effects)
    expect(straight.slice(1).map(({ name, parent }) => [name, parent])).toEqual([
      ["chat asked", 0],
      ...straight.slice(2).map(() => ["attempt asked", 1])
    ])
  })

describe("the spans of a call", () => {
  const transports = { "a direct transport": true, "an HttpClient": false }
  for (const [transport, isDirect] of Object.entries(transports)) {
    for (const [scenario, replies] of Object.entries(scenarios)) {
      it.scopedLive.each(calls.slice(0, 2))(
        `over ${transport} are the same on the straight way and on the way of effects when %s ${scenario}`,
        ([, call]) => compare(call, replies, isDirect)
      )
    }
    for (const [scenario, replies] of Object.entries(hanging)) {
      it.scopedLive.each(calls.slice(0, 2))(
        `over ${transport} are the same on the straight way and on the way of effects when %s ${scenario}`,
        ([, call]) =>
          compare(call, replies, isDirect, {
            retry: false,
            timeouts: { response: "50 millis", firstEvent: "50 millis", idle: "50 millis" }
          })
      )
    }
    it.scopedLive.each(calls.slice(2))(
      `over ${transport} are the same on the straight way and on the way of effects of %s`,
      ([, call]) => compare(call, [{ pace: 0, pieces: 1, end: "stay open" }], isDirect)
    )
  }

  it.scopedLive.each(calls)("of %s have the annotations and links of its fiber", ([, call]) =>
    Effect.gen(function* () {
      const linked = Tracer.externalSpan({ spanId: "span", traceId: "trace" })
      const annotated = (llm: LLM.Service) =>
        call(llm).pipe(
          Effect.annotateSpans({ tenant: "one" }),
          Effect.locally(FiberRef.currentTracerSpanLinks, Chunk.of({ _tag: "SpanLink", span: linked, attributes: {} }))
        )
      for (const clock of [liveClock, otherClock]) {
        const { llm } = yield* setup([{ pace: 0 }])
        const spans = yield* spansOf(Effect.withClock(annotated(llm), clock))
        expect(spans.map(({ attributes, links }) => [attributes.get("tenant"), links[0]?.span])).toEqual([
          ["one", linked],
          ["one", linked]
        ])
      }
    })
  )

  it.scopedLive.each(calls)("of %s are not made where tracing is disabled", ([, call]) =>
    Effect.gen(function* () {
      const { llm } = yield* setup([{ pace: 0 }])
      expect(yield* spansOf(Effect.withTracerEnabled(call(llm), false))).toEqual([])
    })
  )

  it.scopedLive("of a stream have the time to its first chunk before they end, also when it comes in one piece", () =>
    Effect.gen(function* () {
      for (const clock of [liveClock, otherClock]) {
        const { llm } = yield* setup([{ pace: "now" }])
        const { spans, tracer } = yield* recordingTracer
        const late: Array<string> = []
        const strict: Tracer.Tracer = {
          ...tracer,
          span: (...args) => {
            const span = tracer.span(...args)
            const { attribute } = span
            return Object.assign(span, {
              attribute: (name: string, value: unknown) => {
                if (span.status._tag === "Ended") late.push(name)
                attribute.call(span, name, value)
              }
            })
          }
        }
        yield* Stream.runDrain(llm.chatStream("?")).pipe(Effect.withTracer(strict), Effect.withClock(clock))
        expect(late).toEqual([])
        expect(spans.map(({ attributes }) => typeof attributes.get("gen_ai.response.time_to_first_chunk"))).toEqual([
          "number",
          "number"
        ])
      }
    })
  )

  it.scopedLive("are not children of a span that is not traced", () =>
    Effect.gen(function* () {
      for (const clock of [liveClock, otherClock]) {
        const { llm } = yield* setup([{ pace: 0 }])
        const untraced = Effect.withTracerEnabled(
          Effect.withSpan(Effect.withTracerEnabled(llm.chat("?"), true), "untraced"),
          false
        )
        const spans = yield* spansOf(Effect.withClock(Effect.withSpan(untraced, "outer"), clock))
        const [outer, root] = spans
        expect(spans.map(({ name }) => name)).toEqual(["outer", "chat asked", "attempt asked"])
        expect(root && Option.getOrUndefined(root.parent)).toBe(outer)
      }
    })
  )

  const allEnded = (spans: ReadonlyArray<Tracer.Span>) =>
    eventually(Effect.sync(() => spans.every(({ status }) => status._tag === "Ended")))

  it.scopedLive.each(calls)("all end when %s is interrupted before any of its steps", ([, call]) =>
    Effect.gen(function* () {
      for (const replies of [[{ pace: "now" }], [{ pace: 0 }], [refusal, { pace: 0 }]] as const) {
        const isShort = replies.length === 1
        let { llm } = yield* setup(replies)
        // A call that goes on with effects has hundreds of steps.
        for (let step = 1, isOver = false; !isOver; step += isShort ? 1 : 9) {
          if (!isShort) llm = (yield* setup(replies)).llm
          const { spans, tracer } = yield* recordingTracer
          const exit = yield* interruptedAt(Effect.withTracer(call(llm), tracer), step, "20 millis")
          isOver = Option.exists(exit, (ended) => Exit.isSuccess(ended) || !Cause.isInterrupted(ended.cause))
          yield* allEnded(spans)
        }
      }
    })
  )

  it.scopedLive.each(calls.slice(0, 2))("all end when %s is interrupted while it waits", ([, call]) =>
    Effect.gen(function* () {
      for (const reply of [
        { pace: 0, status: "silent" },
        { pace: 0, pieces: 1, end: "stay open" }
      ] as const) {
        for (const isDirect of [true, false]) {
          const server = Provider.make(() => reply)
          const http = isDirect ? server.http : portable(server.http)
          const { llm } = yield* Provider.setup({ ...server, http }, { provider: `spans-${runs++}`, keys: ["one"] })
          const { spans, tracer } = yield* recordingTracer
          const fiber = yield* Effect.fork(Effect.withTracer(call(llm), tracer))
          yield* server.hung
          yield* Fiber.interrupt(fiber)
          yield* allEnded(spans)
          expect(spans.map(({ name }) => name)).toEqual(["chat asked", "attempt asked"])
        }
      }
    })
  )
})

// -------------------------------------------------------------------------------------
// the context of the tracer
// -------------------------------------------------------------------------------------

describe("the context of a tracer", () => {
  it.scopedLive.each(calls)("surrounds the request of each attempt of %s with the span of the attempt", ([, call]) =>
    Effect.gen(function* () {
      for (const isDirect of [true, false]) {
        const { spans, tracer } = yield* recordingTracer
        const active: Array<Tracer.AnySpan | undefined> = []
        const sent: Array<Tracer.AnySpan | undefined> = []
        const server = Provider.make((index) => {
          sent.push(active.at(-1))
          return index === 0 ? refusal : { pace: 0 }
        })
        const http = isDirect ? server.http : portable(server.http)
        const { llm } = yield* Provider.setup({ ...server, http }, { provider: `spans-${runs++}`, keys: ["1", "2"] })
        const entering = Tracers.withContext(tracer, (span, run) => {
          active.push(span)
          try {
            return run()
          } finally {
            active.pop()
          }
        })
        yield* Effect.withTracer(call(llm), entering)
        expect(sent).toEqual(spans.slice(1))
        expect(sent.map((span) => span?._tag === "Span" && span.name)).toEqual(["attempt asked", "attempt asked"])
      }
    })
  )

  it.scopedLive("surrounds the listeners of the usage of a chat with the span of the call", () =>
    Effect.gen(function* () {
      const { llm } = yield* setup([{ pace: 0 }])
      for (const clock of [liveClock, otherClock]) {
        const ledger = yield* UsageLedger.make()
        const recorded = yield* UsageLedger.middleware()(llm).pipe(
          Effect.provideService(UsageLedger.UsageLedger, {
            ...ledger,
            record: () => Effect.withSpan(Effect.void, "recorded")
          })
        )
        const spans = yield* spansOf(Effect.withClock(recorded.chat("?"), clock))
        const span = spans.find(({ name }) => name === "recorded")
        expect(span && Option.getOrUndefined(span.parent)).toBe(spans[0])
      }
    })
  )
})

// -------------------------------------------------------------------------------------
// a tracer that throws
// -------------------------------------------------------------------------------------

describe("a tracer that throws", () => {
  const bug = (): never => {
    throw new Error("a bug of the tracer")
  }

  /** A tracer whose spans throw in one of their members. */
  const throwing = (member: "span" | "end" | "attribute", name: string, attribute: string) =>
    Effect.map(Effect.tracer, (tracer) =>
      Tracers.withSpan(tracer, (made, own) => {
        if (made !== name) return own()
        if (member === "span") return bug()
        if (member === "end") return Object.assign(own(), { end: bug })
        return Object.assign(own(), {
          attribute: (key: string) => (member === "attribute" && key === attribute ? bug() : undefined)
        })
      })
    )

  const faults = [
    ["span", ""],
    ["end", ""],
    ["attribute", "gen_ai.request.model"],
    ["attribute", "gen_ai.usage.output_tokens"],
    ["attribute", "gen_ai.response.time_to_first_chunk"],
    ["attribute", "error.type"]
  ] as const

  for (const [name, call] of calls) {
    for (const [member, attribute] of faults) {
      it.scopedLive(`in ${member} ${attribute} loses no permit and no key of ${name}`, () =>
        Effect.gen(function* () {
          for (const spanName of ["chat asked", "attempt asked"]) {
            for (const [isDirect, clock] of [
              [true, liveClock],
              [false, liveClock],
              [true, otherClock]
            ] as const) {
              for (const replies of [[{ pace: 0 }], [refusal, { pace: 0 }], [refusal, refusal]] as const) {
                const { attempts, llm } = yield* setup(replies, {}, isDirect)
                const tracer = yield* throwing(member, spanName, attribute)
                const exit = yield* Effect.exit(call(llm).pipe(Effect.withTracer(tracer), Effect.withClock(clock)))
                // A consumer that stops has its events, whatever happens afterwards.
                if (member !== "attribute" && name !== "a stream whose consumer stops") {
                  expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
                }
                const { keys, limiter } = yield* llm.status
                expect(keys.keys.map(({ inFlight }) => inFlight)).toEqual([0, 0])
                expect(limiter.concurrency?.inFlight ?? 0).toBe(0)
                expect(Math.round(Provider.capacity - limiter.available)).toBe(attempts.length)
                expect(limiter.tokens?.reserved).toBe(0)
              }
            }
          }
        })
      )
    }
  }
})

// -------------------------------------------------------------------------------------
// costs
// -------------------------------------------------------------------------------------

describe("fiber steps", () => {
  const added = (call: (llm: LLM.Service) => Effect.Effect<unknown, unknown>, provider: InMemory.Provider) =>
    Effect.gen(function* () {
      const llm = yield* InMemory.configured(provider)
      const bare = yield* settledStepsOf(call(llm))
      // The tracer is set outside of the count.
      return (yield* settledStepsOf(call(llm)).pipe(Effect.withTracer(InMemory.tracer))) - bare
    })

  it.live("that a tracer adds to a call are at most 8, over either transport", () =>
    Effect.gen(function* () {
      for (const provider of [InMemory.direct, InMemory.portable]) {
        for (const [, call] of calls) expect(yield* added(call, provider)).toBeLessThanOrEqual(8)
      }
    })
  )
})
