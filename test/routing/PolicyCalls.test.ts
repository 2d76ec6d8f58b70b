/** Chats through policies over several `LLM`s under the live clock, where plain code sends them, over both transports. */
import { HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Schedule, Scheduler } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import { interruptNow } from "../support/ownInterruption.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import { eventually } from "../support/eventually.js"
import type { Reply, TimedProvider } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"

type Transport = (provider: TimedProvider) => HttpClient.HttpClient

const transports: ReadonlyArray<readonly [string, Transport]> = [
  ["a direct transport", ({ http }) => http],
  // A client of its own has no direct transport.
  ["an HttpClient", ({ http }) => HttpClient.mapRequest(http, (request) => request)]
]

const llmOver = (http: HttpClient.HttpClient, options: Omit<LLM.Options, "model"> = {}): Effect.Effect<LLM.Service> =>
  LLM.make({ model: "asked", retry: false, telemetry: false, ...options }).pipe(
    Effect.provide(ChatCompletionsClient.layer({ provider: "test", baseUrl: "http://provider.test/v1" })),
    Effect.provide(KeyPool.layer({ provider: "test", keys: ["one", "two"] })),
    Effect.provide(RateLimiter.layer({ capacity: 1e6, refillRate: 1, maxConcurrency: 50 })),
    Effect.provideService(HttpClient.HttpClient, http),
    Effect.orDie
  )

/** The keys and permits of an `LLM` in use. */
const inUse = (llm: LLM.Service): Effect.Effect<number> =>
  Effect.map(llm.status, ({ keys, limiter }) =>
    keys.keys.reduce((sum, { inFlight }) => sum + inFlight, limiter.concurrency?.inFlight ?? 0)
  )

interface Made {
  readonly llm: LLM.Service
  /** The calls that the policies count as in flight. */
  readonly inFlight: Effect.Effect<number>
}

const none = Effect.succeed(0)

const balanced = (llm: LLM.Service): Effect.Effect<Made> =>
  Effect.map(Effect.orDie(Balance.make([{ llm }, { llm, id: "other" }], { breaker: false })), (balance) => ({
    llm: balance,
    inFlight: Effect.map(balance.deployments, (all) => all.reduce((sum, { inFlight }) => sum + inFlight, 0))
  }))

const hedged = (options: Hedge.Options) => (llm: LLM.Service) => Hedge.make([llm], { maxExtraLoad: 1, ...options })(llm)

const policies: Readonly<Record<string, (llm: LLM.Service) => Effect.Effect<Made>>> = {
  "a balance": balanced,
  "a fallback": (llm) => Effect.map(Fallback.make([llm])(llm), (made) => ({ llm: made, inFlight: none })),
  "a hedge": (llm) => Effect.map(hedged({})(llm), (made) => ({ llm: made, inFlight: none })),
  "a hedge that sends both requests": (llm) =>
    Effect.map(hedged({ delay: 0, onFailure: true })(llm), (made) => ({ llm: made, inFlight: none })),
  "a fallback of hedges of balances": (llm) =>
    Effect.flatMap(balanced(llm), (balance) =>
      Effect.flatMap(hedged({})(balance.llm), (hedge) =>
        Effect.map(Fallback.make([hedge])(hedge), (made) => ({ llm: made, inFlight: balance.inFlight }))
      )
    )
}

const endedByItself = <A, E>(exit: Exit.Exit<A, E>): boolean => Exit.isSuccess(exit) || !Cause.isInterrupted(exit.cause)

const interruptedAt = <A, E>(call: Effect.Effect<A, E>, step: number) =>
  Effect.suspend(() => {
    let steps = 0
    const scheduler = Scheduler.make(
      (task) => Scheduler.defaultScheduler.scheduleTask(task, 0),
      (fiber) => (++steps === step ? interruptNow(fiber) : false)
    )
    return Effect.flatMap(Effect.fork(Effect.withScheduler(call, scheduler)), (fiber) =>
      Effect.timeoutOption(Fiber.await(fiber), "1 second")
    )
  })

