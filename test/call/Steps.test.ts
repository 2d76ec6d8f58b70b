/**
 * Upper bounds of the costs of calls in fiber steps. The numbers are exact within one version of Effect: a change that makes a call
 * cheaper lowers them, and one that makes it dearer must say why.
 */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, FiberRef, HashSet, Stream } from "effect"
import type { Service } from "../../src/LLM.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import { RequestId, watchedContext } from "../../src/telemetry/callRecord.js"
import * as LogLine from "../../src/telemetry/logLine.js"
import type { Provider } from "../support/inMemoryCalls.js"
import {
  bareRequest,
  configured,
  direct,
  features,
  plain,
  portable,
  readyStream,
  request
} from "../support/inMemoryCalls.js"
import { settledStepsOf, stepsOf } from "../support/steps.js"

const consume = <A, E>(stream: Stream.Stream<A, E>): Effect.Effect<void, E> =>
  Stream.runForEachChunk(stream, () => Effect.void)

/** The steps of one more chunk: those of a hundred more, divided. */
const stepsPerChunk = <E>(streamOf: (chunks: number) => Effect.Effect<Stream.Stream<unknown, E>>) =>
  Effect.gen(function* () {
    const short = yield* settledStepsOf(consume(yield* streamOf(10)))
    const long = yield* settledStepsOf(consume(yield* streamOf(110)))
    return Math.round((long - short) / 100)
  })

const chunksOf = (provider: Provider) =>
  stepsPerChunk((deltas) => Effect.map(configured(provider, { deltas }), (llm) => llm.chatStream("?")))

describe("fiber steps", () => {
  it.live("are counted once for each operation of an effect", () =>
    Effect.gen(function* () {
      expect(yield* stepsOf(Effect.void)).toBe(1)
      expect(yield* stepsOf(Effect.flatMap(Effect.void, () => Effect.void))).toBe(3)
      expect(yield* stepsOf(Effect.async<void>((resume) => resume(Effect.void)))).toBe(3)
    })
  )

  it.live("of a chat with a key pool, a limiter, metrics and time limits are at most 5 over a direct transport", () =>
    Effect.gen(function* () {
      const llm = yield* configured(direct)
      expect(yield* settledStepsOf(llm.chat("?"))).toBeLessThanOrEqual(5)
    })
  )

  it.live("of the same chat over an HttpClient are at most 17 more than those of its request alone", () =>
    Effect.gen(function* () {
      const llm = yield* configured(portable)
      const added = (yield* settledStepsOf(llm.chat("?"))) - (yield* settledStepsOf(bareRequest(portable)))
      expect(added).toBeLessThanOrEqual(17)
    })
  )

  it.live(
    "of a streamed chunk are at most 3 more over a direct transport, and 32 over an HttpClient, than those of a ready chunk",
    () =>
      Effect.gen(function* () {
        const ready = yield* stepsPerChunk((count) => Effect.succeed(readyStream(count)))
        expect((yield* chunksOf(direct)) - ready).toBeLessThanOrEqual(3)
        expect((yield* chunksOf(portable)) - ready).toBeLessThanOrEqual(32)
      })
  )

  it.live("of a chat without optional features, whose client answers at once, are at most 19", () =>
    Effect.gen(function* () {
      expect(yield* settledStepsOf((yield* plain).chat(request))).toBeLessThanOrEqual(19)
    })
  )

  it.live("of a chat that is in a cache in memory are at most 2", () =>
    Effect.gen(function* () {
      const llm = yield* features["cache hit"]
      expect(yield* settledStepsOf(llm.chat(request))).toBeLessThanOrEqual(2)
    })
  )

  const policies = {
    balance: (llm: Service) => Balance.make([{ llm }, { llm, id: "other" }]),
    fallback: (llm: Service) => Fallback.make([llm])(llm),
    hedge: (llm: Service) => Hedge.make([llm])(llm),
    "fallback of hedges of balances": (llm: Service) =>
      Effect.flatMap(Balance.make([{ llm }, { llm, id: "other" }]), (balance) =>
        Effect.flatMap(Hedge.make([llm])(balance), (hedge) => Fallback.make([hedge])(hedge))
      )
  }

  it.live.each(Object.entries(policies))(
    "of a chat through a %s are not more than without it over a direct transport, and two more over an HttpClient, whose fiber gets a context",
    ([, make]) =>
      Effect.gen(function* () {
        for (const [provider, more] of [
          [direct, 0],
          [portable, 2]
        ] as const) {
          const llm = yield* configured(provider)
          const policy = yield* make(llm)
          const added = (yield* settledStepsOf(policy.chat("?"))) - (yield* settledStepsOf(llm.chat("?")))
          expect(added).toBeLessThanOrEqual(more)
        }
      })
  )

  it.live("that the access log adds to a chat in a request of a server are none", () =>
    Effect.gen(function* () {
      const llm = yield* configured(direct)
      const logged = yield* AccessLog.middleware()(llm)
      const lines: Array<unknown> = []
      const stepsOfRequest = ({ chat }: Service) =>
        settledStepsOf(
          Effect.suspend(() => Effect.provide(chat("?"), Context.add(watchedContext(), RequestId, "one"))).pipe(
            Effect.annotateLogs("request_id", "one"),
            Effect.locally(FiberRef.currentLoggers, HashSet.make(LogLine.structuredLogger((line) => lines.push(line))))
          )
        )
      const without = yield* stepsOfRequest(llm)
      expect(lines).toEqual([])
      expect((yield* stepsOfRequest(logged)) - without).toBe(0)
      expect(lines).not.toEqual([])
    })
  )

  const bounds = [
    { feature: "retry", chat: 0, stream: 0 },
    { feature: "time limits", chat: 0, stream: 0 },
    { feature: "telemetry", chat: 0, stream: 0 },
    { feature: "price", chat: 0, stream: 6 },
    { feature: "ledger", chat: 2, stream: 11 },
    { feature: "budget", chat: 11, stream: 47 },
    { feature: "two budgets", chat: 11, stream: 47 },
    { feature: "hedge", chat: 0, stream: 88 },
    { feature: "balance over 100", chat: 2, stream: 100 },
    { feature: "fallback of 3", chat: 2, stream: 74 }
  ] as const

  const costs = (llm: Service) =>
    Effect.all({
      chat: settledStepsOf(llm.chat(request)),
      stream: settledStepsOf(consume(llm.chatStream(request)))
    })

  for (const { chat, feature, stream } of bounds) {
    it.live(`that ${feature} adds to a call are at most ${chat} for a chat and ${stream} for a stream`, () =>
      Effect.gen(function* () {
        const without = yield* costs(yield* plain)
        const withFeature = yield* costs(yield* features[feature])
        expect(withFeature.chat - without.chat).toBeLessThanOrEqual(chat)
        expect(withFeature.stream - without.stream).toBeLessThanOrEqual(stream)
      })
    )
  }
})
