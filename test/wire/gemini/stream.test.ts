import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Gemini from "../../../src/wire/Gemini.js"
import type { WireEvent, WireFailure } from "../../../src/wire/Wire.js"

const wire = Gemini.make()
const source = { provider: "acme", model: "asked", estimatedInputTokens: 7 }

interface DecodedStream {
  readonly out: ReadonlyArray<WireEvent>
  readonly failure: WireFailure | undefined
  /** After each frame. */
  readonly states: ReadonlyArray<string>
  readonly id: string
  readonly model: string
}

/** Reads frames as the client does, up to a failure or the end. */
const readChunks = (...frames: ReadonlyArray<string | object>): DecodedStream => {
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

const collect = ({ out }: DecodedStream) =>
  out.reduce((all, event: ChatEvent.ChatEvent) => ChatEvent.append(all, event), ChatEvent.nothing)

const chunk = (parts: ReadonlyArray<object>, fields: object = {}, body: object = {}) => ({
  candidates: [{ content: { role: "model", parts }, index: 0, ...fields }],
  modelVersion: "gemini-9",
  responseId: "r1",
  ...body
})

const usageMetadata = { promptTokenCount: 5, candidatesTokenCount: 3, totalTokenCount: 8 }
const last = (parts: ReadonlyArray<object> = [{ text: "" }]) =>
  chunk(parts, { finishReason: "STOP" }, { usageMetadata })

describe("Gemini stream decoder: rejected tool calls", () => {
  it.each(["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"])(
    "rejects a stream that ends with %s as Malformed unless it contains a tool call",
    (finishReason) => {
      const malformed = { _tag: "Malformed", path: "candidates[0].finishReason", excerpt: finishReason }
      const empty = { candidates: [{ finishReason, index: 0 }], usageMetadata }
      expect(readChunks(empty)).toMatchObject({ out: [], failure: malformed })
      expect(readChunks(chunk([{ text: "Well." }]), empty)).toMatchObject({
        out: [{ _tag: "TextDelta", index: 0, text: "Well." }],
        failure: malformed
      })
      const called = readChunks(chunk([{ functionCall: { name: "clock", args: {} } }]), empty)
      expect(called.failure).toBeUndefined()
      expect(collect(called)).toMatchObject({ content: [{ name: "clock" }], finish: { rawReason: finishReason } })
    }
  )
})

describe("Gemini stream decoder", () => {
  it("reads reasoning and text deltas, then one Finish with the reason", () => {
    const decoded = readChunks(
      chunk([{ text: "Hm. ", thought: true }]),
      chunk([{ text: "Well.", thought: true }]),
      chunk([{ text: "Hel" }]),
      last([{ text: "lo" }])
    )
    expect(decoded).toMatchObject({ failure: undefined, id: "r1", model: "gemini-9" })
    expect(decoded.states).toEqual(["open", "open", "open", "finishing", "done"])
    expect(decoded.out).toEqual([
      { _tag: "ReasoningDelta", index: 0, text: "Hm. ", provider: "acme" },
      { _tag: "ReasoningDelta", index: 0, text: "Well.", provider: "acme" },
      { _tag: "TextDelta", index: 1, text: "Hel" },
      { _tag: "TextDelta", index: 1, text: "lo" },
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
  it("reads a signature with its tool call, and one in an empty text at the end as a part of its own", () => {
    const decoded = readChunks(
      chunk([{ text: "Hel" }]),
      chunk([{ text: "lo" }]),
      chunk([{ functionCall: { name: "clock", args: {} }, thoughtSignature: "s1" }]),
      chunk([{ text: "Bye" }]),
      last([{ text: "", thoughtSignature: "s2" }])
    )
    expect(decoded.out.slice(0, -1)).toEqual([
      { _tag: "TextDelta", index: 0, text: "Hel" },
      { _tag: "TextDelta", index: 0, text: "lo" },
      { _tag: "ToolCallDelta", index: 1, id: "call_r1_0", name: "clock", argumentsDelta: "{}" },
      {
        _tag: "ToolCallEnd",
        index: 1,
        call: {
          type: "tool-call",
          id: "call_r1_0",
          name: "clock",
          arguments: "{}",
          signature: "s1",
          provider: "acme"
        }
      },
      { _tag: "TextDelta", index: 2, text: "Bye" },
      { _tag: "TextDelta", index: 3, text: "", provider: "acme", native: { gemini: { thoughtSignature: "s2" } } }
    ])
  })
  it("reads executed code between the texts that it came between", () => {
    const code = { executableCode: { language: "PYTHON", code: "1+1" } }
    const decoded = readChunks(chunk([{ text: "a" }]), chunk([code]), chunk([{ text: "b" }]), last([{ text: "c" }]))
    expect(decoded.out.slice(0, -1)).toEqual([
      { _tag: "TextDelta", index: 0, text: "a" },
      { _tag: "ProviderPart", index: 1, part: { type: "provider", native: { gemini: code }, provider: "acme" } },
      { _tag: "TextDelta", index: 2, text: "b" },
      { _tag: "TextDelta", index: 2, text: "c" }
    ])
  })
  it("continues after a finishReason that an image follows", () => {
    const image = { inlineData: { mimeType: "image/png", data: "AAAA" } }
    expect(readChunks(chunk([], { finishReason: "STOP" }), chunk([image]), last()).states).toEqual([
      "finishing",
      "open",
      "finishing",
      "done"
    ])
  })
  it("takes the last usage counts of a stream", () => {
    const decoded = readChunks(
      chunk([{ text: "a" }], {}, { usageMetadata: { promptTokenCount: 5, totalTokenCount: 5 } }),
      chunk([{ text: "b" }], { finishReason: "STOP" }, { usageMetadata }),
      { usageMetadata: { serviceTier: "standard" } }
    )
    expect(collect(decoded).finish).toMatchObject({
      usage: { inputTokens: 5, outputTokens: 3, totalTokens: 8, estimated: false },
      providerMetadata: { usage: { serviceTier: "standard" } }
    })
  })
  it("merges the citations, ratings and grounding of all chunks", () => {
    const cited = (uri: string) => ({ citationMetadata: { citationSources: [{ uri }] } })
    const decoded = readChunks(
      chunk([{ text: "a" }], { ...cited("https://a.com"), safetyRatings: [1] }),
      chunk([{ text: "b" }], { ...cited("https://b.com"), safetyRatings: [2], groundingMetadata: { a: 1 } }),
      chunk([], { finishReason: "STOP", groundingMetadata: { b: 2 } })
    )
    expect(collect(decoded).finish?.providerMetadata).toEqual({
      citationMetadata: { citationSources: [{ uri: "https://a.com" }, { uri: "https://b.com" }] },
      safetyRatings: [2],
      groundingMetadata: { a: 1, b: 2 }
    })
  })
  it("reads the candidate of index 0 alone", () => {
    const other = { content: { parts: [{ text: "B" }] }, index: 1, finishReason: "STOP" }
    const decoded = readChunks(
      { candidates: [other] },
      { candidates: [other, ...chunk([{ text: "A" }]).candidates] },
      last()
    )
    expect([Chat.textOf(collect(decoded).content), decoded.states[0]]).toEqual(["A", "open"])
  })
  it("continues after a finishReason that more chunks follow", () => {
    const decoded = readChunks(
      chunk([], { finishReason: "STOP" }, { usageMetadata }),
      chunk([{ text: "Hello" }]),
      last()
    )
    expect(decoded.states).toEqual(["finishing", "open", "finishing", "done"])
    expect(Chat.textOf(collect(decoded).content)).toBe("Hello")
  })
  it("enters the state finishing after a finishReason without usage", () => {
    expect(readChunks(chunk([{ text: "Hello" }], { finishReason: "STOP" }))).toMatchObject({
      failure: undefined,
      states: ["finishing", "done"]
    })
  })
  it("reports Truncated when text without a finishReason follows the last one", () => {
    expect(readChunks(chunk([], { finishReason: "STOP" }), chunk([{ text: "Hello" }])).failure).toEqual({
      _tag: "Truncated"
    })
  })
  it("ignores blank frames and a [DONE] frame", () => {
    expect(collect(readChunks("", " ", chunk([{ text: "Hello" }]), last(), "[DONE]")).finish?.reason).toBe("stop")
  })
})

describe("Gemini stream decoder: failures", () => {
  it("reports Truncated when a stream ends without a finishReason", () => {
    expect(readChunks(chunk([{ text: "Hel" }])).failure).toEqual({ _tag: "Truncated" })
    expect(readChunks().failure).toEqual({ _tag: "Truncated" })
  })
  it("reports an error chunk and a blocked prompt as Reported", () => {
    const error = { code: 503, message: "Overloaded.", status: "UNAVAILABLE" }
    expect(readChunks(chunk([{ text: "Hel" }]), { error }).failure).toEqual({ _tag: "Reported", body: { error } })
    expect(readChunks({ promptFeedback: { blockReason: "SAFETY" } }).failure).toMatchObject({
      _tag: "Reported",
      body: { error: { code: "SAFETY" } }
    })
  })
  it("rejects invalid frames, a tool call without a name and an invalid jsonPath as Malformed", () => {
    expect(readChunks("{").failure).toMatchObject({ _tag: "Malformed", excerpt: "{" })
    expect(readChunks("3").failure).toMatchObject({ _tag: "Malformed", path: "" })
    expect(readChunks(chunk([{ functionCall: { partialArgs: [{ jsonPath: "$.a" }] } }])).failure).toMatchObject({
      path: "candidates[0].content.parts[0].functionCall.name"
    })
    expect(
      readChunks(chunk([{ functionCall: { name: "f", partialArgs: [{ jsonPath: "a[", numberValue: 1 }] } }])).failure
    ).toMatchObject({ path: "candidates[0].content.parts[0].functionCall.partialArgs[0].jsonPath" })
  })
})

// -------------------------------------------------------------------------------------
// partialArgs
// -------------------------------------------------------------------------------------

const callStart = (name = "f") => chunk([{ functionCall: { name, willContinue: true } }])
const callChunk = (...partialArgs: ReadonlyArray<object>) =>
  chunk([{ functionCall: { partialArgs, willContinue: true } }])
const callEnd = chunk([{ functionCall: {} }])

/** The arguments of each tool call, and whether its deltas join to the same text. */
const argumentsOf = (decoded: DecodedStream) => {
  expect(decoded.failure).toBe(undefined)
  return Chat.toolCallsOf(collect(decoded).content).map((call) => {
    const deltas = decoded.out.map((event) =>
      event._tag === "ToolCallDelta" && event.id === call.id ? event.argumentsDelta : ""
    )
    return [call.arguments, deltas.join("") === call.arguments]
  })
}

describe("Gemini stream decoder: partialArgs", () => {
  it("joins partialArgs into the JSON text of the arguments, delta by delta", () => {
    const decoded = readChunks(
      callStart(),
      callChunk({ jsonPath: "$.city", stringValue: "San ", willContinue: true }),
      callChunk({ jsonPath: "$.city", stringValue: 'Fran"cisco', willContinue: true }),
      callChunk({ jsonPath: "$.city", stringValue: "" }),
      callChunk({ jsonPath: "$.days", numberValue: 3 }, { jsonPath: "$.exact", boolValue: false }),
      callChunk({ jsonPath: "$.near", nullValue: "NULL_VALUE" }),
      callEnd,
      last()
    )
    expect(argumentsOf(decoded)).toEqual([['{"city":"San Fran\\"cisco","days":3,"exact":false,"near":null}', true]])
    expect(decoded.out[0]).toEqual({
      _tag: "ToolCallDelta",
      index: 0,
      id: "call_r1_0",
      name: "f",
      argumentsDelta: '{"city":"San '
    })
  })
  it("reads nested jsonPaths of objects, lists and quoted names", () => {
    const decoded = readChunks(
      callStart(),
      callChunk({ jsonPath: "$.recipe.steps[0].text", stringValue: "Boil" }),
      callChunk({ jsonPath: "$.recipe.steps[0].minutes", numberValue: 10 }),
      callChunk({ jsonPath: "$.recipe.steps[1].text", stringValue: "Eat" }),
      callChunk({ jsonPath: "$['odd name'][\"it's\"].x", numberValue: 0.5 }),
      callEnd,
      last()
    )
    expect(argumentsOf(decoded)).toEqual([
      ['{"recipe":{"steps":[{"text":"Boil","minutes":10},{"text":"Eat"}]},"odd name":{"it\'s":{"x":0.5}}}', true]
    ])
  })
  it("ends a tool call at its last chunk, at the next tool call or at the end of the stream", () => {
    const closed = (...frames: ReadonlyArray<object>) =>
      argumentsOf(readChunks(callStart(), callChunk({ jsonPath: "$.a", numberValue: 1 }), ...frames))
    const a = ['{"a":1}', true]
    expect(closed(chunk([{ functionCall: { partialArgs: [] } }]), last())).toEqual([a])
    expect(closed(callStart("g"), callEnd, last())).toEqual([a, ["{}", true]])
    expect(closed(last())).toEqual([a])
    expect(closed(chunk([{ functionCall: { willContinue: true } }]), callEnd, callEnd, last())).toEqual([a])
    const within = readChunks(
      callStart(),
      callChunk({ jsonPath: "$.a[0].b", stringValue: "x", willContinue: true }),
      last()
    )
    expect(argumentsOf(within)).toEqual([['{"a":[{"b":"x"}]}', true]])
  })
  it("reads complete arguments from partialArgs in any order", () => {
    const decoded = readChunks(
      callStart(),
      callChunk({ jsonPath: "$.a.b", stringValue: "x" }),
      callChunk({ jsonPath: "$.c", numberValue: 1 }),
      callChunk({ jsonPath: "$.a.d[1]", numberValue: 3 }, { jsonPath: "$.a.d[0]", numberValue: 2 }),
      callEnd,
      last()
    )
    expect(argumentsOf(decoded)).toEqual([['{"a":{"b":"x","d":[2,3]},"c":1}', false]])
    const list = (...indices: ReadonlyArray<number>) =>
      argumentsOf(
        readChunks(
          callStart(),
          ...indices.map((at) => callChunk({ jsonPath: `$.a[${at}]`, numberValue: at })),
          callEnd,
          last()
        )
      )[0]?.[0]
    expect(list(1, 0)).toBe('{"a":[0,1]}')
    expect(list(0, 0)).toBe('{"a":[0]}')
  })
  it("keeps the signature and the place of a tool call whose arguments are streamed", () => {
    const decoded = readChunks(
      chunk([{ text: "Hm.", thought: true }]),
      chunk([{ functionCall: { name: "f", willContinue: true }, thoughtSignature: "s1" }]),
      callChunk({ jsonPath: "$.a", numberValue: 1 }),
      callEnd,
      last([{ text: "Done." }])
    )
    expect(collect(decoded).content).toEqual([
      { type: "reasoning", text: "Hm.", provider: "acme" },
      { type: "tool-call", id: "call_r1_0", name: "f", arguments: '{"a":1}', signature: "s1", provider: "acme" },
      { type: "text", text: "Done." }
    ])
  })
  it("reads a __proto__ path as a plain field and limits the length of a list", () => {
    const decoded = readChunks(
      callStart(),
      callChunk({ jsonPath: "$.__proto__.polluted", boolValue: true }),
      callChunk({ jsonPath: "$.a[99999999]", numberValue: 1 }),
      callEnd,
      last()
    )
    expect(argumentsOf(decoded)[0]?.[0]).toBe('{"__proto__":{"polluted":true},"a":[1]}')
    expect(Object.keys(Object.prototype)).toEqual([])
  })
  it.prop(
    "every JSON value survives being split into partialArgs",
    [FastCheck.jsonValue({ maxDepth: 3, stringUnit: "binary" }), FastCheck.integer({ min: 1, max: 3 })],
    ([value, size]) => {
      const partialArgs: Array<object> = []
      const walk = (inner: unknown, jsonPath: string): unknown => {
        if (Array.isArray(inner)) return inner.map((item, at) => walk(item, `${jsonPath}[${at}]`))
        if (typeof inner === "object" && inner !== null) {
          return Object.entries(inner).map(([key, item]) =>
            walk(item, `${jsonPath}["${JSON.stringify(key).slice(1, -1)}"]`)
          )
        }
        if (typeof inner !== "string") {
          return partialArgs.push({
            jsonPath,
            ...(inner === null
              ? { nullValue: "NULL_VALUE" }
              : typeof inner === "number"
                ? { numberValue: inner }
                : { boolValue: inner })
          })
        }
        for (let at = 0; at < inner.length; at += size) {
          partialArgs.push({ jsonPath, stringValue: inner.slice(at, at + size), willContinue: true })
        }
        return partialArgs.push({ jsonPath, stringValue: "" })
      }
      const hasEmpty = JSON.stringify(value).match(/\[\]|\{\}/) !== null
      // partialArgs cannot express an empty object or list.
      FastCheck.pre(!hasEmpty)
      walk(value, "$.value")
      const decoded = readChunks(callStart(), ...partialArgs.map((each) => callChunk(each)), callEnd, last())
      const [[text, isComplete] = []] = argumentsOf(decoded)
      expect(JSON.parse(String(text))).toEqual(JSON.parse(JSON.stringify({ value })))
      expect(isComplete).toBe(true)
    }
  )
})
