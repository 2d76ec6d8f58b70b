/** The straight way of a call: the same results as the way of effects, with everything given back at whatever step it ends. */
import { describe, expect, it } from "@effect/vitest"
import type { Clock } from "effect"
import { Cause, Chunk, Effect, Either, Exit, Fiber, Layer, Option, Stream } from "effect"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as DirectClient from "../../src/call/directClient.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import { liveClock } from "../../src/internal/clock.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { ChatResponse } from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { answer, rateLimited, unavailable } from "../support/scripted.js"
import { otherClock } from "../support/otherClock.js"
import { interruptedAt, stepsOf } from "../support/steps.js"
import * as Provider from "../support/timedProvider.js"
import { runInVirtualTime } from "../support/virtualTime.js"
import { fromEither } from "../../src/internal/asEffect.js"

/** How a request ends: at once, in a later turn of the event loop, or never. */
type Script = { readonly when: "now" | "later" | "never"; readonly result: Either.Either<ChatResponse, LLMError> }

const ok = (when: Script["when"]): Script => ({ when, result: Either.right(answer("yes")) })

const fails = (when: Script["when"], error: LLMError): Script => ({ when, result: Either.left(error) })

/** A client with a direct form, which counts its open requests. */
const makeClient = (scripts: ReadonlyArray<Script>) => {
  let sent = 0
  let open = 0
  const next = (): Script => scripts[Math.min(sent++, scripts.length - 1)] ?? ok("now")
  const begin = (end: (script: Script) => void): { readonly abort: () => void } => {
    const script = next()
    let isOpen = true
    open++
    const close = (): boolean => {
      if (!isOpen) return false
      isOpen = false
      open--
      return true
    }
    if (script.when === "now") {
      close()
      end(script)
    } else if (script.when === "later") {
      setImmediate(() => {
        if (close()) end(script)
      })
    }
    return { abort: () => void close() }
  }
  const service: ProviderClient.Service = {
    provider: "test",
    wire: "test",
    chat: () => Effect.suspend(() => fromEither(next().result)),
    chatStream: () =>
      Stream.unwrap(
        Effect.suspend(() =>
          Effect.map(fromEither(next().result), (response) => Stream.fromIterable(ChatEvent.fromResponse(response)))
        )
      )
  }
  DirectClient.register(service, {
    chat: (_, __, onResult) => begin(({ result }) => onResult(result)),
    chatStream: (_, __, sink) => ({
      ...begin(({ result }) => {
        if (Either.isLeft(result)) return sink.onError(result.left, nothing)
        sink.onEvents(ChatEvent.fromResponse(result.right), nothing, 0, 0)
        sink.onEnd()
      }),
      pause: () => {},
      resume: () => {}
    })
  })
  return { service, sent: () => sent, open: () => open }
}

const nothing = { collected: ChatEvent.nothing, generatedTokens: () => 0 }

const makePool = (strategy: KeyPool.Strategy = KeyPool.leastLoaded) =>
  KeyPool.make({ provider: "test", keys: ["one", "two"], strategy })

const makeLLM = (service: ProviderClient.Service, options: Partial<LLM.Options> = {}, pool = makePool()) =>
  Effect.flatMap(
    Layer.build(
      Layer.mergeAll(
        Layer.succeed(ProviderClient.ProviderClient, service),
        RateLimiter.layer({ capacity: 1000, refillRate: 1e-9, maxConcurrency: 5 }),
        Layer.effect(KeyPool.KeyPool, pool)
      )
    ),
    (context) => Effect.provide(LLM.make({ model: "model", ...options }), context)
  )

const bug = new Error("a bug")

const defectsOf = <A, E>(exit: Exit.Exit<A, E>): ReadonlyArray<unknown> =>
  Exit.isFailure(exit) ? Chunk.toReadonlyArray(Cause.defects(exit.cause)) : []

/** Nothing is in use, and a permit is spent for each request that was sent. */
const expectSettled = (llm: LLM.Service, sent: number, open: number) =>
  Effect.gen(function* () {
    const { keys, limiter } = yield* llm.status
    expect(keys.keys.map(({ inFlight }) => inFlight)).toEqual([0, 0])
    expect(limiter.concurrency?.inFlight).toBe(0)
    expect(Math.round(limiter.available)).toBe(1000 - sent)
    expect(open).toBe(0)
  })

const calls = {
  "a chat": (llm: LLM.Service) => Effect.asVoid(llm.chat("?")),
  "a stream": (llm: LLM.Service) => Stream.runDrain(llm.chatStream("?")),
  "a stream whose consumer stops": (llm: LLM.Service) => Effect.asVoid(Stream.runHead(llm.chatStream("?")))
}

