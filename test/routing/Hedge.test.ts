import { describe, expect, it } from "@effect/vitest"
import type { Duration } from "effect"
import { Array as Arr, Cause, Deferred, Effect, Exit, Fiber, Ref, Stream, TestClock } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Hedge from "../../src/routing/Hedge.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Step } from "../support/scripted.js"
import { eventually } from "../support/eventually.js"
import { answer, invalid, scripted, unavailable } from "../support/scripted.js"
import { transports } from "../support/transports.js"

const slow = (text: string, delay: Duration.DurationInput) => Effect.delay(Effect.succeed(answer(text)), delay)

const soon = { delay: "1 second", maxExtraLoad: 1 } as const

/** The result of a call after the test clock has advanced. */
const later = <A, E>(effect: Effect.Effect<A, E>, time: Duration.DurationInput = "1 minute") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust(time)
    return yield* Fiber.join(fiber)
  })

describe("Hedge", () => {
  it.effect("takes the second answer when the first is slower than the delay, and records both attempts", () =>
    Effect.gen(function* () {
      const llm = yield* Hedge.make(
        [yield* scripted(slow("second", "1 second"))],
        soon
      )(yield* scripted(slow("first", "1 hour")))
      const response = yield* later(llm.chat("?"), "2 seconds")
      expect(response.text).toBe("second")
      expect(response.attempts.map(({ duration, error }) => [error, duration])).toEqual([
        ["Interrupted", 2000],
        [undefined, 5]
      ])
    })
  )

  it.effect("takes the first answer when it comes before the second, and interrupts the second request", () =>
    Effect.gen(function* () {
      const interrupted = yield* Ref.make(false)
      const second = yield* scripted(Effect.onInterrupt(slow("second", "1 hour"), () => Ref.set(interrupted, true)))
      const llm = yield* Hedge.make([second], soon)(yield* scripted(slow("first", "3 seconds")))
      const response = yield* later(llm.chat("?"), "3 seconds")
      expect(response.text).toBe("first")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual(["Interrupted", undefined])
      expect(yield* Ref.get(interrupted)).toBe(true)
    })
  )

  it.effect("sends no second request when the first answer comes before the delay", () =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const llm = yield* Hedge.make([second], soon)(yield* scripted(slow("first", "999 millis")))
      expect((yield* later(llm.chat("?"))).attempts).toHaveLength(1)
      expect(yield* second.asked).toEqual([])
    })
  )

  it.effect("sends second requests to the others in turn without the named model, or to the same LLM with it", () =>
    Effect.gen(function* () {
      const one = yield* scripted("one")
      const two = yield* scripted("two")
      const never = yield* scripted(Effect.never)
      const request = { model: "large", messages: [Chat.user("?")] }
      const llm = yield* Hedge.make([one, two], soon)(never)
      const texts = yield* Effect.forEach([1, 2, 3], () => later(llm.chat(request)))
      expect(texts.map(({ text }) => text)).toEqual(["one", "two", "one"])
      expect(yield* two.asked).toEqual([{ messages: [Chat.user("?")] }])
      const same = yield* scripted(Effect.never, "again")
      const alone = yield* Hedge.make([], soon)(same)
      expect((yield* later(alone.chat(request))).text).toBe("again")
      expect(yield* same.asked).toEqual([request, request])
    })
  )

  it.effect("hedges embeddings", () =>
    Effect.gen(function* () {
      const llm = yield* Hedge.make([yield* scripted("second")], soon)(yield* scripted(Effect.never))
      const response = yield* later(llm.embed("?"))
      expect(response.embeddings).toEqual([["second".length]])
      expect(response.attempts).toHaveLength(2)
    })
  )

  it.effect("embeds a second time with an LLM of the same family, or with the same one", () =>
    Effect.gen(function* () {
      const other = yield* scripted("other family")
      const different = { ...other, info: { ...other.info, model: "another" } }
      const same = yield* scripted("same")
      const first = yield* scripted(Effect.never, "again")
      const llm = yield* Hedge.make([different, same], soon)(first)
      expect((yield* later(llm.embed("?"))).embeddings).toEqual([["same".length]])
      const alone = yield* Hedge.make([different], soon)(yield* scripted(Effect.never, "again"))
      expect((yield* later(alone.embed("?"))).embeddings).toEqual([["again".length]])
      expect(yield* other.asked).toEqual([])
    })
  )
})

