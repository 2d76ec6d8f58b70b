import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Framing from "../../src/wire/Framing.js"
import type { Frame } from "../../src/wire/Wire.js"

const encoder = new TextEncoder()

const framed = (framer: Framing.Framer, pieces: Iterable<Uint8Array>): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (const piece of pieces) framer.push(piece, frames)
  framer.end(frames)
  return frames
}

const sse = (text: string) => framed(Framing.sse(), [encoder.encode(text)])

const pieces = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

describe("server-sent events", () => {
  it("with and without a blank after the colon", () => {
    expect(sse("data: one\n\ndata:two\n\n")).toEqual([{ data: "one" }, { data: "two" }])
  })
  it("with any line ending", () => {
    expect(sse("data: one\r\n\r\ndata: two\r\rdata: three\n\n").map(({ data }) => data)).toEqual([
      "one",
      "two",
      "three"
    ])
  })
  it("of several data lines, joined", () => {
    expect(sse("data: one\ndata: two\n\n")).toEqual([{ data: "one\ntwo" }])
  })
  it("with names, and none without", () => {
    expect(sse("event: error\ndata: x\n\ndata: y\n\n")).toEqual([{ event: "error", data: "x" }, { data: "y" }])
  })
  it("between comments, ids and retry hints", () => {
    expect(sse(": keep-alive\n\nid: 1\nretry: 5\ndata: x\n\n: bye\n")).toEqual([{ data: "x" }])
  })
  it("whose last one lacks its blank line", () => {
    expect(sse("data: one\n\ndata: two")).toEqual([{ data: "one" }, { data: "two" }])
  })
  it("behind a byte order mark", () => {
    expect(sse("\ufeffdata: one\n\n")).toEqual([{ data: "one" }])
  })

  it.prop(
    "however the bytes are cut",
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
      expect(framed(Framing.sse(), pieces(bytes, size)).map(({ data }) => data)).toEqual(texts)
    }
  )

  it("of a megabyte, in one piece and byte by byte, in linear time", () => {
    const long = "x".repeat(1024 * 1024)
    const bytes = encoder.encode(`data: ${long}\n\n`)
    expect(framed(Framing.sse(), [bytes])[0]?.data).toHaveLength(long.length)
    expect(framed(Framing.sse(), pieces(bytes, 1))[0]?.data).toHaveLength(long.length)
  })

  it("that never end are given up", () => {
    const framer = Framing.sse()
    const piece = encoder.encode("x".repeat(1024 * 1024))
    const frames: Array<Frame> = []
    framer.push(encoder.encode("data: "), frames)
    let pushed = 0
    while (pushed <= Framing.maxFrameLength && framer.push(piece, frames)) pushed += piece.length
    expect(pushed).toBeLessThanOrEqual(Framing.maxFrameLength)
    expect(framer.push(piece, frames)).toBe(false)
  })
})

describe("newline-delimited JSON", () => {
  const ndjson = (text: string, size: number) => framed(Framing.ndjson(), pieces(encoder.encode(text), size))

  it("one frame a line, blank lines skipped, the last without its newline", () => {
    expect(ndjson('{"a":1}\n\n{"b":2}\r\n{"c":3}', 100)).toEqual([
      { data: '{"a":1}' },
      { data: '{"b":2}' },
      { data: '{"c":3}' }
    ])
  })

  it.prop("however the bytes are cut", { size: FastCheck.integer({ min: 1, max: 9 }) }, ({ size }) => {
    expect(ndjson('{"text":"grüß 你好"}\n{"b":2}\n', size)).toEqual([
      { data: '{"text":"grüß 你好"}' },
      { data: '{"b":2}' }
    ])
  })
})
