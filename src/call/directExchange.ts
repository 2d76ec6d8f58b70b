/** The direct form of a client: chats over a direct transport, with callbacks, timers and without a fiber. */
import { Either } from "effect"
import * as MonotonicClock from "../internal/clock.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { rateLimits } from "../wire/headers/rateLimits.js"
import type { ClientWire } from "../wire/Wire.js"
import { malformed } from "../wire/Wire.js"
import * as Answer from "./answer.js"
import * as Collector from "./collector.js"
import type { DirectTransport, Exchange } from "./direct.js"
import type { DirectCall, DirectClient, DirectStream, StreamSink } from "./directClient.js"
import type { Received } from "./failure.js"
import * as Failure from "./failure.js"
import type { Server } from "./message.js"
import * as Message from "./message.js"
import * as StreamReader from "./streamReader.js"

const unlimited = { deadline: Infinity, idle: Infinity }

const utf8 = new TextDecoder()

/** The pieces of a body, up to a number of bytes. */
const makeBody = (maxBytes: number) => {
  const pieces: Array<Uint8Array> = []
  let size = 0
  return {
    /** Keeps the bytes that fit. False: there were more. */
    add: (bytes: Uint8Array): boolean => {
      const fits = size + bytes.length <= maxBytes
      const kept = fits ? bytes : bytes.subarray(0, maxBytes - size)
      pieces.push(kept)
      size += kept.length
      return fits
    },
    /** The text of the bytes, decoded at once: a character can be divided between pieces. */
    text: (): string => {
      const [only] = pieces
      if (only !== undefined && pieces.length === 1) return utf8.decode(only)
      const whole = new Uint8Array(size)
      let at = 0
      for (const piece of pieces) {
        whole.set(piece, at)
        at += piece.length
      }
      return utf8.decode(whole)
    }
  }
}

/** Reads the body of one response. */
interface BodyReader {
  readonly onData: (bytes: Uint8Array) => void
  readonly onEnd: () => void
  readonly onError: (cause: unknown) => void
  /** The consumer stops or continues the reading. */
  readonly onPause?: () => void
  readonly onResume?: () => void
  /** Releases timers. */
  readonly onClose?: () => void
}

/** A call in flight, for the readers of its bodies. */
interface Running {
  readonly isClosed: () => boolean
  readonly isPaused: () => boolean
  /** Closes the connection and reports the result; has no effect after the first time. */
  readonly finish: (report: () => void) => void
}

interface Handler {
  /** The reader of a successful response; an error when it cannot be read. */
  readonly onSuccess: (received: Received, running: Running) => Either.Either<BodyReader, LLMError>
  readonly onFailure: (error: LLMError) => void
}

/** Runs code of a custom wire after the request was sent. What it throws counts as a malformed answer. */
const caught = <A>(received: Received, run: () => Either.Either<A, LLMError>): Either.Either<A, LLMError> => {
  try {
    return run()
  } catch (cause) {
    return Either.left(Failure.decodingError(received, malformed("", String(cause))))
  }
}

/** Sends a chat request, in one request. */
const send = (
  transport: DirectTransport,
  server: Server,
  wire: ClientWire,
  request: ChatRequest,
  call: DirectCall,
  stream: boolean,
  handler: Handler
): DirectStream => {
  const { clock } = call
  const source = Message.chatSource(server, request, call)
  const accept = Message.acceptOf(wire, stream)
  let exchange: Exchange | undefined
  let reader: BodyReader | undefined
  let isClosed = false
  let isPaused = false

  const close = (): void => {
    isClosed = true
    reader?.onClose?.()
    exchange?.abort()
  }

  const running: Running = {
    isClosed: () => isClosed,
    isPaused: () => isPaused,
    finish: (report) => {
      if (isClosed) return
      close()
      report()
    }
  }

  const fail = (error: LLMError): void => running.finish(() => handler.onFailure(error))

  const start = (encoded: Message.Encoded): void => {
    const body = Message.encodeBody(server, call, encoded, request)
    if (Either.isLeft(body)) return fail(body.left)
    const sentAt = clock.unsafeCurrentTimeMillis()
    const message = Message.messageOf(server, call, encoded, accept, body.right)
    const fields = Message.observeFields(server, wire, encoded)

    const onStatusError = (received: Received, text: string): void => {
      const error = caught(received, () => Either.right(fields.rejected(Failure.statusError(received, text))))
      fail(Either.merge(error))
    }

    const errorReader = (received: Received): BodyReader => {
      const body = makeBody(Failure.maxErrorBytes)
      return {
        onData: (bytes) => {
          if (!body.add(bytes)) onStatusError(received, body.text())
        },
        onEnd: () => onStatusError(received, body.text()),
        // A body that breaks off must not hide the status, which is more informative.
        onError: () => onStatusError(received, "")
      }
    }

    const started = transport.send(message, {
      onHead: (status, headers) => {
        if (isClosed) return
        const received: Received = { target: server, call, source, clock, sentAt, status, headers }
        if (!Answer.isSuccess(status)) {
          reader = errorReader(received)
          return
        }
        const limits = rateLimits(headers, sentAt)
        if (limits !== undefined) call.onRateLimits(limits)
        if (isClosed) return
        fields.accepted()
        const successful = caught(received, () => handler.onSuccess(received, running))
        if (Either.isLeft(successful)) return fail(successful.left)
        reader = successful.right
      },
      onData: (bytes) => {
        if (!isClosed) reader?.onData(bytes)
      },
      onEnd: () => {
        if (!isClosed) reader?.onEnd()
      },
      onError: (cause) => {
        if (isClosed) return
        if (reader !== undefined) return reader.onError(cause)
        fail(URL.canParse(message.url) ? Failure.connectionError(server, call, cause) : Failure.urlError(server, call))
      }
    })
    // A transport that reports before `send` returns cannot be aborted until then.
    if (isClosed) return started.abort()
    exchange = started
    if (isPaused) started.pause()
  }

  const encoded = Message.encodeChat(server, wire, request, call, stream)
  if (Either.isLeft(encoded)) fail(encoded.left)
  else start(encoded.right)

  return {
    abort: () => {
      if (!isClosed) close()
    },
    pause: () => {
      if (isClosed || isPaused) return
      isPaused = true
      reader?.onPause?.()
      exchange?.pause()
    },
    resume: () => {
      if (isClosed || !isPaused) return
      isPaused = false
      reader?.onResume?.()
      exchange?.resume()
    }
  }
}