describe("Hedge failures", () => {
  it.effect("returns an error before the delay at once, or sends the second request when `onFailure` is true", () =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const first = yield* scripted(unavailable)
      const llm = yield* Hedge.make([second], soon)(first)
      expect(yield* Effect.flip(llm.chat("?"))).toBe(unavailable)
      expect(yield* second.asked).toEqual([])
      const eager = yield* Hedge.make([second], { ...soon, onFailure: true })(first)
      const response = yield* eager.chat("?")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual(["ProviderUnavailableError", undefined])
    })
  )

  it.effect("waits for the other request when one of the two fails", () =>
    Effect.gen(function* () {
      const failing = Effect.delay(Effect.fail(unavailable), "2 seconds")
      const first = yield* Hedge.make([yield* scripted(slow("second", "1 minute"))], soon)(yield* scripted(failing))
      const second = yield* Hedge.make([yield* scripted(failing)], soon)(yield* scripted(slow("first", "1 minute")))
      for (const [llm, text] of [[first, "second"] as const, [second, "first"] as const]) {
        const response = yield* later(llm.chat("?"), "2 minutes")
        expect(response.text).toBe(text)
        expect(response.attempts.map((attempt) => attempt.error)).toEqual(["ProviderUnavailableError", undefined])
      }
    })
  )

  it.effect("fails with the first request's error and the attempts of both when both fail", () =>
    Effect.gen(function* () {
      const llm = yield* Hedge.make(
        [yield* scripted(invalid)],
        soon
      )(yield* scripted(Effect.delay(Effect.fail(unavailable), "2 seconds")))
      const error = yield* later(Effect.flip(llm.chat("?")))
      expect(error._tag).toBe("ProviderUnavailableError")
      expect(error.attempts.map((attempt) => attempt.error)).toEqual([
        "ProviderUnavailableError",
        "InvalidRequestError"
      ])
    })
  )

  it.effect("dies with a defect of the second request and interrupts the first", () =>
    Effect.gen(function* () {
      const interrupted = yield* Ref.make(false)
      const first = yield* scripted(Effect.onInterrupt(Effect.never, () => Ref.set(interrupted, true)))
      const llm = yield* Hedge.make([yield* scripted(Effect.die("bug"))], soon)(first)
      const exit = yield* later(Effect.exit(llm.chat("?")))
      expect(exit).toEqual(Exit.failCause(Cause.die("bug")))
      expect(yield* Ref.get(interrupted)).toBe(true)
    })
  )
})

describe("Hedge streams", () => {
  /** A stream that records its name when it is closed. */
  const held = (closed: Ref.Ref<ReadonlyArray<string>>, name: string, delay: Duration.DurationInput) => ({
    stream: Stream.unwrapScoped(
      Effect.as(
        Effect.addFinalizer(() => Ref.update(closed, (before) => [...before, name])),
        Stream.concat(
          Stream.drain(Stream.fromEffect(Effect.sleep(delay))),
          Stream.fromIterable(ChatEvent.fromResponse(answer(name)))
        )
      )
    )
  })

  it.effect("picks the stream with the first event, and closes the loser before it emits that event", () =>
    Effect.gen(function* () {
      const closed = yield* Ref.make<ReadonlyArray<string>>([])
      const llm = yield* Hedge.make(
        [yield* scripted(held(closed, "second", 0))],
        soon
      )(yield* scripted(held(closed, "first", "1 hour")))
      const seen = yield* Ref.make<ReadonlyArray<ReadonlyArray<string>>>([])
      const look = Effect.flatMap(Ref.get(closed), (now) => Ref.update(seen, (before) => [...before, now]))
      const response = yield* later(ChatEvent.collect(Stream.tap(llm.chatStream("?"), () => look)))
      expect(response.text).toBe("second")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual(["Interrupted", undefined])
      expect(yield* Ref.get(seen)).toEqual([["first"], ["first"], ["first"]])
      expect(yield* Ref.get(closed)).toEqual(["first", "second"])
    })
  )

  it.effect("closes both streams when the consumer is interrupted", () =>
    Effect.gen(function* () {
      const closed = yield* Ref.make<ReadonlyArray<string>>([])
      const llm = yield* Hedge.make(
        [yield* scripted(held(closed, "second", "1 hour"))],
        soon
      )(yield* scripted(held(closed, "first", "1 hour")))
      const fiber = yield* Effect.fork(Stream.runDrain(llm.chatStream("?")))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(fiber)
      expect((yield* Ref.get(closed)).toSorted()).toEqual(["first", "second"])
    })
  )
})

