/**
 * Bytes into frames: server-sent events (WHATWG HTML, section 9.2) and newline-delimited JSON. Linear in the size of what
 * it is fed, however the bytes are cut, and bounded in what it holds.
 *
 * @since 0.1.0
 */
import { createParser } from "eventsource-parser"
import type { Frame } from "./Wire.js"

/**
 * The most characters of one event that are held: what is longer is not an answer but a fault or an attack.
 *
 * @since 0.1.0
 * @category model
 */
export const maxFrameLength = 32 * 1024 * 1024

/**
 * Cuts one stream of bytes into frames. It holds the unfinished end of what it was fed, so there is one for each stream.
 *
 * @since 0.1.0
 * @category model
 */
export interface Framer {
  /** Appends the frames that these bytes complete to `out`. False: an event grew past `maxFrameLength`. */
  readonly push: (bytes: Uint8Array, out: Array<Frame>) => boolean
  /** No more bytes will come: appends what only lacked its end. */
  readonly end: (out: Array<Frame>) => boolean
}

/**
 * Server-sent events. An event that the stream's end cuts off before its blank line is still given out: providers forget
 * that line, and a decoder tells a whole JSON text from half of one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const sse = (): Framer => {
  const decoder = new TextDecoder()
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
    push: (bytes, out) => feed(decoder.decode(bytes, { stream: true }), out),
    end: (out) => feed(`${decoder.decode()}\n\n`, out)
  }
}

/**
 * One JSON text a line. Blank lines are skipped.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ndjson = (): Framer => {
  const decoder = new TextDecoder()
  let pieces: Array<string> = []
  let held = 0
  const feed = (text: string, out: Array<Frame>): boolean => {
    if (held > maxFrameLength) return false
    let from = 0
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
      pieces.push(text.slice(from, at))
      const line = pieces.join("").trim()
      pieces = []
      held = 0
      from = at + 1
      if (line !== "") out.push({ data: line })
    }
    if (from < text.length) {
      pieces.push(text.slice(from))
      held += text.length - from
    }
    return held <= maxFrameLength
  }
  return {
    push: (bytes, out) => feed(decoder.decode(bytes, { stream: true }), out),
    end: (out) => feed(`${decoder.decode()}\n`, out)
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
 * A frame as it goes over the network. The data of a frame is JSON or a single word: it has no line breaks.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (framing: "sse" | "ndjson", { data, event }: Frame): string =>
  framing === "ndjson" ? `${data}\n` : `${event === undefined ? "" : `event: ${event}\n`}data: ${data}\n\n`
