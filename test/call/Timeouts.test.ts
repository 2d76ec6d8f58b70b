import { describe, expect, it } from "@effect/vitest"
import type { Duration } from "effect"
import { Cause, Chunk, Effect, Exit, Fiber, Option, Schedule, Stream, TestClock } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import type { ChatEvent as Event } from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { answer, scripted, unavailable } from "../support/scripted.js"

const events = ChatEvent.fromResponse(answer("Hello"))

/** The events of an answer with `pieces` text deltas, one every `every`, the first at once. */
const paced = (pieces: number, every: Duration.DurationInput): Stream.Stream<Event, LLMError> => {
  const [start, , finish] = events
  const texts = Array.from({ length: pieces }, (): Event => ({ _tag: "TextDelta", index: 0, text: "x" }))
  return start === undefined || finish === undefined
    ? Stream.empty
    : Stream.fromIterable([start, ...texts, finish]).pipe(Stream.rechunk(1), Stream.schedule(Schedule.spaced(every)))
}

const phaseOf = <A>(exit: Exit.Exit<A, LLMError>): string => {
  const error = Option.getOrUndefined(Exit.causeOption(exit).pipe(Option.flatMap(Cause.failureOption)))
  return error?._tag === "TimeoutError" ? error.phase : (error?._tag ?? "none")
}

describe("time limits of a whole answer", () => {
  it.effect("returns an answer that is in time unchanged", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware(Timeouts.defaults)(yield* scripted("Hello"))
      expect(yield* llm.chat("?")).toEqual(answer("Hello"))
    })
  )

  it.effect("fails and interrupts the call when the answer takes longer than `response`", () =>
    Effect.gen(function* () {
      let interrupted = false
      const slow = Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true)))
      const llm = yield* Timeouts.middleware({ response: "10 seconds" })(yield* scripted(slow))
      const fiber = yield* Effect.fork(Effect.exit(llm.chat("?")))
      yield* TestClock.adjust("10 seconds")
      expect(phaseOf(yield* Fiber.join(fiber))).toBe("response")
      expect(interrupted).toBe(true)
    })
  )

  it.effect("does not end an uninterruptible call whose fiber is interrupted", () =>
    Effect.gen(function* () {
      const slow = Effect.delay(Effect.succeed(answer("Hello")), "5 seconds")
      const llm = yield* Timeouts.middleware({ response: "10 seconds" })(yield* scripted(slow))
      let hasAnswered = false
      const call = Effect.tap(llm.chat("?"), () => Effect.sync(() => (hasAnswered = true)))
      const fiber = yield* Effect.fork(Effect.uninterruptible(call))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.await(fiber)
      expect(hasAnswered).toBe(true)
    })
  )

  it.effect("waits longer for a server that loads a model first, also for the first event of a stream", () =>
    Effect.gen(function* () {
      const never = yield* scripted(Effect.never)
      const limits: Timeouts.Options = { response: "10 seconds", firstEvent: "10 seconds", modelLoad: "50 seconds" }
      const local = { ...never, info: { ...never.info, wire: "ollama" } }
      const calls = yield* Effect.forEach([never, local], (llm) =>
        Effect.flatMap(Timeouts.middleware(limits)(llm), ({ chat, chatStream }) =>
          Effect.forEach([chat("?"), Stream.runDrain(chatStream("?"))], (call) => Effect.fork(Effect.exit(call)))
        )
      )
      const endedAt = (duration: Duration.DurationInput) =>
        Effect.zipRight(
          TestClock.adjust(duration),
          Effect.forEach(calls.flat(), (call) => Effect.map(Fiber.poll(call), Option.isSome))
        )
      expect(yield* endedAt("10 seconds")).toEqual([true, true, false, false])
      expect(yield* endedAt("49 seconds")).toEqual([true, true, false, false])
      expect(yield* endedAt("1 second")).toEqual([true, true, true, true])
    })
  )

  it.effect("names the phase `total` when that limit is the shorter one", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware({ response: "10 seconds", total: "5 seconds" })(
        yield* scripted(Effect.never)
      )
      const fiber = yield* Effect.fork(Effect.exit(llm.chat("?")))
      yield* TestClock.adjust("5 seconds")
      expect(phaseOf(yield* Fiber.join(fiber))).toBe("total")
    })
  )
})

