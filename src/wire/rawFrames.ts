/** The bytes of server-sent events as they came: where frames end in them, and the bytes that wait for the end of their frame. */
import * as Framing from "./framing.js"
import type { Frame } from "./Wire.js"

const lineFeed = 10
const carriageReturn = 13

const isLineEnd = (byte: number | undefined): boolean => byte === lineFeed || byte === carriageReturn

/**
 * Whether a blank line ends in front of a position. A carriage return at the end of the bytes does not count: a line feed can follow.
 * WHATWG HTML, section 9.2.
 */
const endsFrame = (byteAt: (index: number) => number | undefined, end: number): boolean => {
  const last = byteAt(end - 1)
  const before = byteAt(end - 2)
  if (last === lineFeed) return before === lineFeed || (before === carriageReturn && isLineEnd(byteAt(end - 3)))
  const next = byteAt(end)
  return last === carriageReturn && next !== undefined && next !== lineFeed && isLineEnd(before)
}

export const concat = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  const [only] = pieces
  if (only !== undefined && pieces.length === 1) return only
  const whole = new Uint8Array(pieces.reduce((size, { length }) => size + length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Bytes up to the end of a frame, with its data. Bytes with comments alone have none. */
export interface Block {
  readonly bytes: Uint8Array
  readonly frames: ReadonlyArray<Frame>
}

/** The frames of bytes with their own bytes. The last one can lack its end. */
export const split = (bytes: Uint8Array): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  const byteAt = (index: number) => bytes[index]
  let start = 0
  for (let end = 1; end <= bytes.length; end++) {
    if (end < bytes.length && !(isLineEnd(bytes[end - 1]) && endsFrame(byteAt, end))) continue
    const framer = Framing.sse()
    const frames: Array<Frame> = []
    const block = bytes.subarray(start, end)
    framer.push(block, frames)
    framer.end(frames)
    blocks.push({ bytes: block, frames })
    start = end
  }
  return blocks
}

/** A buffer of the bytes of one stream. Bytes in it are not copied or searched again until they are taken. */
export interface RawFrames {
  readonly push: (piece: Uint8Array) => void
  /** The number of bytes that wait. */
  readonly size: () => number
  /** Takes all bytes up to the end of the last complete frame. */
  readonly take: () => Uint8Array
  /** Takes the bytes of the first complete frames, as many as these. */
  readonly takeFrames: (count: number) => Uint8Array
  /** Takes all bytes. */
  readonly takeAll: () => Uint8Array
}

export const make = (): RawFrames => {
  let pieces: Array<Uint8Array> = []
  let size = 0
  /** The bytes up to the end of the last complete frame. */
  let complete = 0
  /** The last bytes before the newest piece: a blank line can be divided between pieces. */
  let before: Uint8Array = new Uint8Array(0)

  /** The bytes up to the end of the last frame that ends in a piece; undefined where none does. */
  const endIn = (piece: Uint8Array): number | undefined => {
    const { length } = piece
    // Most reads end with a frame.
    if (piece[length - 1] === lineFeed && piece[length - 2] === lineFeed) return length
    const byteAt = (index: number) => (index < 0 ? before.at(index) : piece[index])
    for (let end = length; end >= 0; end--) if (isLineEnd(byteAt(end - 1)) && endsFrame(byteAt, end)) return end
    return undefined
  }

  const push = (piece: Uint8Array): void => {
    const end = endIn(piece)
    if (end !== undefined) complete = size + end
    before = piece.length >= 3 ? piece : concat([before.subarray(-3), piece])
    pieces.push(piece)
    size += piece.length
  }

  const takeBytes = (count: number): Uint8Array => {
    const whole = concat(pieces)
    size -= count
    pieces = size === 0 ? [] : [whole.subarray(count)]
    complete = Math.max(0, complete - count)
    return size === 0 ? whole : whole.subarray(0, count)
  }

  return {
    push,
    size: () => size,
    take: () => takeBytes(complete),
    takeFrames: (count) => {
      let end = 0
      let frames = 0
      for (const block of split(concat(pieces).subarray(0, complete))) {
        frames += block.frames.length
        if (frames > count) break
        end += block.bytes.length
      }
      return takeBytes(end)
    },
    takeAll: () => takeBytes(size)
  }
}
