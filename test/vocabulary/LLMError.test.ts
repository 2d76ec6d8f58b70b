import { describe, expect, it } from "@effect/vitest"
import { Cause, Data, Effect, Exit, Schema } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"

/** An error of a user's program with the same `_tag` as an error of the library. */
class PermissionError extends Data.TaggedError("PermissionError")<{ readonly message: string }> {}

const libraryError = new LLMError.PermissionError({
  provider: "acme",
  model: "m",
  message: "The key may not use this model.",
  attempts: []
})

describe("LLMError.isLLMError", () => {
  it("isLLMError rejects a user's error that has the tag of a library error", () => {
    expect(LLMError.isLLMError(new PermissionError({ message: "This user may not read the file." }))).toBe(false)
    expect(LLMError.isLLMError(Object.assign(new Error("x"), { _tag: "RateLimitError" }))).toBe(false)
    expect(LLMError.isLLMError({ _tag: "RateLimitError" })).toBe(false)
    expect(LLMError.isLLMError(null)).toBe(false)
  })

  it("isLLMError accepts every error class of the library, amended and decoded errors too", () => {
    for (const member of LLMError.LLMError.members) expect(LLMError.TypeId in member.prototype).toBe(true)
    const decoded = Schema.decodeUnknownSync(LLMError.LLMError)(Schema.encodeSync(LLMError.LLMError)(libraryError))
    for (const error of [libraryError, decoded, LLMError.update(libraryError, { provider: "other" })]) {
      expect(LLMError.isLLMError(error)).toBe(true)
      expect(error).toBeInstanceOf(LLMError.PermissionError)
    }
  })

  it("takes the type id from the global symbol registry, so that two copies of the library share it", () => {
    expect(LLMError.TypeId).toBe(Symbol.for("effect-llm/LLMError"))
  })

  it("keeps the type id of an LLMError out of its own fields and its JSON", () => {
    expect(Object.getOwnPropertySymbols({ ...libraryError })).not.toContain(LLMError.TypeId)
    expect(JSON.stringify(libraryError)).not.toContain("effect-llm/LLMError")
  })
})

describe("KeyPool.withKey", () => {
  const statesAfter = (error: LLMError.LLMError | PermissionError) =>
    Effect.gen(function* () {
      const pool = yield* KeyPool.make({ provider: "acme", keys: ["sk-one", "sk-two"] })
      const exit = yield* Effect.exit(pool.withKey(() => Effect.fail(error)))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBe(error)
      const { keys } = yield* pool.status
      return keys.map((key) => key.state._tag).toSorted()
    })

  it.effect("leaves a key in use when the work fails with the user's own PermissionError", () =>
    Effect.gen(function* () {
      expect(yield* statesAfter(new PermissionError({ message: "This user may not read the file." }))).toEqual([
        "Ready",
        "Ready"
      ])
      expect(yield* statesAfter(libraryError)).toEqual(["Disabled", "Ready"])
    })
  )
})
