import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Ref, TestClock } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import type { ChatResponse } from "../../src/vocabulary/Chat.js"
import { narrow } from "../../src/call/limits.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { answer, context, scripted, unavailable } from "../support/scripted.js"
import { eventually } from "../support/eventually.js"
import { settled } from "../support/settled.js"

/** A cache around an `LLM` whose calls end only with `end`, the number of calls that have started, and a wait for a number of them. */
const controlledCalls = Effect.gen(function* () {
  const started = yield* Ref.make(0)
  const ends: Array<Deferred.Deferred<ChatResponse, LLMError>> = []
  const next = yield* scripted(
    Effect.gen(function* () {
      const end = yield* Deferred.make<ChatResponse, LLMError>()
      ends.push(end)
      yield* Ref.update(started, (count) => count + 1)
      return yield* Deferred.await(end)
    })
  )
  const cache = yield* Effect.provide(ResponseCache.make(), CacheStore.layerMemory())
  const llm = yield* cache.middleware(next)
  const end = (index: number, exit: Effect.Effect<ChatResponse, LLMError>) =>
    Effect.suspend(() => {
      const call = ends[index]
      return call === undefined ? Effect.dieMessage(`no call ${index}`) : Deferred.complete(call, exit)
    })
  const hasStarted = (calls: number) => eventually(Effect.map(Ref.get(started), (count) => count >= calls))
  return { llm, cache, end, started: Ref.get(started), hasStarted }
})

