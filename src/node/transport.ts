/** The direct transport over undici: one handler a request, without a stream or a promise where the body has no content encoding. */
import type { Dispatcher } from "@effect/platform-node/Undici"
import type { Transform } from "node:stream"
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from "node:zlib"
import type { DirectTransport } from "../call/direct.js"

type ResponseHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>[2]

const hasSingleValues = (headers: ResponseHeaders): headers is Record<string, string> => {
  for (const name in headers) if (typeof headers[name] !== "string") return false
  return true
}

/** Joins repeated headers, as the `HttpClient` does; most responses have none, and need no copy. */
const joined = (headers: ResponseHeaders): Readonly<Record<string, string>> =>
  hasSingleValues(headers)
    ? headers
    : Object.fromEntries(
        Object.entries(headers).map(([name, value = ""]) => [
          name,
          typeof value === "string" ? value : value.join(", ")
        ])
      )

/** "deflate" is meant to have a header of zlib, whose first byte ends with 8, but some servers leave the header out. */
const inflate = (first: Uint8Array): Transform =>
  ((first[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()

const decoders: ReadonlyMap<string, (first: Uint8Array) => Transform> = new Map<
  string,
  (first: Uint8Array) => Transform
>([
  ["gzip", () => createGunzip()],
  ["x-gzip", () => createGunzip()],
  ["br", () => createBrotliDecompress()],
  ["deflate", inflate]
])

/** The number of bytes before decoding at which reading stops until they are decoded. At each stop undici copies what it has read. */
const maxUndecoded = 256 * 1024

const aborted = new Error("The request was aborted by its caller.")

/** The most URLs whose parts are kept: those of a server differ by the model at most. */
const maxKnownUrls = 100

/** Splits URLs for undici. To parse one takes a tenth of a request's time, and most requests have the same. */
const urlReader = () => {
  const known = new Map<string, { readonly origin: string; readonly path: string }>()
  return (url: string) => {
    const before = known.get(url)
    if (before !== undefined) return before
    const { origin, pathname, search } = new URL(url)
    const parts = { origin, path: pathname + search }
    if (known.size === maxKnownUrls) known.clear()
    known.set(url, parts)
    return parts
  }
}

const sender =
  (dispatcher: Dispatcher, partsOf: ReturnType<typeof urlReader>): DirectTransport["send"] =>
  (request, sink) => {
    let controller: Dispatcher.DispatchController | undefined
    let encoding = ""
    let decoder: Transform | undefined
    let isPaused = false
    let isOver = false
    /** What the current read of the socket has brought of a body without encoding. */
    let pieces: Array<Uint8Array> = []

    const abort = (): void => {
      isOver = true
      decoder?.destroy()
      controller?.abort(aborted)
    }

    const fail = (cause: unknown): void => {
      if (isOver) return
      isOver = true
      decoder?.destroy()
      sink.onError(cause)
    }

    const abortWith = (cause: unknown): void => {
      if (isOver) return
      abort()
      sink.onError(cause)
    }

    /**
     * Passes the pieces of a read on as one. A read of a stream brings a piece for each chunk of the server, a dozen under load, and for its
     * reader each piece costs as much as all of them.
     */
    const flush = (): void => {
      const [first, ...others] = pieces
      if (first === undefined) return
      const bytes = others.length === 0 ? first : Buffer.concat(pieces)
      pieces = []
      if (isOver) return
      try {
        sink.onData(bytes)
      } catch (cause) {
        // A microtask runs outside of any request: an exception would end the process.
        abortWith(cause)
      }
    }

    const collect = (piece: Uint8Array): void => {
      if (pieces.length === 0) queueMicrotask(flush)
      pieces.push(piece)
    }

    /** The rest of a response, after the end of what it encodes, is not read. */
    const endDecoding = (): void => {
      if (isOver) return
      abort()
      sink.onEnd()
    }

    const flow = (): void => {
      if (isPaused || isOver) return
      decoder?.resume()
      if (decoder === undefined || decoder.writableLength < maxUndecoded) controller?.resume()
    }

    const decode = (chunk: Uint8Array): void => {
      if (decoder === undefined) {
        const open = decoders.get(encoding)
        if (open === undefined) {
          return abortWith(
            new Error(
              `The response has the content encoding ${JSON.stringify(encoding)}, which was not asked for and cannot be decoded`
            )
          )
        }
        decoder = open(chunk)
          .on("data", (bytes: Uint8Array) => {
            if (!isOver) sink.onData(bytes)
          })
          .on("drain", flow)
          .on("end", endDecoding)
          .on("error", abortWith)
        if (isPaused) decoder.pause()
      }
      decoder.write(chunk)
      if (decoder.writableLength >= maxUndecoded) controller?.pause()
    }

    try {
      const { origin, path } = partsOf(request.url)
      dispatcher.dispatch(
        {
          origin,
          path,
          method: request.method,
          // A copy, because undici's proxies add the host to it.
          headers: { ...request.headers },
          body: request.body ?? null,
          // The time limits of a call belong to its caller; undici's would end slow models.
          headersTimeout: 0,
          bodyTimeout: 0
        },
        {
          onRequestStart: (started) => {
            controller = started
            if (isOver) started.abort(aborted)
            else if (isPaused) started.pause()
          },
          onResponseStart: (_controller, status, headers) => {
            if (isOver || status < 200) return
            const single = joined(headers)
            encoding = single["content-encoding"]?.toLowerCase().trim() ?? ""
            if (encoding === "identity") encoding = ""
            sink.onHead(status, single)
          },
          onResponseData: (_controller, chunk) => {
            // undici reports an empty chunk when a paused response is resumed.
            if (isOver || chunk.length === 0) return
            if (encoding === "") collect(chunk)
            else decode(chunk)
          },
          onResponseEnd: () => {
            flush()
            controller = undefined
            if (decoder !== undefined) decoder.end()
            else if (!isOver) {
              isOver = true
              sink.onEnd()
            }
          },
          onResponseError: (_controller, error) => {
            flush()
            fail(error)
          }
        }
      )
    } catch (cause) {
      fail(cause)
    }

    return {
      abort: () => {
        if (!isOver) abort()
      },
      pause: () => {
        if (isPaused || isOver) return
        isPaused = true
        controller?.pause()
        decoder?.pause()
      },
      resume: () => {
        if (!isPaused) return
        isPaused = false
        // Not at once: this can run in a callback of another response, while undici's shared parser is busy.
        queueMicrotask(flow)
      }
    }
  }

export const make = (dispatcher: Dispatcher): DirectTransport => ({ send: sender(dispatcher, urlReader()) })
