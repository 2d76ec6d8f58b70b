/** Frames that differ in their text alone are read without parsing them. What is read must not depend on it. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Responses from "../../src/wire/Responses.js"
import * as TextRuns from "../../src/wire/textRun.js"
import type { ClientWire, Frame, StreamDecoder, WireEvent } from "../../src/wire/Wire.js"

const source = { provider: "test", model: "model", estimatedInputTokens: 3 }

/** A text with all that JSON escapes, and some that looks like JSON. */
const anyText = FastCheck.oneof(
  FastCheck.constantFrom(
    " token",
    "",
    '"',
    "\\",
    "\n",
    '","text":"',
    "\u2028",
    "\ud83d",
    '{"content":"x"}',
    "😀",
    "\u0007"
  ),
  FastCheck.string({ unit: "grapheme", maxLength: 6 })
)

/** Writes everything but ASCII as escapes. */
const escaped = (json: string): string =>
  json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

const padded = (json: string, spaces: number): string => json.replace(/\}$/, `${" ".repeat(spaces)}}`)

const framesOf = (
  events: ReadonlyArray<object>,
  write: (json: string, index: number) => string
): ReadonlyArray<Frame> => events.map((event, index) => ({ data: write(JSON.stringify(event), index) }))

/** The same JSON with a space behind each second frame's first brace, so that no frame equals the one before it outside of its text. */
const unlike = (json: string, index: number): string => (index % 2 === 0 ? json : json.replace("{", "{ "))

interface Read {
  readonly events: ReadonlyArray<WireEvent>
  readonly state: StreamDecoder["state"]
  readonly usage: StreamDecoder["usage"]
  readonly failures: ReadonlyArray<unknown>
}

const read = (wire: ClientWire, frames: ReadonlyArray<Frame>): Read => {
  const decoder = wire.decodeStream(source)
  const events: Array<WireEvent> = []
  const failures = frames.flatMap((frame) => decoder.push(frame, events) ?? [])
  failures.push(...[decoder.end(events)].flatMap((failure) => failure ?? []))
  return { events, state: decoder.state, usage: decoder.usage, failures }
}

const chunk = (choice: object, body: object = {}): object => ({
  id: "id-1",
  object: "chat.completion.chunk",
  model: "model",
  choices: [{ index: 0, logprobs: null, finish_reason: null, ...choice }],
  ...body
})

const chatCompletions = FastCheck.oneof(
  { weight: 8, arbitrary: anyText.map((content) => chunk({ delta: { content } })) },
  {
    weight: 4,
    arbitrary: anyText.map((content) => chunk({ delta: { content } }, { usage: null, obfuscation: content }))
  },
  anyText.map((content) => chunk({ delta: { content, reasoning_content: "hm" } })),
  anyText.map((content) => chunk({ delta: { content }, logprobs: { content: [{ token: "x", logprob: -1 }] } })),
  anyText.map((content) => chunk({ delta: { content } }, { usage: { prompt_tokens: 1, completion_tokens: 2 } })),
  anyText.map((content) => chunk({ index: 1, delta: { content } })),
  anyText.map((content) => chunk({ delta: { role: "assistant", content, annotations: [{ content }] } })),
  anyText.map((content) => chunk({ delta: { content: [{ type: "text", text: content }] } })),
  anyText.map((args) =>
    chunk({ delta: { content: "x", tool_calls: [{ index: 0, id: "a", function: { name: "f", arguments: args } }] } })
  ),
  FastCheck.constant(chunk({ delta: {}, finish_reason: "stop" }))
)

const delta = (text: string, fields: object = {}): object => ({
  type: "content_block_delta",
  index: 0,
  delta: { type: "text_delta", text },
  ...fields
})

const anthropic = FastCheck.oneof(
  { weight: 8, arbitrary: anyText.map((text) => delta(text)) },
  anyText.map((text) => delta(text, { index: 1 })),
  anyText.map((thinking) => ({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking } })),
  anyText.map((text) => ({ type: "content_block_start", index: 0, content_block: { type: "text", text } })),
  FastCheck.constant({ type: "content_block_delta", index: 0, delta: { type: "citations_delta", citation: { a: 1 } } }),
  FastCheck.constantFrom({ type: "content_block_stop", index: 0 }, { type: "ping" }),
  FastCheck.constant({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 4 } })
)

