/** Calls of one conversation prefer the same key. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, HashMap, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { Service as Client } from "../../src/wire/providerClient.js"
import { llmOf } from "../support/countingProvider.js"
import { makeClock } from "../support/interleaving.js"
import { answer } from "../support/scripted.js"

const keys = Array.from({ length: 20 }, (_, index) => ({ key: `sk-${index}`, id: `key-${index}` }))

const texts = ({ messages }: Chat.ChatRequest): ReadonlyArray<string> =>
  messages.map(({ content }) => JSON.stringify(content))

/** A provider that caches the prompts of each key, and counts the messages it has got before that it finds there. */
const cachingProvider = (millis: number) => {
  const cached = new Map<string, Set<string>>()
  const seen = new Set<string>()
  let hits = 0
  let total = 0
  const client: Client = {
    provider: "test",
    wire: "test",
    chat: (request, { key }) =>
      Effect.suspend(() => {
        const ofKey = cached.get(key.id) ?? new Set()
        cached.set(key.id, ofKey)
        const prefixes = texts(request).map((_, index, all) => all.slice(0, index + 1).join("\n"))
        for (const prefix of prefixes) {
          if (seen.has(prefix)) total++
          seen.add(prefix)
          if (ofKey.has(prefix)) hits++
          ofKey.add(prefix)
        }
        return Effect.delay(Effect.succeed(answer("Go on.")), millis)
      }),
    chatStream: () => Stream.empty
  }
  return { client, hitShare: () => hits / total }
}

/** The share of repeated messages that are in the cache of the key which gets them: 60 conversations of 12 turns, some 15 in flight. */
const hitShare = (affinity: boolean) => {
  const { clock, pass } = makeClock()
  return Effect.gen(function* () {
    const { client, hitShare } = cachingProvider(1000)
    const pool = yield* KeyPool.make({ provider: "test", keys, affinity })
    const limiter = yield* RateLimiter.make({ capacity: 1e6, refillRate: 1e6 })
    const llm = yield* llmOf(client, pool, limiter)
    const conversation = (id: number) =>
      Effect.gen(function* () {
        const messages: Array<Chat.Message> = [Chat.system("You are helpful."), Chat.user(`I am ${id}.`)]
        yield* Effect.sleep((id * 677) % 4000)
        for (let turn = 0; turn < 12; turn++) {
          messages.push(Chat.toMessage(yield* llm.chat({ messages })), Chat.user(`${id}: ${turn}`))
          yield* Effect.sleep(2000 + ((id * 311 + turn * 733) % 2000))
        }
      })
    const fibers = yield* Effect.forEach(
      Array.from({ length: 60 }, (_, id) => id),
      (id) => Effect.fork(conversation(id))
    )
    yield* pass(120_000)
    yield* Fiber.joinAll(fibers)
    return hitShare()
  }).pipe(Effect.withClock(clock))
}

const affinities = Array.from({ length: 400 }, (_, index) => `conversation ${index}`)

/** The id of the key that an idle pool picks for each conversation. */
const homes = (pool: KeyPool.Service) =>
  Effect.map(
    Effect.forEach(affinities, (affinity) =>
      pool.withKey((key) => Effect.succeed([affinity, key.id] as const), { affinity })
    ),
    HashMap.fromIterable
  )

