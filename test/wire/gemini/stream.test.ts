import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Gemini from "../../../src/wire/Gemini.js"
import type { WireEvent, WireFailure } from "../../../src/wire/Wire.js"

const wire = Gemini.make()
const source = { provider: "acme", model: "asked", estimatedInputTokens: 7 }

interface Told {
  readonly out: ReadonlyArray<WireEvent>
  readonly failure: WireFailure | undefined
  /** After each frame. */
  readonly states: ReadonlyArray<string>
  readonly id: string
  readonly model: string
}

/** Reads frames as the client does: up to a failure or the end. */
const tell = (...frames: ReadonlyArray<string | object>): Told => {
  const decoder = wire.decodeStream(source)
  const out: Array<WireEvent> = []
  const states: Array<string> = []
  let failure: WireFailure | undefined
  for (const frame of frames) {
    failure = decoder.push({ data: typeof frame === "string" ? frame : JSON.stringify(frame) }, out)
    states.push(decoder.state)
    if (failure !== undefined) break
  }
  if (failure === undefined) failure = decoder.end(out)
  states.push(decoder.state)
  return { out, failure, states, id: decoder.id, model: decoder.model }
}

const said = ({ out }: Told) =>
  out.reduce((all, event: ChatEvent.ChatEvent) => ChatEvent.append(all, event), ChatEvent.nothing)

const piece = (parts: ReadonlyArray<object>, fields: object = {}, body: object = {}) => ({
  candidates: [{ content: { role: "model", parts }, index: 0, ...fields }],
  modelVersion: "gemini-9",
  responseId: "r1",
  ...body
})

const usageMetadata = { promptTokenCount: 5, candidatesTokenCount: 3, totalTokenCount: 8 }
const last = (parts: ReadonlyArray<object> = [{ text: "" }]) =>
  piece(parts, { finishReason: "STOP" }, { usageMetadata })

describe("Gemini stream decoder: rejected tool calls", () => {
  it.each(["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"])(
    "rejects a stream that ends with %s as Malformed unless it contains a tool call",
    (finishReason) => {
      const malformed = { _tag: "Malformed", path: "candidates[0].finishReason", excerpt: finishReason }
      const empty = { candidates: [{ finishReason, index: 0 }], usageMetadata }
      expect(tell(empty)).toMatchObject({ out: [], failure: malformed })
      expect(tell(piece([{ text: "Well." }]), empty)).toMatchObject({
        out: [{ _tag: "TextDelta", text: "Well." }],
        failure: malformed
      })
      const called = tell(piece([{ functionCall: { name: "clock", args: {} } }]), empty)
      expect(called.failure).toBeUndefined()
      expect(said(called)).toMatchObject({ toolCalls: [{ name: "clock" }], finish: { rawReason: finishReason } })
    }
  )
})

