/** The bytes of server-sent events in reads of any size: whole frames are taken as soon as they are there, and no byte is lost. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Framing from "../../src/wire/framing.js"
import * as RawFrames from "../../src/wire/rawFrames.js"
import type { Frame } from "../../src/wire/Wire.js"

const lines = FastCheck.constantFrom("data: a", "data:é😀", "event: x", ": c", "id:1", "")

const texts = FastCheck.array(FastCheck.tuple(lines, FastCheck.constantFrom("\n", "\r\n", "\r")), {
  maxLength: 20
}).map((all) => all.map(([line, end]) => line + end).join(""))

const reads = FastCheck.tuple(texts, FastCheck.array(FastCheck.nat(200), { maxLength: 12 })).map(([text, places]) => {
  const bytes = new TextEncoder().encode(text)
  const ends = [...places.map((place) => Math.min(place, bytes.length)), bytes.length].sort((a, b) => a - b)
  return { bytes, pieces: ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)) }
})

const framesOf = (bytes: Uint8Array): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  const framer = Framing.sse()
  framer.push(bytes, frames)
  framer.end(frames)
  return frames
}

describe("RawFrames", () => {
  it.prop(
    "the bytes taken at each read are all bytes in order, and contain the frames that the framer has read by then",
    [reads],
    ([{ bytes, pieces }]) => {
      const raw = RawFrames.make()
      const framer = Framing.sse()
      const taken: Array<Uint8Array> = []
      const frames: Array<Frame> = []
      for (const piece of pieces) {
        framer.push(piece, frames)
        raw.push(piece)
        taken.push(raw.take())
        // The framer reads a frame that ends with a carriage return after the line that follows, which can be later.
        expect(framesOf(RawFrames.concat(taken)).slice(0, frames.length)).toEqual(frames)
      }
      expect(Array.from(RawFrames.concat([...taken, raw.takeAll()]))).toEqual([...bytes])
      expect(raw.size()).toBe(0)
    }
  )

  it.prop("split gives the bytes of each frame", [reads], ([{ bytes }]) => {
    const blocks = RawFrames.split(bytes)
    expect(Array.from(RawFrames.concat(blocks.map((block) => block.bytes)))).toEqual([...bytes])
    expect(blocks.flatMap(({ frames }) => frames)).toEqual(framesOf(bytes))
    for (const { frames } of blocks) expect(frames.length).toBeLessThan(2)
  })

  it("takeFrames leaves the bytes of later frames", () => {
    const raw = RawFrames.make()
    const text = ": c\n\ndata: a\r\n\r\ndata: b\n\ndata: c"
    raw.push(new TextEncoder().encode(text))
    expect(new TextDecoder().decode(raw.takeFrames(1))).toBe(": c\n\ndata: a\r\n\r\n")
    expect(new TextDecoder().decode(raw.take())).toBe("data: b\n\n")
    expect(new TextDecoder().decode(raw.takeAll())).toBe("data: c")
  })
})