describe.each(transports)("a chat through policies over %s", (_, over) => {
  const replies: ReadonlyArray<Reply> = [
    { pace: "now" },
    { pace: 0 },
    { pace: 0, status: 500 },
    { pace: 0, status: "refused" }
  ]

  it.live.each(Object.entries(policies))(
    "gives everything back when a chat through %s is interrupted before any of its steps",
    ([, make]) =>
      Effect.gen(function* () {
        for (const reply of replies) {
          const provider = Provider.make(() => reply)
          const base = yield* llmOver(over(provider))
          const { inFlight, llm } = yield* make(base)
          for (let step = 1, isOver = false; !isOver; step++) {
            expect(step).toBeLessThan(800)
            const exit = yield* interruptedAt(llm.chat("?"), step)
            expect(Option.isSome(exit)).toBe(true)
            isOver = Option.exists(exit, endedByItself)
            expect([yield* inFlight, yield* inUse(base)], `step ${step} of ${JSON.stringify(reply)}`).toEqual([0, 0])
            yield* eventually(Effect.sync(() => provider.open() === 0))
          }
        }
      }),
    30_000
  )

  const hanging: Reply = { pace: 0, status: "silent" }

  /** A hedge of two `LLM`s with a provider each. */
  const pair = (first: Reply, second: Reply, options: Hedge.Options, retry: LLM.Options["retry"] = false) =>
    Effect.gen(function* () {
      const providers = [Provider.make(() => first), Provider.make(() => second)] as const
      const one = yield* llmOver(over(providers[0]), { retry })
      const two = yield* llmOver(over(providers[1]))
      const llm = yield* Hedge.make([two], { maxExtraLoad: 1, ...options })(one)
      const isIdle = Effect.map(
        Effect.zip(inUse(one), inUse(two)),
        ([used, other]) => used + other + providers[0].open() + providers[1].open() === 0
      )
      return { llm, sent: () => providers.map(({ sent }) => sent()), isIdle }
    })

  it.live("takes the second answer of a hedge when the first request hangs, and ends the first", () =>
    Effect.gen(function* () {
      const { isIdle, llm, sent } = yield* pair(hanging, { pace: 0 }, { delay: 20 })
      const { attempts } = yield* llm.chat("?")
      expect(attempts.map(({ error }) => error)).toEqual(["Interrupted", undefined])
      expect(sent()).toEqual([1, 1])
      yield* eventually(isIdle)
    })
  )

  it.live("ends the first request of a hedge for an uninterruptible caller, too", () =>
    Effect.gen(function* () {
      const { isIdle, llm } = yield* pair(hanging, { pace: 0 }, { delay: 20 })
      const { attempts } = yield* Effect.uninterruptible(llm.chat("?"))
      expect(attempts).toHaveLength(2)
      yield* eventually(isIdle)
    })
  )

  it.live("takes the first answer of a hedge when the second request hangs", () =>
    Effect.gen(function* () {
      const { isIdle, llm, sent } = yield* pair({ pace: 40 }, hanging, { delay: 5 })
      const { attempts } = yield* llm.chat("?")
      expect(attempts.map(({ error }) => error)).toEqual(["Interrupted", undefined])
      expect(sent()).toEqual([1, 1])
      yield* eventually(isIdle)
    })
  )

  it.live("sends one request of a hedge that has no permit for a second, however slow the answer is", () =>
    Effect.gen(function* () {
      const { llm, sent } = yield* pair({ pace: 20 }, { pace: 0 }, { delay: 5, maxExtraLoad: 0 })
      expect((yield* llm.chat("?")).attempts).toHaveLength(1)
      expect(sent()).toEqual([1, 0])
    })
  )

  it.live("fails a hedge with the first error and the attempts of both when both requests fail after the delay", () =>
    Effect.gen(function* () {
      const { llm } = yield* pair({ pace: 30, status: 500 }, { pace: 0, status: 400 }, { delay: 5 })
      const error = yield* Effect.flip(llm.chat("?"))
      expect(error._tag).toBe("ProviderUnavailableError")
      expect(error.attempts.map((attempt) => attempt.error)).toEqual([
        "ProviderUnavailableError",
        "InvalidRequestError"
      ])
    })
  )

  it.live("sends the second request of a hedge while the first LLM waits for its next attempt", () =>
    Effect.gen(function* () {
      const failing: Reply = { pace: 0, status: 500 }
      const { isIdle, llm, sent } = yield* pair(
        failing,
        { pace: 0 },
        { delay: 30 },
        { schedule: Schedule.spaced("20 seconds") }
      )
      const { attempts } = yield* llm.chat("?")
      expect(attempts.map(({ error }) => error)).toEqual(["Interrupted", undefined])
      expect(sent()).toEqual([1, 1])
      yield* eventually(isIdle)
    })
  )

  it.live("ends both requests of a hedge when the caller is interrupted", () =>
    Effect.gen(function* () {
      const { isIdle, llm, sent } = yield* pair(hanging, hanging, { delay: 5 })
      const fiber = yield* Effect.fork(llm.chat("?"))
      yield* eventually(Effect.sync(() => sent().join() === "1,1"))
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      yield* eventually(isIdle)
    })
  )

  it.live("does not wait for a key of a deployment or member while another one can take the call", () =>
    Effect.gen(function* () {
      const provider = Provider.make(() => ({ pace: 0 }))
      const resting = yield* llmOver(over(provider))
      for (const { id } of (yield* resting.status).keys.keys) yield* resting.keys?.rest(id, "1 hour") ?? Effect.void
      const ready = yield* llmOver(over(provider))
      const balance = yield* Balance.make([{ llm: resting }, { llm: ready, id: "ready" }], {
        strategy: Balance.failover,
        failoverAfter: 0
      })
      const fallback = yield* Fallback.make([ready], { failoverAfter: 0 })(resting)
      const nested = yield* Fallback.make([ready], { failoverAfter: 0 })(yield* Hedge.make([])(resting))
      for (const llm of [balance, fallback, nested]) {
        expect((yield* llm.chat("?")).attempts.at(-1)?.error).toBeUndefined()
      }
    })
  )

  it.live("sends one request to each deployment of nested policies when every request fails", () =>
    Effect.gen(function* () {
      const provider = Provider.make(() => ({ pace: 0, status: 500 }))
      const { llm } = yield* (
        policies["a fallback of hedges of balances"]?.(yield* llmOver(over(provider))) ??
          Effect.dieMessage("no such policy")
      )
      expect((yield* Effect.flip(llm.chat("?")))._tag).toBe("BalanceExhaustedError")
      // Two members, each a hedge of a balance of two deployments whose first request fails before the delay.
      expect(provider.sent()).toBe(4)
    })
  )
})