describe("Gemini stream decoder", () => {
  it("reads reasoning and text deltas, then one Finish with the reason", () => {
    const told = tell(
      piece([{ text: "Hm. ", thought: true }]),
      piece([{ text: "Well.", thought: true }]),
      piece([{ text: "Hel" }]),
      last([{ text: "lo" }])
    )
    expect(told).toMatchObject({ failure: undefined, id: "r1", model: "gemini-9" })
    expect(told.states).toEqual(["open", "open", "open", "finishing", "done"])
    expect(told.out).toEqual([
      { _tag: "ReasoningDelta", index: 0, text: "Hm. ", provider: "acme" },
      { _tag: "ReasoningDelta", index: 0, text: "Well.", provider: "acme" },
      { _tag: "TextDelta", text: "Hel" },
      { _tag: "TextDelta", text: "lo" },
      {
        _tag: "Finish",
        reason: "stop",
        rawReason: "STOP",
        usage: expect.objectContaining({ inputTokens: 5, outputTokens: 3 }),
        latency: 0,
        providerMetadata: {}
      }
    ])
  })
  it("reads a signature before its tool call, and a late one at the end of its text", () => {
    const told = tell(
      piece([{ text: "Hello" }]),
      piece([{ functionCall: { name: "clock", args: {} }, thoughtSignature: "s1" }]),
      last([{ text: "", thoughtSignature: "s2" }])
    )
    expect(told.out.slice(0, -1)).toEqual([
      { _tag: "TextDelta", text: "Hello" },
      {
        _tag: "ReasoningDelta",
        index: 0,
        text: "",
        signature: "s1",
        id: "call_r1_0",
        format: "functionCall",
        provider: "acme"
      },
      { _tag: "ToolCallDelta", index: 0, id: "call_r1_0", name: "clock", argumentsDelta: "{}" },
      { _tag: "ToolCallEnd", index: 0, call: { id: "call_r1_0", name: "clock", arguments: "{}" } },
      { _tag: "ReasoningDelta", index: 1, text: "", signature: "s2", id: "5:5", format: "text", provider: "acme" }
    ])
  })
  it("takes the last usage counts of a stream", () => {
    const told = tell(
      piece([{ text: "a" }], {}, { usageMetadata: { promptTokenCount: 5, totalTokenCount: 5 } }),
      piece([{ text: "b" }], { finishReason: "STOP" }, { usageMetadata }),
      { usageMetadata: { serviceTier: "standard" } }
    )
    expect(said(told).finish).toMatchObject({
      usage: { inputTokens: 5, outputTokens: 3, totalTokens: 8, estimated: false },
      providerMetadata: { usage: { serviceTier: "standard" } }
    })
  })
  it("merges the citations, ratings and grounding of all chunks", () => {
    const cited = (uri: string) => ({ citationMetadata: { citationSources: [{ uri }] } })
    const told = tell(
      piece([{ text: "a" }], { ...cited("https://a.com"), safetyRatings: [1] }),
      piece([{ text: "b" }], { ...cited("https://b.com"), safetyRatings: [2], groundingMetadata: { a: 1 } }),
      piece([], { finishReason: "STOP", groundingMetadata: { b: 2 } })
    )
    expect(said(told).finish?.providerMetadata).toEqual({
      citationMetadata: { citationSources: [{ uri: "https://a.com" }, { uri: "https://b.com" }] },
      safetyRatings: [2],
      groundingMetadata: { a: 1, b: 2 }
    })
  })
  it("reads the candidate of index 0 alone", () => {
    const other = { content: { parts: [{ text: "B" }] }, index: 1, finishReason: "STOP" }
    const told = tell({ candidates: [other] }, { candidates: [other, ...piece([{ text: "A" }]).candidates] }, last())
    expect([said(told).text, told.states[0]]).toEqual(["A", "open"])
  })
  it("continues after a finishReason that more chunks follow", () => {
    const told = tell(piece([], { finishReason: "STOP" }, { usageMetadata }), piece([{ text: "Hello" }]), last())
    expect(told.states).toEqual(["finishing", "open", "finishing", "done"])
    expect(said(told).text).toBe("Hello")
  })
  it("is finishing after a finishReason without usage", () => {
    expect(tell(piece([{ text: "Hello" }], { finishReason: "STOP" }))).toMatchObject({
      failure: undefined,
      states: ["finishing", "done"]
    })
  })
  it("reports Truncated when text without a finishReason follows the last one", () => {
    expect(tell(piece([], { finishReason: "STOP" }), piece([{ text: "Hello" }])).failure).toEqual({ _tag: "Truncated" })
  })
  it("ignores blank frames and a [DONE] frame", () => {
    expect(said(tell("", " ", piece([{ text: "Hello" }]), last(), "[DONE]")).finish?.reason).toBe("stop")
  })
})

