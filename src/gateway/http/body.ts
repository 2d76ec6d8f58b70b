/** Reads the body of a request: of bounded size, UTF-8, a JSON object. */
import { Chunk, Effect, Either, Stream } from "effect"
import { IncomingMessage } from "node:http"
import * as Depth from "../../internal/depth.js"
import { isRecord } from "../../wire/json.js"
import * as HttpErrors from "./error.js"
import type { Request } from "./exchange.js"
import { header } from "./exchange.js"

const incomplete = HttpErrors.invalid("The connection closed before the body was complete.")

/**
 * Reads the request of Node's server. Above the limit it leaves the stream open and discards the rest: closing the stream would
 * close the connection before the client has the response.
 */
const fromNode = (source: IncomingMessage, limit: number): Effect.Effect<Uint8Array, HttpErrors.HttpError> =>
  Effect.async((resume) => {
    const pieces: Array<Uint8Array> = []
    let size = 0
    const unsubscribe = (): void => {
      source.off("data", onData)
      source.off("end", onEnd)
      source.off("error", onError)
    }
    const onData = (piece: Uint8Array): void => {
      size += piece.length
      pieces.push(piece)
      if (size <= limit) return
      unsubscribe()
      source.resume()
      resume(Effect.fail(HttpErrors.tooLarge(limit)))
    }
    const onEnd = (): void => {
      unsubscribe()
      resume(Effect.succeed(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)))
    }
    const onError = (): void => {
      unsubscribe()
      resume(Effect.fail(incomplete))
    }
    source.on("data", onData).on("end", onEnd).on("error", onError)
    return Effect.sync(unsubscribe)
  })

/** Reads the request of any other server. */
const fromStream = (
  body: Stream.Stream<Uint8Array, unknown>,
  limit: number
): Effect.Effect<Uint8Array, HttpErrors.HttpError> =>
  body.pipe(
    Stream.mapError(() => incomplete),
    Stream.runFoldEffect({ pieces: Chunk.empty<Uint8Array>(), size: 0 }, ({ pieces, size }, piece) =>
      size + piece.length > limit
        ? Effect.fail(HttpErrors.tooLarge(limit))
        : Effect.succeed({ pieces: Chunk.append(pieces, piece), size: size + piece.length })
    ),
    Effect.map(({ pieces }) => Buffer.concat(Chunk.toReadonlyArray(pieces)))
  )

const parse = (bytes: Uint8Array): Either.Either<Record<string, unknown>, HttpErrors.HttpError> => {
  if (bytes.length === 0) return Either.left(HttpErrors.invalid("The request has no body."))
  return Either.flatMap(
    Either.try({
      try: (): unknown => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
      catch: () => HttpErrors.invalid("The body is not JSON in UTF-8.")
    }),
    (body) => {
      if (!isRecord(body)) return Either.left(HttpErrors.invalid("The body is not a JSON object."))
      const path = Depth.tooDeep(body)
      return path === undefined
        ? Either.right({ ...body })
        : Either.left(
            HttpErrors.invalid(`Invalid value for '${Depth.fieldOf(path)}': ${Depth.fault}.`, Depth.fieldOf(path))
          )
    }
  )
}

/** The body as a JSON object. */
export const read = (
  { body, headers }: Request,
  limit: number
): Effect.Effect<Record<string, unknown>, HttpErrors.HttpError> => {
  const encoding = header(headers, "content-encoding") ?? "identity"
  if (encoding !== "identity") return Effect.fail(HttpErrors.unsupportedEncoding(encoding))
  if (Number(header(headers, "content-length") ?? 0) > limit) return Effect.fail(HttpErrors.tooLarge(limit))
  return Effect.flatMap(body instanceof IncomingMessage ? fromNode(body, limit) : fromStream(body, limit), parse)
}
