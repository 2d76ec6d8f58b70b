import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Fiber, Stream, TestClock } from "effect"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Retry from "../../src/call/Retry.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import { answer, context, invalid, malformed, rateLimited, scripted, unavailable } from "../support/scripted.js"

const steady: Retry.Options = { jitter: 0 }

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

  it.effect("stops after `attempts` calls, and the error lists all attempts", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable)
      const llm = yield* Retry.middleware({ attempts: 3 })(next)
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
        const policy = Retry.middleware({ attempts: 20 })
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
      const llm = yield* Retry.middleware(steady)(next)
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
        partial: { id: "", model: "", text: "He", reasoning: "", toolCalls: [], usage: answer("").usage }
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