describe("the straight way of a call", () => {
  it.scopedLive("takes at most 20 fiber steps for a chat that is answered at once", () =>
    Effect.gen(function* () {
      const client = makeClient([ok("now")])
      const llm = yield* makeLLM(client.service)
      yield* llm.chat("?")
      expect(yield* stepsOf(llm.chat("?"))).toBeLessThanOrEqual(20)
      yield* expectSettled(llm, 2, client.open())
    })
  )

  it.scopedLive.each(Object.entries(calls))(
    "gives everything back when %s is interrupted before any of its steps",
    ([, call]) =>
      Effect.gen(function* () {
        for (const when of ["now", "later", "never"] as const) {
          const client = makeClient([ok(when)])
          const llm = yield* makeLLM(client.service)
          // The steps of a whole call bound those at which it can be interrupted.
          for (let step = 1; step <= 120; step++) {
            const before = client.sent()
            const fiber = yield* Effect.fork(interruptedAt(call(llm), step, "100 millis"))
            if (when === "never") {
              yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
              yield* Fiber.interrupt(fiber)
            }
            const exit = Exit.flatMap(
              yield* Fiber.await(fiber),
              Option.getOrElse(() => Exit.void)
            )
            expect(Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)).toBe(true)
            expect(client.sent() - before).toBeLessThanOrEqual(1)
            yield* expectSettled(llm, client.sent(), client.open())
          }
        }
      })
  )

  it.scopedLive.each(Object.entries(calls))("fails over to the next key and retries when %s fails", ([, call]) =>
    Effect.gen(function* () {
      for (const when of ["now", "later"] as const) {
        const client = makeClient([fails(when, rateLimited(60_000)), fails(when, unavailable), ok(when)])
        const llm = yield* makeLLM(client.service, { retry: { backoff: { base: "1 millis", max: "1 millis" } } })
        yield* call(llm)
        yield* expectSettled(llm, 3, client.open())
        const { keys } = yield* llm.status
        expect(keys.keys.filter(({ state }) => state._tag === "Ready")).toHaveLength(1)
      }
    })
  )

  it.scopedLive("reports the attempts of a call that failed before it was answered", () =>
    Effect.gen(function* () {
      const client = makeClient([fails("later", rateLimited(60_000)), ok("later")])
      const llm = yield* makeLLM(client.service)
      const { attempts } = yield* llm.chat("?")
      expect(attempts.map(({ error }) => error)).toEqual(["RateLimitError", undefined])
      const failing = yield* makeLLM(makeClient([fails("later", unavailable)]).service, { retry: false })
      const error = yield* Effect.flip(failing.chat("?"))
      expect(error.attempts).toHaveLength(1)
    })
  )

  it.scopedLive.each(["a chat", "a stream"] as const)(
    "ends %s at its time limit, also where it cannot be interrupted",
    (name) =>
      Effect.gen(function* () {
        const client = makeClient([ok("never")])
        const llm = yield* makeLLM(client.service, {
          retry: false,
          timeouts: { response: "20 millis", firstEvent: "20 millis" }
        })
        const error = yield* Effect.flip(Effect.uninterruptible(calls[name](llm)))
        expect(error).toMatchObject({ _tag: "TimeoutError", phase: name === "a chat" ? "response" : "first-event" })
        expect(error.attempts).toMatchObject([{ error: "TimeoutError" }])
        yield* expectSettled(llm, 1, client.open())
      })
  )

  it.each(["a chat", "a stream"] as const)(
    "names all attempts when a time limit ends %s after a failover to another key",
    (name) =>
      runInVirtualTime(
        Effect.gen(function* () {
          const server = Provider.make((index) => ({ pace: 0, status: index === 0 ? 429 : "silent" }))
          const { llm } = yield* Provider.setup(server, {
            provider: "failing over",
            keys: ["one", "two"],
            llm: { retry: false, timeouts: { response: "1 second", firstEvent: "1 second" } }
          })
          const error = yield* Effect.flip(calls[name](llm))
          expect(error.attempts.map((attempt) => attempt.error)).toEqual(["RateLimitError", "TimeoutError"])
        }).pipe(Effect.scoped)
      )
  )

  it.scopedLive.each(Object.entries(calls))("adds a share of a retry to the budget when %s succeeds", ([, call]) =>
    Effect.gen(function* () {
      const llm = yield* makeLLM(makeClient([ok("later")]).service, { retry: { budget: { floor: 3, share: 0.5 } } })
      yield* call(llm)
      expect((yield* llm.status).retries?.available).toBeCloseTo(3.5, 2)
    })
  )

  it.scopedLive("adds the share of a stream when it opens, also when it fails later", () =>
    Effect.gen(function* () {
      const server = Provider.make(() => ({ pace: 0, pieces: 2, end: "reset" }))
      const { llm } = yield* Provider.setup(server, {
        provider: "opened",
        keys: ["key"],
        llm: { retry: { budget: { floor: 3, share: 0.5 } } }
      })
      expect((yield* Effect.flip(Stream.runDrain(llm.chatStream("?"))))._tag).toBe("StreamInterruptedError")
      expect((yield* llm.status).retries?.available).toBeCloseTo(3.5, 2)
    })
  )

  it("slows an adaptive limiter down before it gives the tokens of a refused call back", async () => {
    const tokensAfter = (clock: Clock.Clock) =>
      runInVirtualTime(
        Effect.gen(function* () {
          const { llm } = yield* Provider.setup(
            Provider.make(() => ({ pace: 0, status: 429 })),
            { provider: "adapting", keys: ["key"], limiter: { adaptive: true }, llm: { retry: false } }
          )
          yield* Effect.flip(llm.chat("?"))
          return (yield* llm.status).limiter.tokens?.available
        }).pipe(Effect.scoped, Effect.withClock(clock))
      )
    expect(await tokensAfter(liveClock)).toBe(await tokensAfter(otherClock))
  })

  it.scopedLive("waits for a permit and a key like the way of effects", () =>
    Effect.gen(function* () {
      const client = makeClient([ok("later")])
      const llm = yield* makeLLM(client.service)
      const answers = yield* Effect.all(
        Array.from({ length: 50 }, () => llm.chat("?")),
        { concurrency: "unbounded" }
      )
      expect(answers).toHaveLength(50)
      yield* expectSettled(llm, 50, client.open())
    })
  )

  it.scopedLive.each(Object.entries(calls))("gives everything back when a usage listener of %s throws", ([, call]) =>
    Effect.gen(function* () {
      const client = makeClient([ok("later")])
      const ledger = yield* UsageLedger.make()
      const llm = yield* makeLLM(client.service)
      const recorded = yield* UsageLedger.middleware()(llm).pipe(
        Effect.provideService(UsageLedger.UsageLedger, {
          ...ledger,
          record: () => {
            throw bug
          }
        })
      )
      expect(defectsOf(yield* Effect.exit(call(recorded)))).toEqual([bug])
      yield* expectSettled(llm, 1, client.open())
    })
  )

  it.scopedLive.each(Object.entries(calls))(
    "ends %s with a defect and gives its permit back when the strategy of the pool throws, and the next call succeeds",
    ([, call]) =>
      Effect.gen(function* () {
        let isBroken = true
        const client = makeClient([ok("later")])
        const pool = makePool((left, right) => {
          if (isBroken) throw bug
          return KeyPool.leastLoaded(left, right)
        })
        const llm = yield* makeLLM(client.service, {}, pool)
        expect(defectsOf(yield* Effect.exit(call(llm)))).toEqual([bug])
        yield* expectSettled(llm, 0, client.open())
        isBroken = false
        yield* call(llm)
        yield* expectSettled(llm, 1, client.open())
      })
  )

  it.scopedLive.each(Object.entries(calls))(
    "ends %s with a defect and gives its permit and its key back once when the pool throws as it takes the key back",
    ([, call]) =>
      Effect.gen(function* () {
        for (const script of [ok("now"), ok("later"), fails("later", unavailable)]) {
          const client = makeClient([script])
          let settled = 0
          const pool = Effect.map(makePool(), (pool): KeyPool.Service => ({
            ...pool,
            unsafeTryReserve: (clock, exclude) => {
              const lease = pool.unsafeTryReserve?.(clock, exclude)
              return lease === undefined
                ? undefined
                : {
                    ...lease,
                    unsafeSettle: (clock, verdict) => {
                      settled++
                      lease.unsafeSettle(clock, verdict)
                      throw bug
                    }
                  }
            }
          }))
          const llm = yield* makeLLM(client.service, { retry: false }, pool)
          expect(defectsOf(yield* Effect.exit(call(llm)))).toEqual([bug])
          expect(settled).toBe(1)
          yield* expectSettled(llm, 1, client.open())
        }
      })
  )

  it.scopedLive("reports a defect of the client and gives everything back", () =>
    Effect.gen(function* () {
      const { service } = makeClient([ok("now")])
      const throwing = { ...service }
      const raise = (): never => {
        throw bug
      }
      DirectClient.register(throwing, { chat: raise, chatStream: raise })
      const llm = yield* makeLLM(throwing)
      for (const call of Object.values(calls)) {
        expect(defectsOf(yield* Effect.exit(call(llm)))).toEqual([bug])
      }
      const { keys, limiter } = yield* llm.status
      expect(keys.keys.map(({ inFlight }) => inFlight)).toEqual([0, 0])
      expect(limiter.concurrency?.inFlight).toBe(0)
    })
  )
})