const item = { item_id: "item-1", output_index: 0, content_index: 0 }

const responses = FastCheck.oneof(
  {
    weight: 8,
    arbitrary: FastCheck.tuple(anyText, FastCheck.nat(99)).map(([text, sequence_number]) => ({
      type: "response.output_text.delta",
      sequence_number,
      ...item,
      delta: text,
      obfuscation: text
    }))
  },
  anyText.map((text) => ({ type: "response.output_text.delta", ...item, content_index: 1, delta: text })),
  anyText.map((text) => ({ type: "response.output_text.done", ...item, text })),
  anyText.map((text) => ({ type: "response.refusal.delta", ...item, delta: text })),
  anyText.map((text) => ({
    type: "response.function_call_arguments.delta",
    item_id: "call-1",
    output_index: 1,
    delta: text
  })),
  FastCheck.constant({ type: "response.output_item.added", output_index: 0, item: { type: "message", id: "item-1" } })
)

const wires = [
  ["Chat Completions", ChatCompletions.client(), chatCompletions],
  ["Anthropic's", Anthropic.client(), anthropic],
  ["Responses", Responses.client(), responses]
] as const

describe("the frames of a run", () => {
  for (const [name, wire, event] of wires) {
    it.prop(
      `of ${name} protocol are read as frames that are parsed`,
      {
        events: FastCheck.array(FastCheck.oneof({ weight: 3, arbitrary: event }, event), { maxLength: 24 }),
        escapes: FastCheck.boolean(),
        spaces: FastCheck.array(FastCheck.nat(3), { minLength: 24, maxLength: 24 })
      },
      ({ escapes, events, spaces }) => {
        const write = (json: string, index: number): string =>
          padded(escapes ? escaped(json) : json, spaces[index] ?? 0)
        const parsed = read(
          wire,
          framesOf(events, (json, index) => unlike(write(json, index), index))
        )
        expect(read(wire, framesOf(events, write))).toEqual(parsed)
      },
      { fastCheck: { numRuns: 300 } }
    )
  }
})

describe("TextRuns.make", () => {
  const begin = TextRuns.make({ text: "content", ignored: ["padding", "number"] })
  const runOf = (data: string, text: string) => begin({ data }, text)

  it("reads the text of a frame that differs in its text and its padding", () => {
    const run = runOf('{"number":1,"content":"a","padding":"x"}', "a")
    expect(run?.({ data: '{"number":20,"content":"b \\"c\\" \\u00e9","padding":"yyy"}' })).toBe('b "c" é')
  })
  it("reads the text of a frame with other spaces at its end", () => {
    expect(runOf('{"a":{"content":"a"} }', "a")?.({ data: '{"a":{"content":"b"}   }' })).toBe("b")
  })
  it("reads texts of millions of characters, escaped or not", () => {
    const run = runOf('{"content":"a"}', "a")
    for (const json of ["x", "\\n", "é\\u00e9"]) {
      const inside = json.repeat(4_000_000)
      expect(run?.({ data: `{"content":"${inside}"}` }) === JSON.parse(`"${inside}"`)).toBe(true)
    }
  })
  it("reads no frame that differs in anything else", () => {
    const run = runOf('{"content":"a","end":null}', "a")
    for (const data of [
      '{"content":"b","end":"stop"}',
      '{"content":"b","end":null,"more":1}',
      '{"more":1,"content":"b","end":null}',
      '{"content":5,"end":null}',
      '{"content":"","end":null}',
      '{"content":"b","end":null',
      '{"content":"b\nc","end":null}',
      '{"content":"b\\x","end":null}'
    ]) {
      expect(run?.({ data })).toBeUndefined()
    }
    expect(run?.({ event: "error", data: '{"content":"b","end":null}' })).toBeUndefined()
  })
  it("begins with no frame that has several texts, none, or another one than was read from it", () => {
    expect(runOf('{"content":"a","other":{"content":"a"}}', "a")).toBeUndefined()
    expect(runOf('{"text":"a"}', "a")).toBeUndefined()
    expect(runOf('{"content":"a"}', "b")).toBeUndefined()
  })
})