describe("time limits of a stream", () => {
  it.effect("returns a stream that is in time unchanged, event by event", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware(Timeouts.defaults)(
        yield* scripted({ stream: Stream.fromIterable(events) })
      )
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(llm.chatStream("?")))).toEqual(events)
    })
  )

  it.effect("fails after `firstEvent` when the stream does not begin", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware({ firstEvent: "3 seconds" })(yield* scripted({ stream: Stream.never }))
      const fiber = yield* Effect.fork(Effect.exit(Stream.runDrain(llm.chatStream("?"))))
      yield* TestClock.adjust("3 seconds")
      expect(phaseOf(yield* Fiber.join(fiber))).toBe("first-event")
    })
  )

  it.effect("fails after `idle` with the partial answer when the stream stalls", () =>
    Effect.gen(function* () {
      const stalled = Stream.concat(Stream.fromIterable(events.slice(0, 2)), Stream.never)
      const llm = yield* Timeouts.middleware({ idle: "3 seconds" })(yield* scripted({ stream: stalled }))
      const fiber = yield* Effect.fork(Effect.flip(Stream.runDrain(llm.chatStream("?"))))
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(fiber)
      expect(error._tag === "TimeoutError" && [error.phase, error.partial?.text]).toEqual(["idle", "Hello"])
    })
  )

  it.effect("estimates the usage of the partial answer from its texts, reasoning, refusal and arguments", () =>
    Effect.gen(function* () {
      const words = "some words of an answer "
      const content: ReadonlyArray<Chat.AssistantPart> = [
        { type: "reasoning", text: words, signature: "s" },
        Chat.text(words),
        Chat.toolCall("1", "f", words),
        { type: "refusal", text: words }
      ]
      const sent = ChatEvent.fromResponse(Chat.withContent(answer(""), content)).slice(0, -1)
      const stalled = Stream.concat(Stream.fromIterable(sent), Stream.never)
      const llm = yield* Timeouts.middleware({ idle: "3 seconds" })(yield* scripted({ stream: stalled }))
      const fiber = yield* Effect.fork(Effect.flip(Stream.runDrain(llm.chatStream("?"))))
      yield* TestClock.adjust("3 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({
        partial: {
          content,
          text: words,
          reasoning: words,
          refusal: words,
          usage: { outputTokens: Usage.estimateTokens(words.repeat(4)), estimated: true }
        }
      })
    })
  )

  it.effect("does not fail with `idle` a stream that is slow but sends events", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware({ idle: "3 seconds" })(yield* scripted({ stream: paced(20, "2 seconds") }))
      const fiber = yield* Effect.fork(ChatEvent.collect(llm.chatStream("?")))
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber)).text).toHaveLength(20)
    })
  )

  it.effect("does not count the time of the consumer as `idle`", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware({ idle: "3 seconds" })(
        yield* scripted({ stream: Stream.rechunk(Stream.fromIterable(events), 1) })
      )
      const slow = Stream.tap(llm.chatStream("?"), () => Effect.sleep("10 seconds"))
      const fiber = yield* Effect.fork(ChatEvent.collect(slow))
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber)).text).toBe("Hello")
    })
  )

  it.effect("fails after `total` when the stream does not end", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware({ total: "10 seconds", idle: "3 seconds" })(
        yield* scripted({ stream: paced(1000, "1 second") })
      )
      const fiber = yield* Effect.fork(Effect.exit(Stream.runDrain(llm.chatStream("?"))))
      yield* TestClock.adjust("10 seconds")
      expect(phaseOf(yield* Fiber.join(fiber))).toBe("total")
    })
  )

  it.effect("closes the stream when the consumer stops early", () =>
    Effect.gen(function* () {
      let closed = false
      const endless = Stream.ensuring(
        paced(1_000_000, "1 second"),
        Effect.sync(() => (closed = true))
      )
      const llm = yield* Timeouts.middleware({ idle: "1 minute", total: "1 hour" })(
        yield* scripted({ stream: endless })
      )
      const fiber = yield* Effect.fork(Stream.runDrain(Stream.take(llm.chatStream("?"), 3)))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      expect(closed).toBe(true)
    })
  )

  it.effect("fails with the error of the stream when it fails within the limits", () =>
    Effect.gen(function* () {
      const llm = yield* Timeouts.middleware(Timeouts.defaults)(
        yield* scripted({ stream: Stream.concat(Stream.fromIterable(events.slice(0, 1)), Stream.fail(unavailable)) })
      )
      expect(yield* Effect.flip(Stream.runDrain(llm.chatStream("?")))).toBe(unavailable)
    })
  )
})
