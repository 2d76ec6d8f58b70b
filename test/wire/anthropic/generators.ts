/** Arbitrary values that Anthropic's protocol can express. */
import { FastCheck } from "effect"
import type { ReasoningPart, ToolCall } from "../../../src/vocabulary/Chat.js"
import { character } from "../../support/character.js"

const is = FastCheck.constant

/** Texts with a character that is not whitespace: the wire drops other texts. */
export const nonBlankText = FastCheck.string({ minLength: 1, maxLength: 12, unit: character }).filter(
  (text) => text.trim() !== ""
)

export const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)

const id = FastCheck.stringMatching(/^toolu_[0-9A-Za-z]{1,6}$/)

/** A reasoning part: with text, with text and a signature, with a signature alone, or redacted. */
export const reasoningPart = (provider: string | undefined): FastCheck.Arbitrary<ReasoningPart> => {
  const common = { type: is("reasoning" as const), ...(provider === undefined ? {} : { provider: is(provider) }) }
  return FastCheck.oneof<FastCheck.MaybeWeightedArbitrary<ReasoningPart>[]>(
    FastCheck.record({ ...common, text: nonBlankText }),
    FastCheck.record({ ...common, text: nonBlankText, signature: nonBlankText }),
    FastCheck.record({ ...common, text: is(""), signature: nonBlankText }),
    FastCheck.record({ ...common, text: is(""), signature: nonBlankText, format: is("redacted_thinking") })
  )
}

/** JSON texts of objects, as `JSON.stringify` writes them. */
export const jsonObject = FastCheck.dictionary(name, FastCheck.oneof(nonBlankText, FastCheck.integer(), is(null)), {
  maxKeys: 2
}).map((value) => JSON.stringify(value))

export const toolCalls = (args: FastCheck.Arbitrary<string>): FastCheck.Arbitrary<ReadonlyArray<ToolCall>> =>
  FastCheck.uniqueArray(FastCheck.record({ id, name, arguments: args }), {
    maxLength: 3,
    selector: (call) => call.id
  })