/** Reads a whole answer, and reports what is made of its text; `onResult` finishes the call. */
const wholeReader = <A>(
  received: Received,
  decode: (text: string) => Either.Either<A, LLMError>,
  onResult: (result: Either.Either<A, LLMError>) => void
): Either.Either<BodyReader, LLMError> => {
  if (Answer.isDeclaredTooLong(received)) return Either.left(Failure.tooLongError(received))
  const body = makeBody(Failure.maxAnswerBytes)
  return Either.right({
    onData: (bytes) => {
      if (!body.add(bytes)) onResult(Either.left(Failure.tooLongError(received)))
    },
    onEnd: () => onResult(caught(received, () => decode(body.text()))),
    onError: (cause) => onResult(Either.left(Failure.connectionError(received.target, received.call, cause)))
  })
}

/** Reads a stream, with timers for the graces of its end. */
const streamReader = (
  received: Received,
  { finish, isClosed, isPaused }: Running,
  options: StreamReader.Options,
  sink: StreamSink
): BodyReader => {
  const { clock } = received
  const { collector } = options
  const reader = StreamReader.make(received, options)
  let timer: ReturnType<typeof setTimeout> | undefined
  let timerUntil: number | undefined
  let hasBegun = false

  const stopTimer = (): void => {
    clearTimeout(timer)
    timerUntil = undefined
  }

  const waitUntil = (until: number | undefined): void => {
    if (isPaused() || until === timerUntil) return
    stopTimer()
    if (until === undefined) return
    timerUntil = until
    timer = setTimeout(
      () => {
        timerUntil = undefined
        proceed(reader.end("time"))
      },
      Math.max(0, until - MonotonicClock.wholeNow(clock))
    )
  }

  const proceed = (events: ReadonlyArray<ChatEvent>, size = 0): void => {
    if (events.length > 0) {
      hasBegun = true
      const at = MonotonicClock.wholeNow(clock)
      reader.waits(at)
      sink.onEvents(events, collector, size, at)
      if (isClosed()) return
    }
    const phase = reader.phase()
    switch (phase._tag) {
      case "reading":
      case "closing":
        return waitUntil(phase.until)
      case "failed":
        return finish(() => sink.onError(phase.error, collector))
      case "ended":
        return finish(() =>
          hasBegun ? sink.onEnd() : sink.onError(Failure.decodingError(received, { _tag: "Truncated" }), collector)
        )
    }
  }

  return {
    onData: (bytes) => proceed(reader.read([bytes]), bytes.length),
    onEnd: () => proceed(reader.end("end of body")),
    onError: (cause) => proceed(reader.end(Failure.connectionError(received.target, received.call, cause))),
    onPause: stopTimer,
    onResume: () => {
      reader.resumes()
      proceed([])
    },
    onClose: stopTimer
  }
}

export const make = (transport: DirectTransport, server: Server, wire: ClientWire): DirectClient => ({
  chat: (request, call, onResult) =>
    send(transport, server, wire, request, call, false, {
      onSuccess: (received, running) =>
        wholeReader(
          received,
          (text) => Answer.decodeChat(received, wire, text, call.rawProtocol),
          (result) => running.finish(() => onResult(result))
        ),
      onFailure: (error) => onResult(Either.left(error))
    }),
  chatStream: (request, call, sink) => {
    const collector = Collector.make()
    const onWhole = ({ finish }: Running, result: Either.Either<ReadonlyArray<ChatEvent>, LLMError>): void => {
      if (Either.isLeft(result)) return finish(() => sink.onError(result.left, collector))
      for (const event of result.right) collector.add(event)
      sink.onEvents(result.right, collector, 0, MonotonicClock.wholeNow(call.clock))
      finish(() => sink.onEnd())
    }
    return send(transport, server, wire, request, call, true, {
      onSuccess: (received, running) =>
        Answer.isWhole(received)
          ? wholeReader(
              received,
              (text) => Either.map(Answer.decodeChat(received, wire, text), Events.fromResponse),
              (result) => onWhole(running, result)
            )
          : Either.right(
              streamReader(
                received,
                running,
                { wire, collector, keepBytes: call.rawProtocol === wire.name, limits: call.limits ?? unlimited },
                sink
              )
            ),
      onFailure: (error) => sink.onError(error, collector)
    })
  }
})