describe("a key pool with affinity", () => {
  it.effect(
    "finds more than 80 % of repeated messages in the caches of 20 keys, where without it that are less than 30 %",
    () =>
      Effect.gen(function* () {
        const withAffinity = yield* hitShare(true)
        const without = yield* hitShare(false)
        expect(withAffinity).toBeGreaterThan(0.8)
        expect(without).toBeLessThan(0.3)
      })
  )

  it.effect("moves only the conversations of a key that is disabled, and moves them back when it is enabled", () =>
    Effect.gen(function* () {
      const pool = yield* KeyPool.make({ provider: "test", keys, affinity: true })
      const before = yield* homes(pool)
      expect(new Set(HashMap.values(before)).size).toBe(20)
      yield* pool.disable("key-7")
      const without = yield* homes(pool)
      for (const [affinity, id] of before) {
        const now = HashMap.unsafeGet(without, affinity)
        if (id === "key-7") expect(now).not.toBe(id)
        else expect(now).toBe(id)
      }
      yield* pool.enable("key-7")
      expect(yield* homes(pool)).toEqual(before)
    })
  )

  it.effect("picks the same keys in another process, whatever the order of the keys", () =>
    Effect.gen(function* () {
      const one = yield* KeyPool.make({ provider: "test", keys, affinity: true })
      const other = yield* KeyPool.make({ provider: "test", keys: keys.toReversed(), affinity: true })
      expect(yield* homes(one)).toEqual(yield* homes(other))
    })
  )

  it.effect("spreads conversations in proportion to the weights, and picks another key for one that is excluded", () =>
    Effect.gen(function* () {
      const pool = yield* KeyPool.make({
        provider: "test",
        keys: [
          { key: "one", id: "one" },
          { key: "three", id: "three", weight: 3 }
        ],
        affinity: true
      })
      const picked = Array.from(HashMap.values(yield* homes(pool)))
      const share = picked.filter((id) => id === "three").length / picked.length
      expect(share).toBeGreaterThan(0.65)
      expect(share).toBeLessThan(0.85)
      const affinity = affinities.find((_, index) => picked[index] === "three") ?? ""
      const exclude = new Set(["three"])
      expect(yield* pool.withKey(({ id }) => Effect.succeed(id), { affinity, exclude })).toBe("one")
    })
  )

  it.effect(
    "passes a key that is failing, at its cap or in a cooldown, and takes the strategy without an affinity",
    () =>
      Effect.gen(function* () {
        const pool = yield* KeyPool.make({
          provider: "test",
          keys: keys.slice(0, 3).map((key) => ({ ...key, maxConcurrency: 1 })),
          strategy: KeyPool.failover,
          affinity: true
        })
        const pick = pool.withKey(({ id }) => Effect.succeed(id), { affinity: "conversation" })
        const home = yield* pick
        expect(yield* pool.withKey(() => pick, { affinity: "conversation" })).not.toBe(home)
        yield* pool.rest(home, "1 minute")
        const next = yield* pick
        expect(next).not.toBe(home)
        const failing = yield* pool.reserve({ affinity: "conversation" })
        yield* failing.settle(KeyPool.Verdict.Failed())
        expect([home, next]).not.toContain(yield* pick)
        yield* pool.enable(home)
        yield* pool.enable(next)
        expect(yield* pool.withKey(({ id }) => Effect.succeed(id))).toBe("key-0")
      })
  )

  it.effect.prop(
    "gives no key more than its bounded share of the calls in flight and one more",
    {
      weights: FastCheck.array(FastCheck.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
      calls: FastCheck.array(FastCheck.constantFrom("a", "b", "c", "d"), { maxLength: 60 }),
      bound: FastCheck.double({ min: 1, max: 3, noNaN: true })
    },
    ({ bound, calls, weights }) =>
      Effect.gen(function* () {
        const pool = yield* KeyPool.make({
          provider: "test",
          keys: weights.map((weight, index) => ({ key: `sk-${index}`, id: `${index}`, weight })),
          affinity: { bound }
        })
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const inFlight = weights.map(() => 0)
        for (const [index, affinity] of calls.entries()) {
          const { key } = yield* pool.reserve({ affinity })
          const position = Number(key.id)
          const now = (inFlight[position] ?? 0) + 1
          inFlight[position] = now
          expect(now).toBeLessThanOrEqual(Math.ceil((bound * (index + 1) * key.weight) / total) + 1)
        }
      })
  )

  it.effect("rejects a bound below 1", () =>
    Effect.gen(function* () {
      const { faults } = yield* Effect.flip(KeyPool.make({ provider: "test", keys, affinity: { bound: 0.5 } }))
      expect(faults).toEqual([expect.stringMatching(/^affinity\.bound: /)])
    })
  )
})
