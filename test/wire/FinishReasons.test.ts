/** Finish reasons that no provider documents, among them names of `Object.prototype`. */
import { describe, expect, it } from "@effect/vitest"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Responses from "../../src/wire/Responses.js"
import { getOrThrow, source } from "./roundTrips.js"

const answers = {
  "Chat Completions": (reason: string) =>
    ChatCompletions.make().decodeResponse(
      { choices: [{ index: 0, message: { content: "a" }, finish_reason: reason }] },
      source
    ),
  Gemini: (reason: string) =>
    Gemini.make().decodeResponse(
      { candidates: [{ content: { parts: [{ text: "a" }] }, finishReason: reason }] },
      source
    ),
  Responses: (reason: string) =>
    Responses.make().decodeResponse(
      { id: "r", status: "incomplete", incomplete_details: { reason }, output: [] },
      source
    )
}

describe.each(Object.entries(answers))("unknown finish reasons of %s", (_, answer) => {
  it.each(["constructor", "toString", "__proto__", "unheard_of"])(
    "maps the unknown finish reason %s to other and keeps it as the raw one",
    (reason) => {
      expect(getOrThrow(answer(reason))).toMatchObject({ finishReason: "other", rawFinishReason: reason })
    }
  )
})
