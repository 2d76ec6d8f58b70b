import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as LLM from "../../src/LLM.js"
import * as Retry from "../../src/call/Retry.js"
import { answer, invalid, rateLimited, scripted, unavailable } from "../support/scripted.js"

describe("Fallback failover", () => {
  it.effect("hands a failed call to the next member, and returns both attempts with the answer", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* scripted("second")])(yield* scripted(unavailable))
      const response = yield* llm.chat("?")
      expect(response.text).toBe("second")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual(["ProviderUnavailableError", undefined])
    })
  )

  it.effect("fails with the last member's error and the attempts of all members", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* scripted(rateLimited()), yield* scripted(unavailable)])(
        yield* scripted(unavailable)
      )
      const error = yield* Effect.flip(llm.chat("?"))
      expect(error._tag).toBe("ProviderUnavailableError")
      expect(error.attempts).toHaveLength(3)
    })
  )

  it.effect("returns an InvalidRequestError without calling the next member", () =>
    Effect.gen(function* () {
      const second = yield* scripted("never asked")
      const llm = yield* Fallback.make([second])(yield* scripted(invalid))
      expect(yield* Effect.flip(llm.chat("?"))).toBe(invalid)
      expect(yield* second.asked).toEqual([])
    })
  )

  it.effect("hands on the errors that `on` lists or that its predicate accepts", () =>
    Effect.gen(function* () {
      const first = yield* scripted(invalid)
      const byClass = yield* Fallback.make([yield* scripted("second")], { on: ["InvalidRequestError"] })(first)
      expect((yield* byClass.chat("?")).text).toBe("second")
      const never = yield* Fallback.make([yield* scripted("second")], { on: () => false })(yield* scripted(unavailable))
      expect(yield* Effect.flip(never.chat("?"))).toBe(unavailable)
    })
  )

  it.effect("does not wait for a long Retry-After while another member can take the call", () =>
    Effect.gen(function* () {
      const patient = yield* Retry.middleware()(yield* scripted(rateLimited(30_000)))
      const llm = yield* Fallback.make([yield* scripted("second")])(patient)
      // The test clock is not advanced: a sleep would never end.
      expect((yield* llm.chat("?")).text).toBe("second")
    })
  )

  it.effect("sends the model named in a request to the first member only", () =>
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

describe("Fallback streams", () => {
  it.effect("hands a stream to the next member when it fails before its first event", () =>
    Effect.gen(function* () {
      const llm = yield* Fallback.make([yield* scripted("second")])(yield* scripted(unavailable))
      const response = yield* ChatEvent.collect(llm.chatStream("?"))
      expect(response.text).toBe("second")
      expect(response.attempts).toHaveLength(2)
    })
  )

  it.effect("does not hand a stream on after its first event", () =>
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

describe("Fallback.layer", () => {
  it.effect("layer provides one LLM over several layers", () =>
    Effect.gen(function* () {
      const members = [Layer.effect(LLM.LLM, scripted(unavailable)), Layer.effect(LLM.LLM, scripted("second"))] as const
      const response = yield* Effect.provide(LLM.chat("?"), Fallback.layer(members))
      expect(response.text).toBe("second")
    })
  )
})
