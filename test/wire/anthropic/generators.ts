/** Arbitrary values that Anthropic's protocol can express. */
import * as FastCheck from "fast-check"
import type { AssistantPart, ProviderPart, ReasoningPart, TextPart, ToolCall } from "../../../src/vocabulary/Chat.js"
import { character } from "../../support/character.js"
import { interleaved } from "../generators.js"

const is = FastCheck.constant

/** Texts with a character that is not whitespace: the wire drops other texts. */
export const nonBlankText = FastCheck.string({ minLength: 1, maxLength: 12, unit: character }).filter(
  (text) => text.trim() !== ""
)

export const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)

const id = FastCheck.stringMatching(/^toolu_[0-9A-Za-z]{1,6}$/)

/** Fields that only Anthropic has, of an answer of this provider. */
export const answered = (provider: string, fields: Record<string, unknown>) => ({
  provider,
  native: { "anthropic-messages": fields }
})

/** The part, with these fields or without. */
const withFields = <A extends object>(
  part: FastCheck.Arbitrary<A>,
  provider: string,
  fields: FastCheck.Arbitrary<Record<string, unknown>>
) =>
  FastCheck.tuple(part, FastCheck.option(fields)).map(([plain, some]) =>
    some === null ? plain : { ...plain, ...answered(provider, some) }
  )

/** A reasoning part: with text, with text and a signature, with a signature alone, or redacted. */
export const reasoningPart = (provider: string): FastCheck.Arbitrary<ReasoningPart> => {
  const common = { type: is("reasoning" as const), provider: is(provider) }
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

const citations = FastCheck.array(
  FastCheck.record({ type: is("char_location"), cited_text: nonBlankText, document_index: FastCheck.nat(3) }),
  { minLength: 1, maxLength: 2 }
).map((list) => ({ citations: list }))

/** A text, some with citations. */
const textPart = (provider: string): FastCheck.Arbitrary<TextPart> =>
  withFields(FastCheck.record({ type: is("text" as const), text: nonBlankText }), provider, citations)

/** Tool calls with unique ids, some with the caller that the protocol has for them. */
export const toolCalls = (
  provider: string,
  args: FastCheck.Arbitrary<string>
): FastCheck.Arbitrary<ReadonlyArray<ToolCall>> =>
  FastCheck.uniqueArray(
    withFields(
      FastCheck.record({ type: is("tool-call" as const), id, name, arguments: args }),
      provider,
      is({ caller: { type: "code_execution_20250825", tool_id: "srvtoolu_1" } })
    ),
    { maxLength: 3, selector: (call) => call.id }
  )

/** A call of a server tool and its result. */
export const serverToolBlocks: ReadonlyArray<Record<string, unknown>> = [
  { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } },
  { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }
]

const providerParts = (provider: string): FastCheck.Arbitrary<ReadonlyArray<ProviderPart>> =>
  FastCheck.constantFrom(
    [],
    serverToolBlocks.map((block): ProviderPart => ({ type: "provider", ...answered(provider, block) }))
  )

/** Parts in any order: texts, reasoning, tool calls with these arguments and blocks of server tools. */
export const content = (
  provider: string,
  args: FastCheck.Arbitrary<string>
): FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> =>
  interleaved<AssistantPart>(
    FastCheck.tuple<ReadonlyArray<AssistantPart>[]>(
      FastCheck.array(textPart(provider), { maxLength: 3 }),
      FastCheck.array(reasoningPart(provider), { maxLength: 3 }),
      toolCalls(provider, args),
      providerParts(provider)
    )
  )
