import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Exit, Fiber, Schedule, Stream, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Retry from "../../src/call/Retry.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import type { Middleware, Service } from "../../src/call/model.js"
import { errorOf } from "../support/failure.js"
import { answer, context, invalid, malformed, rateLimited, scripted, unavailable } from "../support/scripted.js"
import { settledStepsOf } from "../support/steps.js"

const steady: Retry.Backoff = { jitter: 0 }

/** Runs an effect and advances the test clock by one hour. */
const soon = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.exit(effect))
    yield* TestClock.adjust("1 hour")
    return yield* Effect.flatten(Fiber.join(fiber))
  })

describe("errors that Retry repeats", () => {
  it.effect("retries while the provider is unavailable, and the answer lists all attempts", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable, unavailable, "at last")
      const llm = yield* Retry.middleware()(next)
      const response = yield* soon(llm.chat("?"))
      expect(response.text).toBe("at last")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual([
        "ProviderUnavailableError",
        "ProviderUnavailableError",
        undefined
      ])
    })
  )

  it.effect("stops after `maxAttempts` attempts, and the error lists all attempts", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable)
      const llm = yield* Retry.middleware({ maxAttempts: 3 })(next)
      const error = yield* Effect.flip(soon(llm.chat("?")))
      expect(error._tag).toBe("ProviderUnavailableError")
      expect(error.attempts).toHaveLength(3)
      expect(yield* next.asked).toHaveLength(3)
    })
  )

  it.effect("does not retry an error that is not retryable", () =>
    Effect.gen(function* () {
      const next = yield* scripted(invalid, "never asked")
      const llm = yield* Retry.middleware()(next)
      expect(yield* Effect.flip(llm.chat("?"))).toBe(invalid)
      expect(yield* next.asked).toHaveLength(1)
    })
  )

  it.effect("retries a malformed answer once", () =>
    Effect.gen(function* () {
      const next = yield* scripted(malformed)
      const llm = yield* Retry.middleware()(next)
      yield* Effect.flip(soon(llm.chat("?")))
      expect(yield* next.asked).toHaveLength(2)
    })
  )

  it.effect("retries malformed answers once in a call, whatever else fails and however many attempts there are", () =>
    Effect.gen(function* () {
      const streamOf = (error: LLMErrors.LLMError) => ({ stream: Stream.fail(error) })
      const scenarios: ReadonlyArray<readonly [LLMErrors.LLMError, ...ReadonlyArray<LLMErrors.LLMError>]> = [
        [malformed, malformed, malformed],
        [malformed, unavailable, malformed, malformed],
        [unavailable, malformed, unavailable, malformed, malformed]
      ]
      for (const [first, ...others] of scenarios) {
        const whole = yield* scripted(first, ...others)
        const streamed = yield* scripted(streamOf(first), ...others.map(streamOf))
        const policy = Retry.middleware({ maxAttempts: 20 })
        const asked = yield* policy(whole)
        const opened = yield* policy(streamed)
        expect((yield* Effect.flip(soon(asked.chat("?"))))._tag).toBe("MalformedResponseError")
        expect((yield* Effect.flip(soon(Stream.runDrain(opened.chatStream("?")))))._tag).toBe("MalformedResponseError")
        expect([(yield* whole.asked).length, (yield* streamed.asked).length]).toEqual([others.length, others.length])
      }
    })
  )

  it.effect("retries an empty answer with `retryEmpty: true`, and returns it by default", () =>
    Effect.gen(function* () {
      const next = yield* scripted("", "", "", "words")
      const strict = yield* Retry.middleware({ retryEmpty: true })(next)
      expect((yield* soon(strict.chat("?"))).text).toBe("words")
      const lax = yield* Retry.middleware()(yield* scripted(""))
      expect((yield* lax.chat("?")).text).toBe("")
    })
  )

  const provider: Chat.ProviderPart = { type: "provider", provider: "test", native: { test: { type: "image" } } }
  const container: Chat.ProviderPart = {
    type: "provider",
    provider: "test",
    native: { "anthropic-messages": { container: { id: "container_1" } } }
  }
  const contents: ReadonlyArray<readonly [string, number, ReadonlyArray<Chat.AssistantPart>]> = [
    ["a provider part", 1, [provider]],
    ["the container of an answer", 2, [container]],
    ["a tool call", 1, [Chat.toolCall("1", "f", "{}")]],
    ["a refusal", 1, [{ type: "refusal", text: "no" }]],
    ["only reasoning", 2, [{ type: "reasoning", text: "hm" }]],
    ["a text without characters", 2, [{ type: "text", text: "", native: { test: { signature: "s" } } }]]
  ]

  it.effect.each(contents)(
    "with `retryEmpty: true`, an answer with %s is asked for %i time(s), whole and streamed",
    ([, times, content]) =>
      Effect.gen(function* () {
        const empty = Chat.withContent(answer(""), content)
        for (const way of ["chat", "chatStream"] as const) {
          const next = yield* scripted(Effect.succeed(empty), "words")
          const llm = yield* Retry.middleware({ retryEmpty: true })(next)
          yield* soon(way === "chat" ? llm.chat("?") : ChatEvent.collect(llm.chatStream("?")))
          expect(yield* next.asked).toHaveLength(times)
        }
      })
  )
})

