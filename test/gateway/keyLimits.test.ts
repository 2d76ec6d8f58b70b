/** The middleware with the limits of a client key. */
import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Fiber } from "effect"
import type { Stream } from "effect"
import * as KeyLimits from "../../src/gateway/auth/keyLimits.js"
import type { RateLimit } from "../../src/gateway/VirtualKey.js"
import * as Finalizers from "../../src/call/finalizers.js"
import { fromStream } from "../../src/call/openStream.js"
import type { Service } from "../../src/call/model.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { configured, direct } from "../support/inMemoryCalls.js"
import { settledStepsOf } from "../support/steps.js"
import { eventually } from "../support/eventually.js"

const limitedBy = (llm: Service, rateLimit: RateLimit) =>
  Effect.gen(function* () {
    const key = { id: "a", hash: "h", createdAt: yield* DateTime.now, rateLimit }
    const { around } = yield* KeyLimits.make(key, () => Effect.void)
    return yield* around(llm)
  })

const opening = (stream: Stream.Stream<ChatEvent, LLMError>) => Finalizers.scoped(fromStream(stream))

const request = { messages: [Chat.user("Hello")] }

describe("the limits of a client key", () => {
  it.live("add at most 9 fiber steps to a chat, and 21 to a stream", () =>
    Effect.gen(function* () {
      const llm = yield* configured(direct)
      const limited = yield* limitedBy(llm, {
        requestsPerMinute: 1_000_000,
        requestsPerDay: 1_000_000,
        tokensPerMinute: 1_000_000_000,
        maxConcurrency: 100
      })
      const chat = yield* settledStepsOf(limited.chat(request))
      expect(chat - (yield* settledStepsOf(llm.chat(request)))).toBeLessThanOrEqual(9)
      const stream = yield* settledStepsOf(opening(limited.chatStream(request)))
      expect(stream - (yield* settledStepsOf(opening(llm.chatStream(request))))).toBeLessThanOrEqual(21)
    })
  )

  it.live("free the place of a call that is answered, fails or is interrupted, whole or streamed", () =>
    Effect.gen(function* () {
      const llm = yield* configured(direct)
      let isWaiting = false
      const wait = Effect.suspend(() => {
        isWaiting = true
        return Effect.never
      })
      const waiting: Service = { ...llm, chat: () => wait }
      const failing: Service = { ...llm, chat: () => Effect.dieMessage("a defect") }
      let inner = llm
      const switching: Service = { ...llm, chat: (input) => Effect.suspend(() => inner.chat(input)) }
      const limited = yield* limitedBy(switching, { maxConcurrency: 1 })
      yield* limited.chat(request)
      yield* opening(limited.chatStream(request))
      inner = failing
      yield* Effect.exit(limited.chat(request))
      inner = waiting
      const fiber = yield* Effect.fork(limited.chat(request))
      yield* eventually(Effect.sync(() => isWaiting))
      expect(yield* Effect.flip(opening(limited.chatStream(request)))).toMatchObject({ _tag: "RateLimitError" })
      yield* Fiber.interrupt(fiber)
      inner = llm
      yield* limited.chat(request)
    })
  )
})
