/** The raw text of an answer: used only while the content of the answer is the one that was decoded from it. */
import { describe, expect, it } from "vitest"
import { textOf, withRawText } from "../../src/call/passthrough.js"
import type { AssistantPart } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as TestLLM from "../../src/testing/TestLLM.js"

const content: ReadonlyArray<AssistantPart> = [Chat.text("one"), Chat.toolCall("1", "f", "{}"), Chat.text("two")]

const decoded = withRawText({ protocol: "wire", isFaithful: true }, "{}", TestLLM.response({ content }))

describe("raw text of an answer", () => {
  it("the raw text of an answer is kept when its content is the same, also when its views were made anew", () => {
    expect(textOf("wire", decoded)?.text).toBe("{}")
    expect(textOf("wire", { ...decoded, latency: 9, attempts: [] })?.text).toBe("{}")
    expect(textOf("wire", Chat.withContent(decoded, decoded.content))?.text).toBe("{}")
    expect(textOf("other", decoded)).toBeUndefined()
  })

  it("the raw text of an answer is undefined when its content is another, also when all views are equal", () => {
    expect(textOf("wire", Chat.withContent(decoded, content.toReversed()))).toBeUndefined()
    expect(textOf("wire", { ...decoded, content: [Chat.text("one"), Chat.text("two"), ...content.slice(1, 2)] })).toBe(
      undefined
    )
    expect(textOf("wire", { ...decoded, finishReason: "other" })).toBeUndefined()
  })
})
