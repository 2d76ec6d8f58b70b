/** Plain requests are checked without the schema: the two checks must agree. */
import { describe, expect, it } from "@effect/vitest"
import { Either, ParseResult } from "effect"
import * as fc from "fast-check"
import { ChatRequest } from "../../src/vocabulary/Chat.js"
import { isPlainRequest } from "../../src/wire/decodedRequest.js"

const validate = ParseResult.validateEither(ChatRequest)

const odd = fc.constantFrom<unknown>(null, "", "text", true, -1, 0, 0.5, 1, 2 ** 53, NaN, Infinity, [], {}, undefined)

const message = fc.record(
  {
    role: fc.constantFrom<unknown>("user", "assistant", "system", "developer", "tool", "other", 1),
    content: fc.oneof({ weight: 8, arbitrary: fc.string() }, odd),
    name: fc.string(),
    toolCallId: fc.string()
  },
  { requiredKeys: ["role"] }
)

const plainMessage = fc.record({
  role: fc.constantFrom("user", "assistant", "system", "developer"),
  content: fc.string()
})

/** Mostly a value of the kind that a field has. */
const mostly = (arbitrary: fc.Arbitrary<unknown>) => fc.oneof({ weight: 15, arbitrary }, odd)

const fields = {
  messages: mostly(
    fc.array(fc.oneof({ weight: 15, arbitrary: plainMessage }, message), { minLength: 1, maxLength: 4 })
  ),
  model: mostly(fc.string({ minLength: 1 })),
  user: mostly(fc.string()),
  temperature: mostly(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true })),
  topP: mostly(fc.double({ min: 0, max: 1, noNaN: true })),
  maxTokens: mostly(fc.integer({ min: 1 })),
  seed: mostly(fc.integer())
}

const request = fc.oneof(
  { weight: 4, arbitrary: fc.record(fields, { requiredKeys: ["messages"] }) },
  fc.record({ ...fields, stop: odd, constructor: odd }, { requiredKeys: ["messages"] })
)

describe("requests of texts and numbers alone", () => {
  it("follow the schema, which leaves them as they are", () => {
    let plain = 0
    fc.assert(
      fc.property(request, (candidate) => {
        if (!isPlainRequest(candidate)) return
        plain++
        expect(validate(candidate)).toEqual(Either.right(candidate))
      }),
      { numRuns: 2000 }
    )
    expect(plain).toBeGreaterThan(100)
  })

  it("are recognised with each field of the usual settings", () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello" },
      { role: "assistant", content: "" }
    ]
    const settings = { model: "m", user: "u", temperature: 0.7, topP: 1, maxTokens: 100, seed: -1 }
    expect(isPlainRequest({ messages, ...settings })).toBe(true)
    expect(isPlainRequest({ messages, ...settings, maxTokens: 1.5 })).toBe(false)
    expect(isPlainRequest({ messages: [] })).toBe(false)
  })
})
