/** What Anthropic's protocol can say, for properties to try. */
import { FastCheck } from "effect"
import type { ReasoningPart, ToolCall } from "../../../src/vocabulary/Chat.js"
import { character } from "../../support/character.js"

const is = FastCheck.constant

/** Texts that say something: one of nothing but blanks is not sent. */
export const nonBlankText = FastCheck.string({ minLength: 1, maxLength: 12, unit: character }).filter(
  (text) => text.trim() !== ""
)

export const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)

const id = FastCheck.stringMatching(/^toolu_[0-9A-Za-z]{1,6}$/)

/** Through the network and back. */
export const sent = (body: unknown): unknown => JSON.parse(JSON.stringify(body))

/** A thought as the protocol has them: told, told and signed, kept back and signed, or sealed. */
export const reasoningPart = (provider: string | undefined): FastCheck.Arbitrary<ReasoningPart> => {
  const common = { type: is("reasoning" as const), ...(provider === undefined ? {} : { provider: is(provider) }) }
  return FastCheck.oneof<FastCheck.MaybeWeightedArbitrary<ReasoningPart>[]>(
    FastCheck.record({ ...common, text: nonBlankText }),
    FastCheck.record({ ...common, text: nonBlankText, signature: nonBlankText }),
    FastCheck.record({ ...common, text: is(""), signature: nonBlankText }),
    FastCheck.record({ ...common, text: is(""), signature: nonBlankText, format: is("redacted_thinking") })
  )
}

/** Arguments as they look when they were written once. */
export const jsonObject = FastCheck.dictionary(name, FastCheck.oneof(nonBlankText, FastCheck.integer(), is(null)), {
  maxKeys: 2
}).map((value) => JSON.stringify(value))

export const toolCalls = (args: FastCheck.Arbitrary<string>): FastCheck.Arbitrary<ReadonlyArray<ToolCall>> =>
  FastCheck.uniqueArray(FastCheck.record({ id, name, arguments: args }), {
    maxLength: 3,
    selector: (call) => call.id
  })
