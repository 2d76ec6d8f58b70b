/** The body of a request: bounded, UTF-8, JSON. */
import { HttpServerRequest } from "@effect/platform"
import { Chunk, Effect, Either, Stream } from "effect"
import { IncomingMessage } from "node:http"
import * as Depth from "../../internal/depth.js"
import { isRecord } from "../../wire/json.js"
import * as Problem from "./error.js"

/**
 * Reads what Node has, and leaves its stream open where it is too much: closing it would close the connection before the client
 * has been told why. What still comes is let go by.
 */
const fromNode = (source: IncomingMessage, limit: number): Effect.Effect<Uint8Array, Problem.Problem> =>
  Effect.async((resume) => {
    const pieces: Array<Uint8Array> = []
    let size = 0
    const stop = (): void => {
      source.off("data", received)
      source.off("end", ended)
      source.off("error", broken)
    }
    const received = (piece: Uint8Array): void => {
      size += piece.length
      pieces.push(piece)
      if (size <= limit) return
      stop()
      source.resume()
      resume(Effect.fail(Problem.tooLarge(limit)))
    }
    const ended = (): void => {
      stop()
      resume(Effect.succeed(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)))
    }
    const broken = (): void => {
      stop()
      resume(Effect.fail(Problem.invalid("The request broke off.")))
    }
    source.on("data", received).on("end", ended).on("error", broken)
    return Effect.sync(stop)
  })

/** Any other server's. */
const fromStream = (
  request: HttpServerRequest.HttpServerRequest,
  limit: number
): Effect.Effect<Uint8Array, Problem.Problem> =>
  request.stream.pipe(
    Stream.mapError(() => Problem.invalid("The request broke off.")),
    Stream.runFoldEffect({ pieces: Chunk.empty<Uint8Array>(), size: 0 }, ({ pieces, size }, piece) =>
      size + piece.length > limit
        ? Effect.fail(Problem.tooLarge(limit))
        : Effect.succeed({ pieces: Chunk.append(pieces, piece), size: size + piece.length })
    ),
    Effect.map(({ pieces }) => Buffer.concat(Chunk.toReadonlyArray(pieces)))
  )

const parse = (bytes: Uint8Array): Either.Either<Record<string, unknown>, Problem.Problem> => {
  if (bytes.length === 0) return Either.left(Problem.invalid("The request has no body."))
  return Either.flatMap(
    Either.try({
      try: (): unknown => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
      catch: () => Problem.invalid("The body is not JSON in UTF-8.")
    }),
    (body) => {
      if (!isRecord(body)) return Either.left(Problem.invalid("The body is not a JSON object."))
      const path = Depth.tooDeep(body)
      return path === undefined
        ? Either.right({ ...body })
        : Either.left(
            Problem.invalid(`Invalid value for '${Depth.fieldOf(path)}': ${Depth.fault}.`, Depth.fieldOf(path))
          )
    }
  )
}

/** What the request says of its length. */
const announced = (request: HttpServerRequest.HttpServerRequest): number =>
  Number(request.headers["content-length"] ?? 0)

/** The body as a JSON object. */
export const read = (
  limit: number
): Effect.Effect<Record<string, unknown>, Problem.Problem, HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const encoding = request.headers["content-encoding"] ?? "identity"
    if (encoding !== "identity") return Effect.fail(Problem.unreadable(encoding))
    if (announced(request) > limit) return Effect.fail(Problem.tooLarge(limit))
    const { source } = request
    return Effect.flatMap(
      source instanceof IncomingMessage ? fromNode(source, limit) : fromStream(request, limit),
      parse
    )
  })