describe("Hedge delay", () => {
  it.effect("uses `minDelay` as the delay until 20 answers are measured, then the greater of it and the p95", () =>
    Effect.gen(function* () {
      const steps = Array.from({ length: 20 }, (_, index) => slow("first", (index + 1) * 1000))
      const first = yield* scripted(slow("first", "30 seconds"), ...steps, Effect.never)
      const second = yield* scripted("second")
      const llm = yield* Hedge.make([second], { minDelay: "25 seconds", maxExtraLoad: 1 })(first)
      // The first answer takes longer than the floor, so the call is hedged.
      expect((yield* later(llm.chat("?"))).text).toBe("second")
      for (const _ of steps) expect((yield* later(llm.chat("?"))).text).toBe("first")
      // 25 and 1 to 20 seconds were measured; of 21, the 20th is 20. The floor is longer.
      expect((yield* later(llm.chat("?"))).attempts[0]?.duration).toBe(25_000)
    })
  )

  it.effect("raises the delay to the measured p95 when that exceeds `minDelay`", () =>
    Effect.gen(function* () {
      // The slow answers come before the share allows a second request.
      const long = slow("first", "3 seconds")
      const short = slow("first", "100 millis")
      const first = yield* scripted(long, long, ...Array.from({ length: 18 }, () => short), Effect.never)
      const llm = yield* Hedge.make([yield* scripted("second")], { minDelay: "1 second", maxExtraLoad: 0.1 })(first)
      for (let index = 0; index < 20; index++) yield* later(llm.chat("?"))
      expect((yield* later(llm.chat("?"))).attempts[0]?.duration).toBe(3000)
    })
  )
})

describe.each(transports)("Hedge over %s", (_, transport) => {
  const llmAt = (baseUrl: string) =>
    LLM.make({ model: "simulated", retry: false }).pipe(
      Effect.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl })),
      Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["one", "two"] })),
      Effect.provide(RateLimiter.layerUnlimited)
    )

  const calls: ReadonlyArray<readonly [string, (llm: LLM.Service) => Effect.Effect<Chat.ChatResponse, unknown>]> = [
    ["chat", (llm) => llm.chat("?")],
    ["stream", (llm) => ChatEvent.collect(llm.chatStream("?"))]
  ]

  it.scopedLive.each(calls)(
    "closes the loser's connection and gives its key back as soon as the winner answers: %s",
    ([, call]) =>
      Effect.gen(function* () {
        const hanging = yield* SimulatedProvider.make({ faults: () => SimulatedProvider.hang() })
        const answering = yield* SimulatedProvider.make({ answer: () => "Hello." })
        const first = yield* llmAt(hanging.baseUrl)
        const llm = yield* Hedge.make([yield* llmAt(answering.baseUrl)], { delay: "50 millis", maxExtraLoad: 1 })(first)
        expect((yield* call(llm)).text).toBe("Hello.")
        expect((yield* first.status).keys.keys.map((key) => key.inFlight)).toEqual([0, 0])
        yield* eventually(Effect.map(hanging.busyConnections, (count) => count === 0))
        yield* eventually(Effect.map(hanging.inFlight, (count) => count === 0))
        expect((yield* hanging.log).map(({ outcome }) => outcome)).toEqual(["aborted"])
      }).pipe(Effect.provide(transport))
  )
})

describe("Hedge limits", () => {
  it.effect("sends no second request when the share of extra requests is used up", () =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const llm = yield* Hedge.make([second], { delay: 0, maxExtraLoad: 0.25 })(
        yield* scripted(slow("first", "1 second"))
      )
      for (let index = 0; index < 8; index++) yield* later(llm.chat("?"))
      expect(yield* second.asked).toHaveLength(2)
    })
  )

  it.effect("sends no second request after the call was interrupted", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const llm = yield* Hedge.make(
        [yield* scripted(Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never))],
        {
          delay: "1 second",
          maxExtraLoad: 1
        }
      )(yield* scripted(Effect.never))
      const fiber = yield* Effect.fork(llm.chat("?"))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      expect(yield* Deferred.isDone(asked)).toBe(false)
    })
  )
})

