import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as LLM from "../../src/LLM.js"
import * as Retry from "../../src/call/Retry.js"
import { answer, invalid, rateLimited, scripted, unavailable } from "../support/scripted.js"

describe("a call that one member cannot answer", () => {
  it.effect("goes to the next, and the answer has the receipt of both", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* scripted("second")])(yield* scripted(unavailable))
      const response = yield* llm.chat("?")
      expect(response.text).toBe("second")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual(["ProviderUnavailableError", undefined])
    })
  )

  it.effect("fails with the last member's error and every receipt", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* scripted(rateLimited()), yield* scripted(unavailable)])(
        yield* scripted(unavailable)
      )
      const error = yield* Effect.flip(llm.chat("?"))
      expect(error._tag).toBe("ProviderUnavailableError")
      expect(error.attempts).toHaveLength(3)
    })
  )

  it.effect("stays where it is for an error of the request itself", () =>
    Effect.gen(function* () {
      const second = yield* scripted("never asked")
      const llm = yield* Fallback.make([second])(yield* scripted(invalid))
      expect(yield* Effect.flip(llm.chat("?"))).toBe(invalid)
      expect(yield* second.asked).toEqual([])
    })
  )

  it.effect("goes by the classes that are named, or by a predicate", () =>
    Effect.gen(function* () {
      const first = yield* scripted(invalid)
      const byClass = yield* Fallback.make([yield* scripted("second")], { on: ["InvalidRequestError"] })(first)
      expect((yield* byClass.chat("?")).text).toBe("second")
      const never = yield* Fallback.make([yield* scripted("second")], { on: () => false })(yield* scripted(unavailable))
      expect(yield* Effect.flip(never.chat("?"))).toBe(unavailable)
    })
  )

  it.effect("does not sleep for a long Retry-After while another member stands behind", () =>
    Effect.gen(function* () {
      const patient = yield* Retry.make()(yield* scripted(rateLimited(30_000)))
      const llm = yield* Fallback.make([yield* scripted("second")])(patient)
      // No clock is moved: nothing sleeps.
      expect((yield* llm.chat("?")).text).toBe("second")
    })
  )

  it.effect("takes a model's name to the first member alone", () =>
    Effect.gen(function* () {
      const first = yield* scripted(unavailable)
      const second = yield* scripted("second")
      const llm = yield* Fallback.make([second])(first)
      yield* llm.chat({ model: "first-large", messages: [Chat.user("?")] })
      expect(yield* first.asked).toEqual([{ model: "first-large", messages: [Chat.user("?")] }])
      expect(yield* second.asked).toEqual([{ messages: [Chat.user("?")] }])
    })
  )
})

describe("streams", () => {
  it.effect("are handed on before their first event", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* scripted("second")])(yield* scripted(unavailable))
      const response = yield* ChatEvent.collect(llm.chatStream("?"))
      expect(response.text).toBe("second")
      expect(response.attempts).toHaveLength(2)
    })
  )

  it.effect("and never after it", () =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const broken = Stream.concat(
        Stream.fromIterable(ChatEvent.fromResponse(answer("Hello")).slice(0, 2)),
        Stream.fail(unavailable)
      )
      const llm = yield* Fallback.make([second])(yield* scripted({ stream: broken }))
      expect(yield* Effect.flip(Stream.runDrain(llm.chatStream("?")))).toBe(unavailable)
      expect(yield* second.asked).toEqual([])
    })
  )
})

describe("layers", () => {
  it.effect("make one LLM of several", () =>
    Effect.gen(function* () {
      const members = [Layer.effect(LLM.LLM, scripted(unavailable)), Layer.effect(LLM.LLM, scripted("second"))] as const
      const response = yield* Effect.provide(LLM.chat("?"), Fallback.layer(members))
      expect(response.text).toBe("second")
    })
  )
})
