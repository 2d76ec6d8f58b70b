import { describe, expect, it } from "@effect/vitest"
import { Effect, Ref, Stream } from "effect"
import type { Overrides, Service } from "../../src/call/model.js"
import { wrap } from "../../src/call/wrap.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { scripted, unavailable } from "../support/scripted.js"

/** A service with every member, the optional ones too. */
const complete = Effect.gen(function* () {
  const { asked: _, ...llm } = yield* scripted("one")
  const service: Required<Service> = { ...llm, keys: yield* KeyPool.make({ provider: "test", keys: ["secret"] }) }
  return service
})

const members = ["chat", "chatStream", "embed", "listModels", "info", "status", "resetRateLimit", "keys"] as const

describe("LLM.wrap", () => {
  it.effect("forwards every member of the wrapped service when nothing is overridden", () =>
    Effect.gen(function* () {
      const next = yield* complete
      expect(Object.keys(next).sort()).toEqual([...members].sort())
      const llm = wrap(next, {})
      expect(Object.keys(llm).sort()).toEqual([...members].sort())
      for (const member of members) expect(llm[member]).toBe(next[member])
    })
  )

  it.effect("forwards the members of a service that keeps them in its prototype", () =>
    Effect.gen(function* () {
      const next = yield* complete
      const inherited: Service = Object.create(next)
      const llm = wrap(inherited, { chat: next.chat })
      for (const member of members) expect(llm[member]).toBe(next[member])
    })
  )

  it.effect.each([...members])("replaces %s alone when it is overridden", (member) =>
    Effect.gen(function* () {
      const [next, other] = [yield* complete, yield* complete]
      const overrides: Overrides = { [member]: other[member] }
      const llm = wrap(next, overrides)
      for (const each of members) expect(llm[each]).toBe(each === member ? other[each] : next[each])
    })
  )

  it.effect("reads info and keys at each access, since a reloaded model changes them", () =>
    Effect.gen(function* () {
      let current = yield* complete
      const llm = wrap(
        {
          ...current,
          get info() {
            return current.info
          },
          get keys() {
            return current.keys
          }
        },
        {}
      )
      const before = llm.keys
      current = { ...(yield* complete), info: { ...current.info, model: "reloaded" } }
      expect(llm.info.model).toBe("reloaded")
      expect(llm.keys).toBe(current.keys)
      expect(llm.keys).not.toBe(before)
    })
  )

  it.effect("puts around every call that has no override, and around no other member", () =>
    Effect.gen(function* () {
      const around = yield* Ref.make(0)
      const llm = wrap(yield* complete, {
        around: (call) =>
          Effect.zipRight(
            Ref.update(around, (count) => count + 1),
            call
          ),
        embed: () => Effect.fail(unavailable)
      })
      yield* llm.chat("?")
      expect(yield* Ref.get(around)).toBe(1)
      yield* Stream.runDrain(llm.chatStream("?"))
      expect(yield* Ref.get(around)).toBe(2)
      yield* llm.listModels
      expect(yield* Ref.get(around)).toBe(3)
      expect(yield* Effect.flip(llm.embed({ input: ["?"] }))).toBe(unavailable)
      yield* Effect.zipRight(llm.status, llm.resetRateLimit)
      expect(yield* Ref.get(around)).toBe(3)
    })
  )

  it.effect("passes the failure of a call and of the opening of a stream through around", () =>
    Effect.gen(function* () {
      const failures = yield* Ref.make<ReadonlyArray<LLMError>>([])
      const next = yield* scripted(unavailable)
      const llm = wrap(next, {
        around: Effect.tapError((error) => Ref.update(failures, (before) => [...before, error]))
      })
      expect(yield* Effect.flip(llm.chat("?"))).toBe(unavailable)
      expect(yield* Effect.flip(Stream.runDrain(llm.chatStream("?")))).toBe(unavailable)
      expect(yield* Ref.get(failures)).toEqual([unavailable, unavailable])
    })
  )
})