describe("retry delay", () => {
  it.effect("doubles the base delay up to the cap", () =>
    Effect.sync(() => {
      const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((failures) => Retry.delay(steady, unavailable, failures, 0.5))
      expect(delays).toEqual([1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000])
    })
  )

  it.prop(
    "draws a delay between zero and the backoff with full jitter",
    { draw: FastCheck.double({ min: 0, max: 0.999, noNaN: true }) },
    ({ draw }) => {
      const delay = Retry.delay({}, unavailable, 3, draw)
      return delay >= 0 && delay <= 4000
    }
  )

  it.effect("waits for the Retry-After, and retries soon after it", () =>
    Effect.gen(function* () {
      const next = yield* scripted(rateLimited(7000), "on time")
      const llm = yield* Retry.middleware({ backoff: steady })(next)
      const fiber = yield* Effect.fork(llm.chat("?"))
      yield* TestClock.adjust(6999)
      expect(yield* next.asked).toHaveLength(1)
      yield* TestClock.adjust(101)
      expect((yield* Fiber.join(fiber)).text).toBe("on time")
    })
  )

  it.effect("fails at once when the wait would pass the deadline", () =>
    Effect.gen(function* () {
      const next = yield* scripted(rateLimited(60_000), "too late")
      const retrying = yield* Retry.middleware()(next)
      const llm = yield* Timeouts.middleware({ total: "10 seconds" })(retrying)
      // The test clock does not advance: the call fails without sleeping.
      const error = yield* Effect.flip(llm.chat("?"))
      expect(error._tag).toBe("RateLimitError")
      expect(LLMErrors.retryAfter(error)).toEqual(LLMErrors.retryAfter(rateLimited(60_000)))
    })
  )
})

describe("retry of streams", () => {
  it.effect("retries a stream that fails before its first event", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable, "at last")
      const llm = yield* Retry.middleware()(next)
      const response = yield* soon(ChatEvent.collect(llm.chatStream("?")))
      expect(response.text).toBe("at last")
      expect(response.attempts).toHaveLength(2)
    })
  )

  it.effect("does not retry a stream that fails after its first event", () =>
    Effect.gen(function* () {
      const broken = new LLMErrors.StreamInterruptedError({
        ...context,
        message: "cut",
        begun: true,
        partial: Chat.withContent({ id: "", model: "", usage: answer("").usage }, [Chat.text("He")])
      })
      const events = ChatEvent.fromResponse(answer("Hello"))
      const next = yield* scripted({
        stream: Stream.concat(Stream.fromIterable(events.slice(0, 2)), Stream.fail(broken))
      })
      const llm = yield* Retry.middleware()(next)
      const seen: Array<string> = []
      const exit = yield* Effect.exit(
        Stream.runForEach(llm.chatStream("?"), (event) => Effect.sync(() => seen.push(event._tag)))
      )
      expect(exit).toEqual(Exit.fail(broken))
      expect(seen).toEqual(["Start", "TextDelta"])
      expect(yield* next.asked).toHaveLength(1)
    })
  )

  it.effect("retries an empty stream with `retryEmpty: true`", () =>
    Effect.gen(function* () {
      const next = yield* scripted("", "words")
      const llm = yield* Retry.middleware({ retryEmpty: true })(next)
      expect((yield* soon(ChatEvent.collect(llm.chatStream("?")))).text).toBe("words")
    })
  )

  it.effect("releases the resources of a failed stream before the next attempt", () =>
    Effect.gen(function* () {
      let open = 0
      const held = Stream.acquireRelease(
        Effect.sync(() => {
          open++
          expect(open).toBe(1)
        }),
        () => Effect.sync(() => open--)
      )
      const next = yield* scripted(
        { stream: Stream.flatMap(held, () => Stream.fail(unavailable)) },
        { stream: Stream.flatMap(held, () => Stream.fromIterable(ChatEvent.fromResponse(answer("ok")))) }
      )
      const llm = yield* Retry.middleware()(next)
      yield* soon(ChatEvent.collect(llm.chatStream("?")))
      expect(open).toBe(0)
    })
  )
})