describe("Hedge measurement and cleanup", () => {
  /** When the 21st call sends its second request, after twenty calls of `first` and `second`, in milliseconds. */
  const hedgedAt = (
    measured: ReadonlyArray<readonly [first: Step, second: Step]>,
    options: Hedge.Options = { minDelay: "1 second", maxExtraLoad: 1 }
  ) =>
    Effect.gen(function* () {
      const [head, ...rest] = measured
      if (head === undefined) return yield* Effect.dieMessage("no calls to measure")
      const first = yield* scripted(head[0], ...rest.map(([step]) => step), Effect.never)
      const second = yield* scripted(head[1], ...rest.map(([, step]) => step), "last")
      const llm = yield* Hedge.make([second], options)(first)
      for (const _ of measured) yield* Effect.exit(later(llm.chat("?")))
      return (yield* later(llm.chat("?"))).attempts[0]?.duration
    })

  const repeat = (times: number, first: Step, second: Step) =>
    Array.from({ length: times }, (): readonly [Step, Step] => [first, second])

  it.effect("measures the time of the first request when the second one wins", () =>
    Effect.gen(function* () {
      expect(yield* hedgedAt(repeat(20, Effect.never, slow("second", "100 millis")))).toBe(1100)
    })
  )

  it.effect("measures the first request when it answers after the second has failed", () =>
    Effect.gen(function* () {
      expect(yield* hedgedAt(repeat(20, slow("first", "5 seconds"), unavailable))).toBe(5000)
    })
  )

  it.effect("measures nothing when the first request fails and the second one answers", () =>
    Effect.gen(function* () {
      const failing = Effect.delay(Effect.fail(unavailable), "2 seconds")
      expect(yield* hedgedAt(repeat(20, failing, slow("second", "4 seconds")))).toBe(1000)
    })
  )

  it.effect("measures nothing when the first request fails before there is a second request", () =>
    Effect.gen(function* () {
      const answers = repeat(20, slow("first", "3 seconds"), Effect.never)
      // More failures than samples are kept: counted as quick answers, they would lower the delay to the floor.
      expect(yield* hedgedAt([...answers, ...repeat(100, unavailable, "last")])).toBe(3000)
    })
  )

  const opening = (open: Ref.Ref<ReadonlyArray<string>>, name: string, ready: Effect.Effect<void>): Step => ({
    // Uninterruptible while it opens: the loser opens too.
    stream: Stream.unwrapScoped(
      Effect.as(
        Effect.acquireRelease(Effect.zipRight(ready, Ref.update(open, Arr.append(name))), () =>
          Ref.update(
            open,
            Arr.filter((other) => other !== name)
          )
        ),
        Stream.fromIterable(ChatEvent.fromResponse(answer(name)))
      )
    )
  })

  /** The streams that are open at each event of a hedged stream. */
  const openAtEvents = (llm: LLM.Service, open: Ref.Ref<ReadonlyArray<string>>) =>
    Stream.runFoldEffect(llm.chatStream("?"), new Set<string>(), (all, _) =>
      Effect.map(Ref.get(open), (names) => all.add(names.join()))
    )

  it.effect("closes a stream that opens after the winner before it emits the first event", () =>
    Effect.gen(function* () {
      const open = yield* Ref.make<ReadonlyArray<string>>([])
      const llm = yield* Hedge.make(
        [yield* scripted(opening(open, "second", Effect.sleep("4 seconds")))],
        soon
      )(yield* scripted(opening(open, "first", Effect.sleep("2 seconds"))))
      expect([...(yield* later(openAtEvents(llm, open)))]).toEqual(["first"])
      expect(yield* Ref.get(open)).toEqual([])
    })
  )

  it.effect("closes a stream that opens together with the winner before it emits the first event", () =>
    Effect.gen(function* () {
      const open = yield* Ref.make<ReadonlyArray<string>>([])
      const gate = yield* Effect.makeLatch(false)
      const llm = yield* Hedge.make(
        [yield* scripted(opening(open, "second", gate.await))],
        soon
      )(yield* scripted(opening(open, "first", gate.await)))
      const events = yield* Effect.fork(openAtEvents(llm, open))
      // The second request begins after one second.
      yield* TestClock.adjust("1 second")
      yield* gate.open
      expect([...(yield* Fiber.join(events))]).toEqual(["first"])
      expect(yield* Ref.get(open)).toEqual([])
    })
  )
})