describe("Gemini stream decoder: failures", () => {
  it("reports Truncated when a stream ends without a finishReason", () => {
    expect(tell(piece([{ text: "Hel" }])).failure).toEqual({ _tag: "Truncated" })
    expect(tell().failure).toEqual({ _tag: "Truncated" })
  })
  it("reports an error chunk and a blocked prompt as Reported", () => {
    const error = { code: 503, message: "Overloaded.", status: "UNAVAILABLE" }
    expect(tell(piece([{ text: "Hel" }]), { error }).failure).toEqual({ _tag: "Reported", body: { error } })
    expect(tell({ promptFeedback: { blockReason: "SAFETY" } }).failure).toMatchObject({
      _tag: "Reported",
      body: { error: { code: "SAFETY" } }
    })
  })
  it("rejects invalid frames, a tool call without a name and an invalid jsonPath as Malformed", () => {
    expect(tell("{").failure).toMatchObject({ _tag: "Malformed", excerpt: "{" })
    expect(tell("3").failure).toMatchObject({ _tag: "Malformed", path: "" })
    expect(tell(piece([{ functionCall: { partialArgs: [{ jsonPath: "$.a" }] } }])).failure).toMatchObject({
      path: "candidates[0].content.parts[0].functionCall.name"
    })
    expect(
      tell(piece([{ functionCall: { name: "f", partialArgs: [{ jsonPath: "a[", numberValue: 1 }] } }])).failure
    ).toMatchObject({ path: "candidates[0].content.parts[0].functionCall.partialArgs[0].jsonPath" })
  })
})

// -------------------------------------------------------------------------------------
// arguments in pieces
// -------------------------------------------------------------------------------------

const begun = (name = "f") => piece([{ functionCall: { name, willContinue: true } }])
const goesOn = (...partialArgs: ReadonlyArray<object>) => piece([{ functionCall: { partialArgs, willContinue: true } }])
const ended = piece([{ functionCall: {} }])

/** The arguments of the calls, and whether the pieces told them whole. */
const argued = (told: Told) => {
  expect(told.failure).toBe(undefined)
  return said(told).toolCalls.map((call) => {
    const deltas = told.out.map((event) =>
      event._tag === "ToolCallDelta" && event.id === call.id ? event.argumentsDelta : ""
    )
    return [call.arguments, deltas.join("") === call.arguments]
  })
}