describe("retry with a schedule", () => {
  /** The times of the attempts of a call that fails with these errors, in milliseconds, and the exit of the call. */
  const timesOf = (
    options: Retry.Options,
    ...errors: readonly [LLMErrors.LLMError, ...ReadonlyArray<LLMErrors.LLMError>]
  ) =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const next = yield* scripted(...errors)
      const start = yield* Clock.currentTimeMillis
      const llm = yield* Retry.middleware(options)({
        ...next,
        chat: (request) =>
          Effect.zipRight(
            Effect.map(Clock.currentTimeMillis, (now) => times.push(now - start)),
            next.chat(request)
          )
      })
      return { exit: yield* Effect.exit(soon(llm.chat("?"))), times }
    })

  it.effect("lets the schedule decide about the number of attempts and the delays", () =>
    Effect.gen(function* () {
      const schedule = Schedule.intersect(Schedule.exponential("3 seconds"), Schedule.recurs(6))
      const { exit, times } = yield* timesOf({ schedule }, unavailable)
      expect(times).toEqual([0, 3000, 9000, 21_000, 45_000, 93_000, 189_000])
      expect(Exit.isFailure(exit)).toBe(true)
    })
  )

  it.effect("stops when the schedule is done, and the error lists all attempts", () =>
    Effect.gen(function* () {
      const llm = yield* Retry.middleware({ schedule: Schedule.recurs(2) })(yield* scripted(unavailable))
      const error = yield* Effect.flip(soon(llm.chat("?")))
      expect(error._tag).toBe("ProviderUnavailableError")
      expect(error.attempts).toHaveLength(3)
    })
  )

  it.effect("passes each error to the schedule", () =>
    Effect.gen(function* () {
      const schedule = Schedule.recurWhile<LLMErrors.LLMError>(({ _tag }) => _tag === "ProviderUnavailableError")
      const { exit, times } = yield* timesOf({ schedule }, unavailable, unavailable, rateLimited(0), unavailable)
      expect(times).toHaveLength(3)
      expect(errorOf(exit)?._tag).toBe("RateLimitError")
    })
  )

  it.effect("asks the schedule only about errors that `when` accepts", () =>
    Effect.gen(function* () {
      const schedule = Schedule.recurs(3)
      expect((yield* timesOf({ schedule }, invalid)).times).toHaveLength(1)
      expect((yield* timesOf({ schedule, when: () => true }, invalid)).times).toHaveLength(4)
    })
  )

  it.effect("starts the schedule anew with every call", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable, "first", unavailable, "second")
      const llm = yield* Retry.middleware({ schedule: Schedule.recurs(1) })(next)
      expect((yield* soon(llm.chat("?"))).text).toBe("first")
      expect((yield* soon(llm.chat("?"))).text).toBe("second")
    })
  )

  it.effect.prop(
    "waits for the delay of the schedule or the Retry-After, whichever is longer",
    { spaced: FastCheck.integer({ min: 1, max: 10_000 }), retryAfter: FastCheck.integer({ min: 0, max: 10_000 }) },
    ({ retryAfter, spaced }) =>
      Effect.gen(function* () {
        const schedule = Schedule.intersect(Schedule.spaced(spaced), Schedule.recurs(2))
        const { times } = yield* timesOf({ schedule }, rateLimited(retryAfter))
        const wait = Math.max(spaced, retryAfter)
        expect(times).toEqual([0, wait, 2 * wait])
      }),
    { fastCheck: { numRuns: 20 } }
  )

  it.effect("fails at once when the delay of the schedule would pass the deadline", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable, "too late")
      const llm = yield* Effect.flatMap(
        Retry.middleware({ schedule: Schedule.spaced("11 seconds") })(next),
        Timeouts.middleware({ total: "10 seconds" })
      )
      // The test clock does not advance: the call fails without sleeping.
      expect((yield* Effect.flip(llm.chat("?")))._tag).toBe("ProviderUnavailableError")
      expect(yield* next.asked).toHaveLength(1)
    })
  )

  it.effect("fails at once when a Retry-After that is longer than the schedule's delay would pass the deadline", () =>
    Effect.gen(function* () {
      const next = yield* scripted(rateLimited(60_000), "too late")
      const llm = yield* Effect.flatMap(
        Retry.middleware({ schedule: Schedule.spaced("1 second") })(next),
        Timeouts.middleware({ total: "10 seconds" })
      )
      expect((yield* Effect.flip(llm.chat("?")))._tag).toBe("RateLimitError")
      expect(yield* next.asked).toHaveLength(1)
    })
  )

  it.effect("retries a stream before its first event, and an empty answer with `retryEmpty: true`", () =>
    Effect.gen(function* () {
      const schedule = Schedule.spaced("2 seconds")
      const next = yield* scripted(unavailable, "", "words")
      const llm = yield* Retry.middleware({ schedule, retryEmpty: true })(next)
      expect((yield* soon(ChatEvent.collect(llm.chatStream("?")))).text).toBe("words")
    })
  )

  it.effect("runs a schedule with the services that the middleware requires", () =>
    Effect.gen(function* () {
      class Pace extends Context.Tag("Pace")<Pace, { readonly delay: Duration.Duration }>() {}
      const schedule = Schedule.recurs(1).pipe(Schedule.addDelayEffect(() => Effect.map(Pace, ({ delay }) => delay)))
      const middleware = Retry.middleware({ schedule })
      expectTypeOf(middleware).toEqualTypeOf<Middleware<never, Pace>>()
      const next = yield* scripted(unavailable, "on time")
      const llm = yield* Effect.provideService(middleware(next), Pace, { delay: Duration.seconds(4) })
      const fiber = yield* Effect.fork(llm.chat("?"))
      yield* TestClock.adjust(3999)
      expect(yield* next.asked).toHaveLength(1)
      yield* TestClock.adjust(1)
      expect((yield* Fiber.join(fiber)).text).toBe("on time")
    })
  )

  it("does not accept a schedule together with the options of the backoff", () => {
    const schedule = Schedule.recurs(1)
    expectTypeOf<{ schedule: typeof schedule; when: () => boolean }>().toExtend<Retry.Options>()
    expectTypeOf<{ schedule: typeof schedule; maxAttempts: number }>().not.toExtend<Retry.Options>()
    expectTypeOf<{ schedule: typeof schedule; backoff: Retry.Backoff }>().not.toExtend<Retry.Options>()
    expectTypeOf(Retry.middleware()).toEqualTypeOf<Middleware>()
    expectTypeOf(Retry.middleware({ maxAttempts: 2 })).toEqualTypeOf<Middleware>()
    // Plain JavaScript can pass both.
    expect(() => Reflect.apply(Retry.middleware, undefined, [{ schedule, maxAttempts: 2, backoff: {} }])).toThrow(
      "The options of Retry are not valid. maxAttempts: must be absent when there is a schedule; backoff: must be absent when there is a schedule"
    )
  })
})

describe("cost of Retry", () => {
  it.live("adds two fiber steps to a chat that succeeds, with the backoff and with a schedule", () =>
    Effect.gen(function* () {
      const next = yield* scripted("yes")
      const stepsWith = (llm: Service) => settledStepsOf(llm.chat("?"))
      const bare = yield* stepsWith(next)
      expect(yield* stepsWith(yield* Retry.middleware()(next))).toBe(bare + 2)
      expect(yield* stepsWith(yield* Retry.middleware({ schedule: Schedule.recurs(1) })(next))).toBe(bare + 2)
    })
  )
})
