/**
 * Decodes bytes into frames: server-sent events (WHATWG HTML, section 9.2) and newline-delimited JSON. Linear in the size of the
 * input however it is cut into chunks, and bounded in memory.
 */
import { createParser } from "eventsource-parser"
import type { Frame } from "./Wire.js"

/**
 * The longest event in characters: a longer one is a fault or an attack.
 *
 * @since 0.1.0
 * @category model
 */
export const maxFrameLength = 32 * 1024 * 1024

/**
 * Cuts one stream of bytes into frames. It buffers the unfinished end of its input: make one for each stream.
 *
 * @since 0.1.0
 * @category model
 */
export interface Framer {
  /** Appends the frames that these bytes complete to `out`. False: an event is longer than `maxFrameLength`. */
  readonly push: (bytes: Uint8Array, out: Array<Frame>) => boolean
  /** Ends the input: appends a frame that lacks only its end mark. */
  readonly end: (out: Array<Frame>) => boolean
}

const utf8 = new TextDecoder()
const utf8WithMark = new TextDecoder("utf-8", { ignoreBOM: true })

/**
 * Decodes one stream of UTF-8. A piece without a part of a character is decoded for itself: in Node a decoder with a state is several
 * times slower, and its strings take two bytes a unit, which slows down all that reads them.
 */
const textDecoder = () => {
  let withState: TextDecoder | undefined
  let hasBegun = false
  /** Whether the last piece can end within a character. */
  let isDivided = false
  return {
    decode: (bytes: Uint8Array): string => {
      const last = bytes.at(-1)
      if (last === undefined) return ""
      const isWhole = !isDivided && last < 0x80
      // A byte order mark is one only at the beginning.
      const isLater = hasBegun
      isDivided = last >= 0x80
      hasBegun = true
      if (isWhole) return (isLater ? utf8WithMark : utf8).decode(bytes)
      withState ??= new TextDecoder("utf-8", { ignoreBOM: isLater })
      return withState.decode(bytes, { stream: true })
    },
    end: (): string => (isDivided && withState !== undefined ? withState.decode() : "")
  }
}

/**
 * Server-sent events. The last event is emitted even without its blank line, which some providers omit: the JSON decoder rejects
 * it when it is incomplete.
 *
 * @since 0.1.0
 * @category constructors
 */
export const sse = (): Framer => {
  const decoder = textDecoder()
  let sink: Array<Frame> = []
  let withinBounds = true
  const parser = createParser({
    maxBufferSize: maxFrameLength,
    onEvent: (event) => {
      sink.push(event.event === undefined ? { data: event.data } : { event: event.event, data: event.data })
    },
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") withinBounds = false
    }
  })
  const feed = (text: string, out: Array<Frame>): boolean => {
    if (!withinBounds) return false
    sink = out
    parser.feed(text)
    return withinBounds
  }
  return {
    push: (bytes, out) => feed(decoder.decode(bytes), out),
    end: (out) => feed(`${decoder.end()}\n\n`, out)
  }
}

/**
 * One JSON text a line. Blank lines are skipped.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ndjson = (): Framer => {
  const decoder = textDecoder()
  let chunks: Array<string> = []
  let buffered = 0
  const feed = (text: string, out: Array<Frame>): boolean => {
    if (buffered > maxFrameLength) return false
    let from = 0
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
      chunks.push(text.slice(from, at))
      const line = chunks.join("").trim()
      chunks = []
      buffered = 0
      from = at + 1
      if (line !== "") out.push({ data: line })
    }
    if (from < text.length) {
      chunks.push(text.slice(from))
      buffered += text.length - from
    }
    return buffered <= maxFrameLength
  }
  return {
    push: (bytes, out) => feed(decoder.decode(bytes), out),
    end: (out) => feed(`${decoder.end()}\n`, out)
  }
}

/**
 * The framer of a wire.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (framing: "sse" | "ndjson"): Framer => (framing === "sse" ? sse() : ndjson())

/**
 * The text of a frame. Its data must have no line break, as JSON has none.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (framing: "sse" | "ndjson", { data, event }: Frame): string =>
  framing === "ndjson" ? `${data}\n` : `${event === undefined ? "" : `event: ${event}\n`}data: ${data}\n\n`
