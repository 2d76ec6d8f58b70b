/**
 * The costs of calls in fiber steps. The numbers are exact within one version of Effect: a change that makes a call cheaper lowers them,
 * and one that makes it dearer must say why.
 */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, FiberRef, HashSet, Stream, Struct } from "effect"
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
import { counted } from "./support/countedSteps.js"

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
      expect({
        value: yield* stepsOf(Effect.void),
        flatMap: yield* stepsOf(Effect.flatMap(Effect.void, () => Effect.void)),
        async: yield* stepsOf(Effect.async<void>((resume) => resume(Effect.void)))
      }).toEqual(counted.operations)
    })
  )

  it.live(
    "of a chat with a key pool, a limiter, metrics and time limits over a direct transport are those counted",
    () =>
      Effect.gen(function* () {
        const llm = yield* configured(direct)
        expect(yield* settledStepsOf(llm.chat("?"))).toBe(counted.directChat)
      })
  )

  it.live("that the same chat over an HttpClient adds to those of its request alone are those counted", () =>
    Effect.gen(function* () {
      const llm = yield* configured(portable)
      const added = (yield* settledStepsOf(llm.chat("?"))) - (yield* settledStepsOf(bareRequest(portable)))
      expect(added).toBe(counted.portableChat)
    })
  )

  it.live("that a streamed chunk adds to those of a ready chunk are those counted, for both transports", () =>
    Effect.gen(function* () {
      const ready = yield* stepsPerChunk((count) => Effect.succeed(readyStream(count)))
      expect({ direct: (yield* chunksOf(direct)) - ready, portable: (yield* chunksOf(portable)) - ready }).toEqual(
        counted.chunk
      )
    })
  )

  it.live("of a chat without optional features, whose client answers at once, are those counted", () =>
    Effect.gen(function* () {
      expect(yield* settledStepsOf((yield* plain).chat(request))).toBe(counted.plainChat)
    })
  )

  it.live("of a chat that is in a cache in memory are those counted", () =>
    Effect.gen(function* () {
      const llm = yield* features["cache hit"]
      expect(yield* settledStepsOf(llm.chat(request))).toBe(counted.cacheHit)
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

  for (const policy of Struct.keys(policies)) {
    it.live(
      `that a ${policy} adds to a chat are none over a direct transport, and those counted over an HttpClient`,
      () =>
        Effect.gen(function* () {
          for (const [provider, more] of [
            [direct, 0],
            [portable, counted.policies[policy]]
          ] as const) {
            const llm = yield* configured(provider)
            const { chat } = yield* policies[policy](llm)
            const added = (yield* settledStepsOf(chat("?"))) - (yield* settledStepsOf(llm.chat("?")))
            expect(added).toBe(more)
          }
        })
    )
  }

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

  const costs = (llm: Service) =>
    Effect.all({
      chat: settledStepsOf(llm.chat(request)),
      stream: settledStepsOf(consume(llm.chatStream(request)))
    })

  for (const feature of Struct.keys(counted.features)) {
    it.live(`that ${feature} adds to a chat and to a stream are those counted`, () =>
      Effect.gen(function* () {
        const without = yield* costs(yield* plain)
        const withFeature = yield* costs(yield* features[feature])
        expect({ chat: withFeature.chat - without.chat, stream: withFeature.stream - without.stream }).toEqual(
          counted.features[feature]
        )
      })
    )
  }
})