describe("Gemini stream decoder: partialArgs", () => {
  it("joins partialArgs into the JSON text of the arguments, delta by delta", () => {
    const told = tell(
      begun(),
      goesOn({ jsonPath: "$.city", stringValue: "San ", willContinue: true }),
      goesOn({ jsonPath: "$.city", stringValue: 'Fran"cisco', willContinue: true }),
      goesOn({ jsonPath: "$.city", stringValue: "" }),
      goesOn({ jsonPath: "$.days", numberValue: 3 }, { jsonPath: "$.exact", boolValue: false }),
      goesOn({ jsonPath: "$.near", nullValue: "NULL_VALUE" }),
      ended,
      last()
    )
    expect(argued(told)).toEqual([['{"city":"San Fran\\"cisco","days":3,"exact":false,"near":null}', true]])
    expect(told.out[0]).toEqual({
      _tag: "ToolCallDelta",
      index: 0,
      id: "call_r1_0",
      name: "f",
      argumentsDelta: '{"city":"San '
    })
  })
  it("reads nested jsonPaths of objects, lists and quoted names", () => {
    const told = tell(
      begun(),
      goesOn({ jsonPath: "$.recipe.steps[0].text", stringValue: "Boil" }),
      goesOn({ jsonPath: "$.recipe.steps[0].minutes", numberValue: 10 }),
      goesOn({ jsonPath: "$.recipe.steps[1].text", stringValue: "Eat" }),
      goesOn({ jsonPath: "$['odd name'][\"it's\"].x", numberValue: 0.5 }),
      ended,
      last()
    )
    expect(argued(told)).toEqual([
      ['{"recipe":{"steps":[{"text":"Boil","minutes":10},{"text":"Eat"}]},"odd name":{"it\'s":{"x":0.5}}}', true]
    ])
  })
  it("ends a tool call at its last chunk, at the next tool call or at the end of the stream", () => {
    const closed = (...frames: ReadonlyArray<object>) =>
      argued(tell(begun(), goesOn({ jsonPath: "$.a", numberValue: 1 }), ...frames))
    const a = ['{"a":1}', true]
    expect(closed(piece([{ functionCall: { partialArgs: [] } }]), last())).toEqual([a])
    expect(closed(begun("g"), ended, last())).toEqual([a, ["{}", true]])
    expect(closed(last())).toEqual([a])
    expect(closed(piece([{ functionCall: { willContinue: true } }]), ended, ended, last())).toEqual([a])
    const within = tell(begun(), goesOn({ jsonPath: "$.a[0].b", stringValue: "x", willContinue: true }), last())
    expect(argued(within)).toEqual([['{"a":[{"b":"x"}]}', true]])
  })
  it("reads complete arguments from partialArgs in any order", () => {
    const told = tell(
      begun(),
      goesOn({ jsonPath: "$.a.b", stringValue: "x" }),
      goesOn({ jsonPath: "$.c", numberValue: 1 }),
      goesOn({ jsonPath: "$.a.d[1]", numberValue: 3 }, { jsonPath: "$.a.d[0]", numberValue: 2 }),
      ended,
      last()
    )
    expect(argued(told)).toEqual([['{"a":{"b":"x","d":[2,3]},"c":1}', false]])
    const list = (...indices: ReadonlyArray<number>) =>
      argued(
        tell(begun(), ...indices.map((at) => goesOn({ jsonPath: `$.a[${at}]`, numberValue: at })), ended, last())
      )[0]?.[0]
    expect(list(1, 0)).toBe('{"a":[0,1]}')
    expect(list(0, 0)).toBe('{"a":[0]}')
  })
  it("reads a __proto__ path as a plain field and limits the length of a list", () => {
    const told = tell(
      begun(),
      goesOn({ jsonPath: "$.__proto__.polluted", boolValue: true }),
      goesOn({ jsonPath: "$.a[99999999]", numberValue: 1 }),
      ended,
      last()
    )
    expect(argued(told)[0]?.[0]).toBe('{"__proto__":{"polluted":true},"a":[1]}')
    expect(Object.keys(Object.prototype)).toEqual([])
  })
  it.prop(
    "every JSON value survives being split into partialArgs",
    [FastCheck.jsonValue({ maxDepth: 3, stringUnit: "binary" }), FastCheck.integer({ min: 1, max: 3 })],
    ([value, size]) => {
      const pieces: Array<object> = []
      const walk = (inner: unknown, jsonPath: string): unknown => {
        if (Array.isArray(inner)) return inner.map((item, at) => walk(item, `${jsonPath}[${at}]`))
        if (typeof inner === "object" && inner !== null) {
          return Object.entries(inner).map(([key, item]) =>
            walk(item, `${jsonPath}["${JSON.stringify(key).slice(1, -1)}"]`)
          )
        }
        if (typeof inner !== "string") {
          return pieces.push({
            jsonPath,
            ...(inner === null
              ? { nullValue: "NULL_VALUE" }
              : typeof inner === "number"
                ? { numberValue: inner }
                : { boolValue: inner })
          })
        }
        for (let at = 0; at < inner.length; at += size) {
          pieces.push({ jsonPath, stringValue: inner.slice(at, at + size), willContinue: true })
        }
        return pieces.push({ jsonPath, stringValue: "" })
      }
      const hasEmpty = JSON.stringify(value).match(/\[\]|\{\}/) !== null
      // The protocol has no piece for an object or a list without anything in it.
      FastCheck.pre(!hasEmpty)
      walk(value, "$.value")
      const told = tell(begun(), ...pieces.map((each) => goesOn(each)), ended, last())
      const [[text, whole] = []] = argued(told)
      expect(JSON.parse(String(text))).toEqual(JSON.parse(JSON.stringify({ value })))
      expect(whole).toBe(true)
    }
  )
})
