import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Ref, Stream } from "effect"
import * as fc from "fast-check"
import type { Duration } from "effect"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Hedge from "../../src/routing/Hedge.js"
import * as Percentile from "../../src/routing/hedge/percentile.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { makeClock } from "../support/interleaving.js"
import { answer, scripted, unavailable } from "../support/scripted.js"

/** How long a call takes in milliseconds, and whether it fails. */
interface Outcome {
  readonly takes: number
  readonly fails: boolean
}

interface Trial {
  readonly first: Outcome
  readonly second: Outcome
  readonly streamed: boolean
  /** When the caller interrupts the call, in milliseconds; 1000 is after its end. */
  readonly interruptedAfter: number
}

const outcome = fc.record({ takes: fc.nat({ max: 40 }), fails: fc.boolean() })

const trial: fc.Arbitrary<Trial> = fc.record({
  first: outcome,
  second: outcome,
  streamed: fc.boolean(),
  interruptedAfter: fc.oneof(fc.nat({ max: 50 }), fc.constant(1000))
})

/** A deployment that counts its calls, in flight and in all. */
const deployment = (name: string, outcomes: ReadonlyArray<Outcome>) =>
  Effect.gen(function* () {
    const inFlight = yield* Ref.make(0)
    const calls = yield* Ref.make(0)
    const begun = (takes: Duration.DurationInput) =>
      Effect.zipRight(
        Ref.update(calls, (n) => n + 1),
        Effect.sleep(takes)
      )
    const entered = Effect.acquireRelease(
      Ref.update(inFlight, (n) => n + 1),
      () => Ref.update(inFlight, (n) => n - 1)
    )
    const base = yield* scripted(name)
    const next = Effect.map(Ref.get(calls), (n): Outcome => outcomes[n] ?? { takes: 0, fails: false })
    const ended = ({ fails }: Outcome) => (fails ? Effect.fail<LLMError>(unavailable) : Effect.succeed(answer(name)))
    const call = Effect.flatMap(next, (own) => Effect.zipRight(begun(own.takes), ended(own)))
    return {
      llm: {
        ...base,
        chat: () => Effect.scoped(Effect.zipRight(entered, call)),
        chatStream: () =>
          Stream.unwrapScoped(
            Effect.zipRight(
              entered,
              Effect.map(call, (whole) => Stream.fromIterable(ChatEvent.fromResponse(whole)))
            )
          )
      },
      inFlight: Ref.get(inFlight),
      calls: Ref.get(calls)
    }
  })

const after = 10

describe("Hedge for any two deployments and any time of interruption", () => {
  it.effect.prop(
    "gives exactly one answer, leaves no request running and never exceeds `maxExtraLoad`",
    // Percents, because random doubles are mostly too close to zero for a second request.
    [fc.array(trial, { minLength: 1, maxLength: 12 }), fc.nat({ max: 100 }).map((percent) => percent / 100)],
    ([trials, maxExtraLoad]) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const first = yield* deployment(
          "first",
          trials.map((one) => one.first)
        )
        const second = yield* deployment(
          "second",
          trials.map((one) => one.second)
        )
        const llm = yield* Hedge.make([second.llm], { delay: after, maxExtraLoad })(first.llm)
        for (const [index, { first: own, interruptedAfter, streamed }] of trials.entries()) {
          const fiber = yield* Effect.fork(streamed ? ChatEvent.collect(llm.chatStream("?")) : llm.chat("?"))
          yield* pass(interruptedAfter)
          const wasRunning = Option.isNone(yield* Fiber.poll(fiber))
          const exit = yield* Fiber.interrupt(fiber)
          expect([yield* first.inFlight, yield* second.inFlight]).toEqual([0, 0])
          expect(yield* first.calls).toBe(index + 1)
          expect(yield* second.calls).toBeLessThanOrEqual(Math.floor(maxExtraLoad * (index + 1) + 1e-6))
          if (wasRunning) expect(Exit.isInterrupted(exit)).toBe(true)
          else if (Exit.isSuccess(exit)) {
            expect(["first", "second"]).toContain(exit.value.text)
            expect(exit.value.attempts.filter(({ error }) => error === undefined)).toHaveLength(1)
          } else expect(own.fails).toBe(true)
        }
      }).pipe(Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 40 } }
  )
})

describe("Percentile", () => {
  it.prop(
    "computes the percentile of the last samples",
    [
      fc.array(fc.nat({ max: 30 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 10 }),
      fc.double({ min: 0, max: 1, noNaN: true })
    ],
    ([values, capacity, share]) => {
      const samples = Percentile.make(capacity)
      for (const each of values) samples.add(each)
      const last = values.slice(-capacity)
      const sorted = last.toSorted((a, b) => a - b)
      expect(samples.size()).toBe(last.length)
      expect(sorted.map((_, index) => samples.at((index + 0.5) / sorted.length))).toEqual(sorted)
      const value = samples.at(share)
      expect(value).toBe(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)])
      expect(sorted.filter((sample) => sample <= (value ?? -1)).length).toBeGreaterThanOrEqual(share * sorted.length)
    }
  )
})