describe("equal requests in flight", () => {
  it.effect("sends 20 equal concurrent requests as one call and counts its usage once", () =>
    Effect.gen(function* () {
      const { started, hasStarted, cache, end, llm } = yield* controlledCalls
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.fork(llm.chat("?")))
      yield* hasStarted(1)
      yield* settled
      expect(yield* started).toBe(1)
      yield* end(0, Effect.succeed(answer("once")))
      const answers = yield* Effect.forEach(fibers, Fiber.join)
      expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(["once"]))
      expect(Usage.combineAll(answers.map(({ usage }) => usage))).toEqual(answer("once").usage)
      expect(answers.flatMap(({ attempts }) => attempts)).toHaveLength(1)
      expect(answers.filter(({ cached }) => cached?.source === "flight")).toHaveLength(19)
      expect(yield* cache.stats).toMatchObject({ hits: 0, shared: 19, misses: 1, hitRate: 0.95 })
    })
  )

  it.effect("a waiting request calls the provider when the first of the equal requests is interrupted", () =>
    Effect.gen(function* () {
      const { started, hasStarted, end, llm } = yield* controlledCalls
      const first = yield* Effect.fork(llm.chat("?"))
      yield* hasStarted(1)
      const others = yield* Effect.forEach(Array.from({ length: 5 }), () => Effect.fork(llm.chat("?")))
      yield* settled
      yield* Fiber.interrupt(first)
      yield* hasStarted(2)
      yield* end(1, Effect.succeed(answer("yes")))
      const answers = yield* Effect.forEach(others, Fiber.join)
      expect(answers.map(({ text }) => text)).toEqual(["yes", "yes", "yes", "yes", "yes"])
      expect(answers.filter(({ cached }) => cached === undefined)).toHaveLength(1)
      expect((yield* llm.chat("?")).cached?.source).toBe("store")
      expect(yield* started).toBe(2)
    })
  )

  it.effect("the other equal requests still get the answer when one waiting request is interrupted", () =>
    Effect.gen(function* () {
      const { started, hasStarted, end, llm } = yield* controlledCalls
      const [first, second, third] = yield* Effect.all([
        Effect.fork(llm.chat("?")),
        Effect.fork(llm.chat("?")),
        Effect.fork(llm.chat("?"))
      ])
      yield* hasStarted(1)
      yield* settled
      yield* Fiber.interrupt(second)
      yield* end(0, Effect.succeed(answer("yes")))
      expect((yield* Fiber.join(first)).text).toBe("yes")
      expect((yield* Fiber.join(third)).text).toBe("yes")
      expect(yield* started).toBe(1)
    })
  )

  it.effect("shares a failure between equal requests and reports its attempts on one of the errors only", () =>
    Effect.gen(function* () {
      const { started, hasStarted, end, llm } = yield* controlledCalls
      const fibers = yield* Effect.forEach(Array.from({ length: 3 }), () => Effect.fork(Effect.flip(llm.chat("?"))))
      yield* hasStarted(1)
      yield* settled
      yield* end(0, Effect.fail(unavailable))
      const errors = yield* Effect.forEach(fibers, Fiber.join)
      expect(errors.map(({ _tag }) => _tag)).toEqual(Array.from({ length: 3 }, () => "ProviderUnavailableError"))
      expect(errors.flatMap(({ attempts }) => attempts)).toHaveLength(1)
      expect(yield* started).toBe(1)
      const again = yield* Effect.fork(llm.chat("?"))
      yield* hasStarted(2)
      expect(yield* started).toBe(2)
      yield* Fiber.interrupt(again)
    })
  )

  it.effect("shares a defect between equal requests", () =>
    Effect.gen(function* () {
      const { end, hasStarted, llm } = yield* controlledCalls
      const fibers = yield* Effect.forEach([1, 2], () =>
        Effect.fork(Effect.catchAllDefect(llm.chat("?"), Effect.succeed))
      )
      yield* hasStarted(1)
      yield* settled
      yield* end(0, Effect.die("broken"))
      expect(yield* Effect.forEach(fibers, Fiber.join)).toEqual(["broken", "broken"])
    })
  )

  it.effect("a request with a later deadline retries when the shared call fails with a TimeoutError", () =>
    Effect.gen(function* () {
      const { started, hasStarted, end, llm } = yield* controlledCalls
      const late = new LLMErrors.TimeoutError({ ...context, phase: "total", message: "late" })
      const first = yield* Effect.fork(Effect.flip(narrow(llm.chat("?"), { deadline: 10 })))
      yield* hasStarted(1)
      const sameDeadline = yield* Effect.fork(Effect.flip(narrow(llm.chat("?"), { deadline: 10 })))
      const laterDeadline = yield* Effect.fork(llm.chat("?"))
      yield* settled
      yield* end(0, Effect.fail(late))
      yield* hasStarted(2)
      expect((yield* Fiber.join(first))._tag).toBe("TimeoutError")
      expect((yield* Fiber.join(sameDeadline))._tag).toBe("TimeoutError")
      expect(yield* started).toBe(2)
      yield* end(1, Effect.succeed(answer("yes")))
      expect((yield* Fiber.join(laterDeadline)).text).toBe("yes")
    })
  )

  it.effect("sends two different concurrent requests as two calls", () =>
    Effect.gen(function* () {
      const { started, hasStarted, end, llm } = yield* controlledCalls
      const one = yield* Effect.fork(llm.chat("one"))
      yield* hasStarted(1)
      const two = yield* Effect.fork(llm.chat("two"))
      yield* hasStarted(2)
      expect(yield* started).toBe(2)
      yield* end(0, Effect.succeed(answer("1")))
      yield* end(1, Effect.succeed(answer("2")))
      expect([(yield* Fiber.join(one)).text, (yield* Fiber.join(two)).text]).toEqual(["1", "2"])
    })
  )

  it.effect("answers every surviving request with one call at a time when some of them are interrupted", () =>
    Effect.gen(function* () {
      const calls = yield* Ref.make({ now: 0, most: 0, started: 0 })
      const next = yield* scripted(
        Effect.acquireUseRelease(
          Ref.update(calls, ({ started, most, now }) => ({
            now: now + 1,
            most: Math.max(most, now + 1),
            started: started + 1
          })),
          () => Effect.as(Effect.sleep("100 millis"), answer("yes")),
          () => Ref.update(calls, (state) => ({ ...state, now: state.now - 1 }))
        )
      )
      const cache = yield* Effect.provide(ResponseCache.make({ ttl: "150 millis" }), CacheStore.layerMemory())
      const llm = yield* cache.middleware(next)
      let answered = 0
      for (let round = 0; round < 40; round++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.fork(llm.chat("?")))
        yield* settled
        yield* TestClock.adjust(`${(round * 37) % 130} millis`)
        const interrupted = fibers.filter((_, index) => (index * 7 + round) % 3 === 0)
        yield* Fiber.interruptAll(interrupted)
        yield* settled
        yield* TestClock.adjust("100 millis")
        yield* settled
        for (const fiber of fibers) {
          if (interrupted.includes(fiber)) continue
          expect((yield* Fiber.join(fiber)).text).toBe("yes")
          answered++
        }
      }
      const { started, most, now } = yield* Ref.get(calls)
      expect(now).toBe(0)
      expect(most).toBe(1)
      expect(started).toBeLessThan(answered)
    })
  )
})
