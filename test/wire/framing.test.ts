import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Framing from "../../src/wire/framing.js"
import type { Frame } from "../../src/wire/Wire.js"

const encoder = new TextEncoder()

const readAll = (framer: Framing.Framer, chunksOf: Iterable<Uint8Array>): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (const chunk of chunksOf) framer.push(chunk, frames)
  framer.end(frames)
  return frames
}

const sse = (text: string) => readAll(Framing.sse(), [encoder.encode(text)])

const chunksOf = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

describe("Framing.sse", () => {
  it("reads data with and without a space after the colon", () => {
    expect(sse("data: one\n\ndata:two\n\n")).toEqual([{ data: "one" }, { data: "two" }])
  })
  it("reads events with LF, CRLF and CR line endings", () => {
    expect(sse("data: one\r\n\r\ndata: two\r\rdata: three\n\n").map(({ data }) => data)).toEqual([
      "one",
      "two",
      "three"
    ])
  })
  it("joins several data lines of one event with newlines", () => {
    expect(sse("data: one\ndata: two\n\n")).toEqual([{ data: "one\ntwo" }])
  })
  it("reads the event name of an event that has one", () => {
    expect(sse("event: error\ndata: x\n\ndata: y\n\n")).toEqual([{ event: "error", data: "x" }, { data: "y" }])
  })
  it("skips comments, ids and retry fields", () => {
    expect(sse(": keep-alive\n\nid: 1\nretry: 5\ndata: x\n\n: bye\n")).toEqual([{ data: "x" }])
  })
  it("reads a last event without its blank line", () => {
    expect(sse("data: one\n\ndata: two")).toEqual([{ data: "one" }, { data: "two" }])
  })
  it("skips a leading byte order mark", () => {
    expect(sse("\ufeffdata: one\n\n")).toEqual([{ data: "one" }])
  })

  it("keeps a byte order mark that is not at the beginning, however the bytes are split", () => {
    const bytes = encoder.encode("\ufeffdata: \ufeffé\ufeff\n\ndata: \ufeff\n\n")
    for (let size = 1; size <= bytes.length; size++) {
      expect(readAll(Framing.sse(), chunksOf(bytes, size))).toEqual([{ data: "\ufeffé\ufeff" }, { data: "\ufeff" }])
    }
  })

  it.prop(
    "reads the same events however the bytes are split",
    {
      texts: FastCheck.array(
        FastCheck.string({ unit: "grapheme" }).filter((text) => !/[\r\n]/.test(text)),
        { maxLength: 8 }
      ),
      ending: FastCheck.constantFrom("\n", "\r\n"),
      size: FastCheck.integer({ min: 1, max: 7 })
    },
    ({ ending, size, texts }) => {
      const bytes = encoder.encode(texts.map((text) => `data: ${text}${ending}${ending}`).join(""))
      expect(readAll(Framing.sse(), chunksOf(bytes, size)).map(({ data }) => data)).toEqual(texts)
    }
  )

  it("reads a data line of one megabyte in one chunk and byte by byte", () => {
    const long = "x".repeat(1024 * 1024)
    const bytes = encoder.encode(`data: ${long}\n\n`)
    expect(readAll(Framing.sse(), [bytes])[0]?.data).toHaveLength(long.length)
    expect(readAll(Framing.sse(), chunksOf(bytes, 1))[0]?.data).toHaveLength(long.length)
  })

  it("rejects an event that exceeds maxFrameLength", () => {
    const framer = Framing.sse()
    const chunk = encoder.encode("x".repeat(1024 * 1024))
    const frames: Array<Frame> = []
    framer.push(encoder.encode("data: "), frames)
    let pushed = 0
    while (pushed <= Framing.maxFrameLength && framer.push(chunk, frames)) pushed += chunk.length
    expect(pushed).toBeLessThanOrEqual(Framing.maxFrameLength)
    expect(framer.push(chunk, frames)).toBe(false)
  })
})

describe("Framing.ndjson", () => {
  const ndjson = (text: string, size: number) => readAll(Framing.ndjson(), chunksOf(encoder.encode(text), size))

  it("reads one frame per line, skips blank lines and reads a last line without a newline", () => {
    expect(ndjson('{"a":1}\n\n{"b":2}\r\n{"c":3}', 100)).toEqual([
      { data: '{"a":1}' },
      { data: '{"b":2}' },
      { data: '{"c":3}' }
    ])
  })

  it.prop(
    "reads the same lines however the bytes are split",
    { size: FastCheck.integer({ min: 1, max: 9 }) },
    ({ size }) => {
      expect(ndjson('{"text":"grüß 你好"}\n{"b":2}\n', size)).toEqual([
        { data: '{"text":"grüß 你好"}' },
        { data: '{"b":2}' }
      ])
    }
  )
})
