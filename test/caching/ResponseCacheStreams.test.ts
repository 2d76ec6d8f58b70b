import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { answer, scripted, unavailable } from "../support/scripted.js"
import { chatResponse } from "../wire/generators.js"

const cacheWith = (options: ResponseCache.Options) =>
  Effect.provide(ResponseCache.make(options), CacheStore.layerMemory())

describe("streams of a ResponseCache", () => {
  it.effect("does not use the cache for streams by default", () =>
    Effect.gen(function* () {
      const next = yield* scripted("yes")
      const cache = yield* cacheWith({})
      const llm = yield* cache.middleware(next)
      yield* llm.chat("?")
      expect((yield* ChatEvent.collect(llm.chatStream("?"))).cached).toBeUndefined()
      expect((yield* next.asked).length).toBe(2)
    })
  )

  it.effect("replays a stored stream or answer as a stream with one Start and one Finish", () =>
    Effect.gen(function* () {
      const whole = TestLLM.response({
        content: [
          Chat.toolCall("call_1", "search", '{"q": 1}'),
          { type: "reasoning", text: "hm hm", signature: "sealed", provider: "test" },
          { type: "provider", provider: "test", native: { test: { type: "search" } } },
          Chat.text("so it is")
        ],
        usage: Usage.make({ inputTokens: 5, outputTokens: 7 })
      })
      const { calls, llm: next } = yield* TestLLM.make([TestLLM.answer(whole), TestLLM.answer(whole)])
      const cache = yield* cacheWith({ streams: true })
      const llm = yield* cache.middleware(next)
      const live = yield* Stream.runCollect(llm.chatStream("streamed"))
      expect(Chunk.size(live)).toBeGreaterThan(5)
      yield* llm.chat("whole")
      const { attempts: _, keyId: __, latency: ___, ...expected } = whole
      for (const question of ["streamed", "whole"]) {
        const events = Chunk.toReadonlyArray(yield* Stream.runCollect(llm.chatStream(question)))
        expect(events.filter(({ _tag }) => _tag === "Start" || _tag === "Finish")).toHaveLength(2)
        expect([events[0]?._tag, events[events.length - 1]?._tag]).toEqual(["Start", "Finish"])
        const replay = yield* ChatEvent.collect(Stream.fromIterable(events))
        expect(replay).toMatchObject({ ...expected, usage: Usage.empty, attempts: [], keyId: "" })
        expect(replay.cached).toMatchObject({ source: "store", usage: whole.usage })
        expect((yield* llm.chat(question)).cached?.source).toBe("store")
      }
      expect(yield* calls).toHaveLength(2)
    })
  )

  it.effect("does not store a stream that fails, is cut off, or is abandoned by its consumer", () =>
    Effect.gen(function* () {
      const broken = Stream.concat(
        Stream.fromIterable(ChatEvent.fromResponse(answer("half")).slice(0, 2)),
        Stream.fail(unavailable)
      )
      const cut = Stream.fromIterable(ChatEvent.fromResponse({ ...answer("cut"), finishReason: "length" }))
      const whole = Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(answer("whole"))), 1)
      const next = yield* scripted({ stream: broken }, { stream: cut }, { stream: whole }, "kept")
      const cache = yield* cacheWith({ streams: true })
      const llm = yield* cache.middleware(next)
      expect(yield* Effect.flip(Stream.runDrain(llm.chatStream("?")))).toBe(unavailable)
      yield* Stream.runDrain(llm.chatStream("?"))
      expect(Chunk.size(yield* Stream.runCollect(Stream.take(llm.chatStream("?"), 2)))).toBe(2)
      expect(yield* cache.stats).toMatchObject({ misses: 3, entries: 0 })
      yield* Stream.runDrain(llm.chatStream("?"))
      expect(yield* cache.stats).toMatchObject({ misses: 4, entries: 1 })
    })
  )

  it.effect("does not store a stream when the cache is cleared while it runs", () =>
    Effect.gen(function* () {
      const next = yield* scripted({
        stream: Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(answer("whole"))), 1)
      })
      const cache = yield* cacheWith({ streams: true })
      const llm = yield* cache.middleware(next)
      yield* Stream.runForEach(llm.chatStream("?"), (event) =>
        event._tag === "TextDelta" ? Effect.orDie(cache.clear) : Effect.void
      )
      expect(yield* cache.stats).toMatchObject({ entries: 0 })
    })
  )

  it.effect("does not use the cache for a stream whose CurrentCacheControl is bypass", () =>
    Effect.gen(function* () {
      const next = yield* scripted("yes")
      const cache = yield* cacheWith({ streams: true })
      const llm = yield* cache.middleware(next)
      for (let call = 0; call < 2; call++) {
        yield* llm
          .chatStream("?")
          .pipe(Stream.provideService(ResponseCache.CurrentCacheControl, { mode: "bypass" }), Stream.runDrain)
      }
      expect(yield* cache.stats).toMatchObject({ bypassed: 2, entries: 0 })
    })
  )

  it.effect.prop(
    "collects a replay to the same answer as the stream that was stored",
    [chatResponse("test")],
    ([whole]) =>
      Effect.gen(function* () {
        const next = yield* scripted({ stream: Stream.fromIterable(TestLLM.wordByWord(whole)) })
        const cache = yield* cacheWith({ streams: true, accept: () => true })
        const llm = yield* cache.middleware(next)
        const live = yield* ChatEvent.collect(llm.chatStream("?"))
        const { cached, ...replay } = yield* ChatEvent.collect(llm.chatStream("?"))
        expect(replay).toEqual({ ...live, usage: Usage.empty, keyId: "", attempts: [], latency: 0 })
        expect(cached?.usage).toEqual(live.usage)
      }),
    { fastCheck: { numRuns: 60 } }
  )
})
