/** Reads the body of a request: of bounded size, UTF-8, a JSON object. */
import { Duration, Effect, Either, Stream } from "effect"
import { IncomingMessage } from "node:http"
import { longestTimer } from "../../internal/clock.js"
import * as Depth from "../../internal/depth.js"
import { isRecord } from "../../wire/json.js"
import type { BodyAccount } from "./bodyAccount.js"
import * as HttpErrors from "./error.js"
import type { Request } from "./exchange.js"
import { header } from "./exchange.js"
import * as TimeLimit from "../../internal/timeLimit.js"
import { fromEither } from "../../internal/asEffect.js"

/** A body that was read. The bytes of its account stay counted until they are released. */
export interface Body {
  /** The body as the client sent it. */
  readonly text: string
  readonly json: Record<string, unknown>
}

export interface Limits {
  /** The largest body, in bytes. */
  readonly maxSize: number
  /** How long a body can take to arrive. */
  readonly timeout: Duration.Duration
}

const incomplete = HttpErrors.invalid("The connection closed before the body was complete.")

/** Collects the pieces of one body, and counts them in its account. */
const makeCollector = (maxSize: number, account: BodyAccount) => {
  const pieces: Array<Uint8Array> = []
  let size = 0
  return {
    /** Returns the error of a body that is too large; it then keeps nothing. */
    add: (piece: Uint8Array): HttpErrors.HttpError | undefined => {
      size += piece.length
      const error = size > maxSize ? HttpErrors.tooLarge(maxSize) : account.add(piece.length)
      if (error === undefined) pieces.push(piece)
      else pieces.length = 0
      return error
    },
    bytes: (): Uint8Array => (pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces, size))
  }
}

/**
 * Reads the request of Node's server. When it refuses a body, it leaves the stream open and discards the rest: closing the stream would
 * close the connection before the client has the response.
 */
const fromNode = (
  source: IncomingMessage,
  { maxSize, timeout }: Limits,
  account: BodyAccount
): Effect.Effect<Uint8Array, HttpErrors.HttpError> =>
  Effect.async((resume) => {
    const collector = makeCollector(maxSize, account)
    const unsubscribe = (): void => {
      clearTimeout(timer)
      source.off("data", onData)
      source.off("end", onEnd)
      source.off("error", onClose)
      source.off("close", onClose)
    }
    const refuse = (error: HttpErrors.HttpError): void => {
      unsubscribe()
      source.resume()
      resume(Effect.fail(error))
    }
    const onData = (piece: Uint8Array): void => {
      const error = collector.add(piece)
      if (error !== undefined) refuse(error)
    }
    const onEnd = (): void => {
      unsubscribe()
      resume(Effect.succeed(collector.bytes()))
    }
    const onClose = (): void => {
      unsubscribe()
      resume(Effect.fail(incomplete))
    }
    const millis = Duration.toMillis(timeout)
    const timer = millis > longestTimer ? undefined : setTimeout(() => refuse(HttpErrors.bodyTimeout(timeout)), millis)
    source.on("data", onData).on("end", onEnd).on("error", onClose).on("close", onClose)
    // Instead of a canceller, which takes eight fiber steps more: an interrupted request releases its account.
    account.onRelease(unsubscribe)
  })

/** Reads the request of any other server. */
const fromStream = (
  body: Stream.Stream<Uint8Array, unknown>,
  { maxSize, timeout }: Limits,
  account: BodyAccount
): Effect.Effect<Uint8Array, HttpErrors.HttpError> =>
  Effect.suspend(() => {
    const collector = makeCollector(maxSize, account)
    return body.pipe(
      Stream.mapError(() => incomplete),
      Stream.runForEach((piece) => {
        const error = collector.add(piece)
        return error === undefined ? Effect.void : Effect.fail(error)
      }),
      Effect.map(() => collector.bytes()),
      TimeLimit.timeoutFail({ duration: timeout, onTimeout: () => HttpErrors.bodyTimeout(timeout) })
    )
  })

const utf8 = new TextDecoder("utf-8", { fatal: true })

const parse = (bytes: Uint8Array): Either.Either<Body, HttpErrors.HttpError> => {
  if (bytes.length === 0) return Either.left(HttpErrors.invalid("The request has no body."))
  let text: string
  let json: unknown
  try {
    text = utf8.decode(bytes)
    json = JSON.parse(text)
  } catch {
    return Either.left(HttpErrors.invalid("The body is not JSON in UTF-8."))
  }
  if (!isRecord(json)) return Either.left(HttpErrors.invalid("The body is not a JSON object."))
  const path = Depth.tooDeepIn(text, json)
  return path === undefined
    ? Either.right({ text, json })
    : Either.left(
        HttpErrors.invalid(`Invalid value for '${Depth.fieldOf(path)}': ${Depth.fault}.`, Depth.fieldOf(path))
      )
}

const withModel =
  (model: string) =>
  ({ json, text }: Body): Body => ({ text, json: { ...json, model } })

/**
 * Reads the body as a JSON object. Its bytes are counted in the account from their arrival on; the caller releases the account when
 * nothing holds the body any more, however the request ends.
 */
export const read = (
  { body, headers, model }: Request,
  limits: Limits,
  account: BodyAccount
): Effect.Effect<Body, HttpErrors.HttpError> => {
  const encoding = header(headers, "content-encoding") ?? "identity"
  if (encoding !== "identity") return Effect.fail(HttpErrors.unsupportedEncoding(encoding))
  const length = Number(header(headers, "content-length") ?? 0)
  const refusal = length > limits.maxSize ? HttpErrors.tooLarge(limits.maxSize) : account.refusal(length)
  if (refusal !== undefined) return Effect.fail(refusal)
  return Effect.flatMap(
    body instanceof IncomingMessage ? fromNode(body, limits, account) : fromStream(body, limits, account),
    (bytes) => (model === undefined ? fromEither(parse(bytes)) : fromEither(Either.map(parse(bytes), withModel(model))))
  )
}
