/** Reads the body of a request: of bounded size, UTF-8, a JSON object. */
import { HttpServerRequest } from "@effect/platform"
import { Chunk, Effect, Either, Stream } from "effect"
import { IncomingMessage } from "node:http"
import * as Depth from "../../internal/depth.js"
import { isRecord } from "../../wire/json.js"
import * as HttpErrors from "./error.js"

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
  request: HttpServerRequest.HttpServerRequest,
  limit: number
): Effect.Effect<Uint8Array, HttpErrors.HttpError> =>
  request.stream.pipe(
    Stream.mapError(() => incomplete),
    Stream.runFoldEffect({ pieces: Chunk.empty<Uint8Array>(), size: 0 }, ({ pieces, size }, piece) =>
      size + piece.length > limit
        ? Effect.fail(HttpErrors.tooLarge(limit))
        : Effect.succeed({ pieces: Chunk.append(pieces, piece), size: size + piece.length })
    ),
    Effect.map(({ pieces }) => Buffer.concat(Chunk.toReadonlyArray(pieces)))
  )

/** A body with its text. */
export interface JsonBody {
  readonly text: string
  readonly body: Record<string, unknown>
}

const parse = (bytes: Uint8Array): Either.Either<JsonBody, HttpErrors.HttpError> => {
  if (bytes.length === 0) return Either.left(HttpErrors.invalid("The request has no body."))
  return Either.flatMap(
    Either.try({
      try: (): { readonly text: string; readonly body: unknown } => {
        const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
        return { text, body: JSON.parse(text) }
      },
      catch: () => HttpErrors.invalid("The body is not JSON in UTF-8.")
    }),
    ({ body, text }) => {
      if (!isRecord(body)) return Either.left(HttpErrors.invalid("The body is not a JSON object."))
      const path = Depth.tooDeep(body)
      return path === undefined
        ? Either.right({ text, body: { ...body } })
        : Either.left(
            HttpErrors.invalid(`Invalid value for '${Depth.fieldOf(path)}': ${Depth.fault}.`, Depth.fieldOf(path))
          )
    }
  )
}

const contentLength = (request: HttpServerRequest.HttpServerRequest): number =>
  Number(request.headers["content-length"] ?? 0)

/** The body as a JSON object, with its text. */
export const readText = (
  limit: number
): Effect.Effect<JsonBody, HttpErrors.HttpError, HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const encoding = request.headers["content-encoding"] ?? "identity"
    if (encoding !== "identity") return Effect.fail(HttpErrors.unsupportedEncoding(encoding))
    if (contentLength(request) > limit) return Effect.fail(HttpErrors.tooLarge(limit))
    const { source } = request
    return Effect.flatMap(
      source instanceof IncomingMessage ? fromNode(source, limit) : fromStream(request, limit),
      parse
    )
  })

/** The body as a JSON object. */
export const read = (
  limit: number
): Effect.Effect<Record<string, unknown>, HttpErrors.HttpError, HttpServerRequest.HttpServerRequest> =>
  Effect.map(readText(limit), ({ body }) => body)
