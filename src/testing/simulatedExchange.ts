/** One request to the simulated provider and its answer, with faults. */
import { parseJson } from "../wire/json.js"
import { Clock, Deferred, Duration, Effect, Either, Random, Redacted, Ref } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as ApiKey from "../vocabulary/ApiKey.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Usage from "../vocabulary/Usage.js"
import * as Framing from "../wire/framing.js"
import type { ServerWire, WireFailure } from "../wire/Wire.js"
import type { SimulatedEmbeddings } from "./simulatedProtocols.js"
import { chatAt, embeddingsAt, modelsAt } from "./simulatedProtocols.js"
import type { Delay, Exchange, Fault, Options, SimulatedKey } from "./model.js"
import * as Script from "./simulatedScript.js"
import { answerTo, vectorOf } from "./simulatedAnswer.js"
import { wordByWord } from "./TestLLM.js"
import * as Fibers from "../internal/fibers.js"

interface Provider {
  readonly options: Options
  /** Faults queued for the next requests. */
  readonly queue: Ref.Ref<ReadonlyArray<Fault | undefined>>
  /** The times of the latest requests of each limited key. */
  readonly starts: Ref.Ref<ReadonlyMap<string, ReadonlyArray<number>>>
  /** The entries of the script that were used. */
  readonly taken: Ref.Ref<Script.Taken>
  /** Requests so far. */
  readonly count: Ref.Ref<number>
}

const contentTypes = { sse: "text/event-stream", ndjson: "application/x-ndjson" } as const

// -------------------------------------------------------------------------------------
// Node's streams as effects
// -------------------------------------------------------------------------------------

const bodyOf = (request: IncomingMessage): Effect.Effect<string> =>
  Effect.async((resume) => {
    let text = ""
    request.setEncoding("utf8")
    request.on("data", (piece: string) => {
      text += piece
    })
    request.on("end", () => resume(Effect.succeed(text)))
  })

/** Ends when the client disconnects. */
const clientLeaves = (response: ServerResponse): Effect.Effect<void> =>
  Effect.async((resume) => {
    const left = () => resume(Effect.void)
    if (response.destroyed || response.socket?.destroyed === true) left()
    else response.once("close", left)
    return Effect.sync(() => response.off("close", left))
  })

const write = (response: ServerResponse, text: string | Uint8Array): Effect.Effect<void> =>
  Effect.async((resume) => {
    response.write(text, () => resume(Effect.void))
  })

const finish = (response: ServerResponse): Effect.Effect<void> =>
  Effect.async((resume) => {
    response.end(() => resume(Effect.void))
  })

const resetConnection = (response: ServerResponse): Effect.Effect<void> =>
  Effect.sync(() => {
    response.socket?.resetAndDestroy()
  })

// -------------------------------------------------------------------------------------
// keys
// -------------------------------------------------------------------------------------

interface Refusal {
  readonly status: number
  readonly message: string
  readonly code: string
  readonly retryAfter?: number
}

/** Counts the request against the key's limit and returns 0, or returns the seconds until the limit allows it. */
const consumeLimit = (provider: Provider, key: SimulatedKey, now: number): Effect.Effect<number> => {
  const { limit } = key
  if (limit === undefined) return Effect.succeed(0)
  const span = Duration.toMillis(limit.per)
  return Ref.modify(provider.starts, (before): readonly [number, ReadonlyMap<string, ReadonlyArray<number>>] => {
    const recent = (before.get(key.key) ?? []).filter((start) => start > now - span)
    const oldest = recent[recent.length - limit.requests]
    return oldest === undefined
      ? [0, new Map(before).set(key.key, [...recent, now])]
      : [(oldest + span - now) / 1000, before]
  })
}

const statusOf = (fault: Extract<Fault, { readonly _tag: "Status" }>): Refusal => ({
  status: fault.status,
  message: fault.message ?? `Simulated ${fault.status}.`,
  code: fault.code ?? "simulated",
  ...(fault.retryAfter === undefined ? {} : { retryAfter: Duration.toSeconds(fault.retryAfter) })
})

const refusalOf = (provider: Provider, secret: string, now: number): Effect.Effect<Refusal | undefined> => {
  const { keys } = provider.options
  if (keys === undefined) return Effect.succeed(undefined)
  const key = keys.find(({ key }) => key === secret)
  if (key === undefined || key.revoked === true) {
    return Effect.succeed({ status: 401, message: "Incorrect API key provided.", code: "invalid_api_key" })
  }
  if (key.outOfQuota === true) {
    return Effect.succeed({ status: 429, message: "You exceeded your current quota.", code: "insufficient_quota" })
  }
  return Effect.map(consumeLimit(provider, key, now), (wait) =>
    wait === 0
      ? undefined
      : { status: 429, message: "Rate limit reached.", code: "rate_limit_exceeded", retryAfter: wait }
  )
}

// -------------------------------------------------------------------------------------
// answers
// -------------------------------------------------------------------------------------

const delay = (wanted: Delay | undefined): Effect.Effect<void> => {
  if (wanted === undefined) return Effect.void
  if (typeof wanted !== "object" || !("min" in wanted)) return Effect.sleep(wanted)
  const min = Duration.toMillis(wanted.min)
  return Effect.flatMap(Random.nextRange(min, Duration.toMillis(wanted.max)), Effect.sleep)
}

const rawOf = (body: unknown): Record<string, unknown> => (typeof body === "object" && body !== null ? { ...body } : {})

/** The pieces of an answer, the delay between them, and the fault. */
interface Output {
  readonly pieces: ReadonlyArray<string>
  readonly interval: Effect.Effect<void>
  readonly fault: Fault | undefined
}

const sendPiece = (response: ServerResponse, piece: string, fault: Fault | undefined): Effect.Effect<void> =>
  fault?._tag === "Drip"
    ? Effect.forEach(Buffer.from(piece), (byte) => write(response, Uint8Array.of(byte)), { discard: true })
    : write(response, piece)

type Ending = Pick<Exchange, "outcome" | "events">

const aborted: Ending = { outcome: "aborted", events: 0 }

/** Sends the pieces up to the fault, and then the fault. */
const sendAll = (
  response: ServerResponse,
  { fault, interval, pieces }: Output,
  errorPiece: string
): Effect.Effect<Ending> => {
  const faultAt = fault !== undefined && "after" in fault ? Math.min(fault.after, pieces.length - 1) : pieces.length
  const faulted = (events: number): Ending => ({ outcome: "faulted", events })
  const good = Effect.forEach(
    pieces.slice(0, faultAt),
    (piece, index) => Effect.zipRight(index === 0 ? Effect.void : interval, sendPiece(response, piece, fault)),
    { discard: true }
  )
  const ending = (): Effect.Effect<Ending> => {
    switch (fault?._tag) {
      case "Reset":
        return Effect.as(resetConnection(response), faulted(faultAt))
      case "Truncate":
        return Effect.as(finish(response), faulted(faultAt))
      case "BrokenEvent":
        return Effect.as(Effect.zipRight(write(response, 'data: {"broken": \n\n'), finish(response)), faulted(faultAt))
      case "ErrorEvent":
        return Effect.as(Effect.zipRight(write(response, errorPiece), finish(response)), faulted(faultAt))
      case "Hang":
      case "NeverClose":
        return Effect.never
      default:
        return Effect.as(finish(response), { outcome: "complete", events: pieces.length })
    }
  }
  return Effect.zipRight(good, Effect.suspend(ending))
}

const half = (text: string): ReadonlyArray<string> => [
  text.slice(0, Math.ceil(text.length / 2)),
  text.slice(Math.ceil(text.length / 2))
]

// -------------------------------------------------------------------------------------
// exchanges
// -------------------------------------------------------------------------------------

const secretOf = ({ headers }: IncomingMessage): string => {
  const apiKey = headers["api-key"] ?? headers["x-api-key"] ?? headers["x-goog-api-key"]
  return typeof apiKey === "string" ? apiKey : (headers.authorization ?? "").replace(/^Bearer /, "")
}

/**
 * Ends as the first effect does, after the other has been interrupted. Unlike `Effect.raceFirst`, it also ends when its fiber is
 * interrupted between forking the two fibers and starting them.
 */
const firstOf = <A>(self: Effect.Effect<A>, that: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const first = yield* Deferred.make<A>()
      const fibers = [
        yield* Effect.fork(Effect.intoDeferred(restore(self), first)),
        yield* Effect.fork(Effect.intoDeferred(restore(that), first))
      ]
      return yield* Effect.ensuring(restore(Deferred.await(first)), Fibers.interruptAll(fibers))
    })
  )

/** Serves one request until its end, or until the client disconnects, and returns its log entry. */
export const serve = (
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse
): Effect.Effect<Exchange> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const startedAt = clock.unsafeCurrentTimeMillis()
    const path = (request.url ?? "").split("?")[0] ?? ""
    const secret = secretOf(request)
    const index = yield* Ref.getAndUpdate(provider.count, (n) => n + 1)
    let sentStatus = 0
    let streamed = false
    let body: unknown

    const head = (status: number, headers: Readonly<Record<string, string>>): void => {
      sentStatus = status
      response.writeHead(status, { "x-request-id": `simulated-${index}`, ...headers })
    }

    const refuse = (
      wire: ServerWire | undefined,
      { code, message, retryAfter, status }: Refusal
    ): Effect.Effect<Ending> => {
      head(status, {
        "content-type": "application/json",
        ...(retryAfter === undefined ? {} : { "retry-after": String(Math.ceil(retryAfter * 1000) / 1000) })
      })
      const error = { status, message, code }
      response.write(JSON.stringify(wire === undefined ? { error } : wire.encodeError(error)))
      return Effect.as(finish(response), { outcome: "complete", events: 0 })
    }

    const sendJson = (whole: unknown): Effect.Effect<Ending> => {
      head(200, { "content-type": "application/json" })
      response.write(JSON.stringify(whole))
      return Effect.as(finish(response), { outcome: "complete", events: 0 })
    }

    const invalid = (failure: WireFailure): Refusal => ({
      status: 400,
      message: `Invalid request. ${failure._tag === "Malformed" ? `${failure.path}: ${failure.excerpt}` : ""}`,
      code: "invalid_request"
    })

    const answerEmbeddings = (wire: SimulatedEmbeddings): Effect.Effect<Ending> =>
      Effect.gen(function* () {
        const decoded = wire.decodeRequest(body, { path, headers: request.headers })
        if (Either.isLeft(decoded)) return yield* refuse(undefined, invalid(decoded.left))
        const { dimensions, input, model } = decoded.right
        if (input.length > wire.maxBatch) {
          return yield* refuse(undefined, {
            status: 400,
            message: `Too many inputs: at most ${wire.maxBatch} are allowed.`,
            code: "invalid_request"
          })
        }
        const queued = yield* Ref.modify(provider.queue, (faults) => [faults[0], faults.slice(1)])
        if (queued?._tag === "Status") return yield* refuse(undefined, statusOf(queued))
        yield* delay(provider.options.latency)
        const answer = {
          model: model ?? "simulated",
          embeddings: input.map((one) => vectorOf(String(one), dimensions ?? 8)),
          usage: Usage.make({ inputTokens: Usage.estimateAll(input) })
        }
        return yield* sendJson(wire.encodeResponse(answer, rawOf(body)))
      })

    const answerChat = (
      wire: ServerWire,
      chatRequest: ChatRequest,
      stream: boolean,
      raw: Record<string, unknown>
    ): Effect.Effect<Ending> =>
      Effect.gen(function* () {
        const queued = yield* Ref.modify(provider.queue, (faults) => [faults[0], faults.slice(1)])
        const outage = queued ?? provider.options.faults?.(index, chatRequest)
        if (outage?._tag === "Status") return yield* refuse(wire, statusOf(outage))
        const { script = [] } = provider.options
        const entry = yield* Ref.modify(provider.taken, (taken) => Script.take(script, chatRequest, taken))
        yield* delay(entry?.delay)
        const fault = outage ?? entry?.fault
        if (fault?._tag === "Status") return yield* refuse(wire, statusOf(fault))
        if (fault?._tag === "RefuseStreamOptions" && "stream_options" in raw) {
          return yield* refuse(wire, {
            status: 400,
            message: "Unrecognized request argument supplied: stream_options",
            code: "unknown_parameter"
          })
        }
        if (fault?._tag === "Hang" && fault.after === 0) return yield* Effect.never
        if (fault?._tag === "Reset" && fault.after === 0) {
          return yield* Effect.as(resetConnection(response), { outcome: "faulted" as const, events: 0 })
        }
        yield* delay(provider.options.latency)
        if (fault?._tag === "Garbage") {
          head(200, { "content-type": "text/html" })
          response.write("<html><body>This is not the API you are looking for.</body></html>")
          return yield* Effect.as(finish(response), { outcome: "faulted" as const, events: 0 })
        }
        const createdAt = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const answer = answerTo(entry?.answer ?? provider.options.answer, chatRequest, index, fault?._tag === "NoUsage")
        const error = JSON.stringify(
          wire.encodeError({
            status: 500,
            message: fault?._tag === "ErrorEvent" ? (fault.message ?? "Simulated error.") : "",
            code: fault?._tag === "ErrorEvent" ? (fault.code ?? "server_error") : ""
          })
        )
        head(200, {
          "content-type": stream ? contentTypes[wire.framing] : "application/json",
          "cache-control": "no-cache"
        })
        if (!stream) {
          const whole =
            fault?._tag === "ErrorEvent"
              ? error
              : JSON.stringify(wire.encodeResponse(answer, { request: raw, createdAt }))
          const pieces = fault === undefined || fault._tag === "ErrorEvent" ? [whole] : half(whole)
          return yield* sendAll(
            response,
            { pieces, interval: Effect.void, fault: fault?._tag === "ErrorEvent" ? undefined : fault },
            ""
          )
        }
        const encoder = wire.encodeStream(fault?._tag === "NoUsage" ? {} : raw, createdAt)
        const pieces = wordByWord(answer)
          .flatMap((event) => encoder.push(event))
          .map((frame) => Framing.render(wire.framing, frame))
        return yield* sendAll(
          response,
          { pieces, interval: delay(provider.options.tokenPace), fault },
          Framing.render(wire.framing, { event: "error", data: error })
        )
      })

    const handled: Effect.Effect<Ending> = Effect.gen(function* () {
      const text = yield* bodyOf(request)
      body = parseJson(text)
      const refusal = yield* refusalOf(provider, secret, startedAt)
      const wire = chatAt(path, provider.options.chatCompletions)
      if (refusal !== undefined) return yield* refuse(wire, refusal)
      const list = request.method === "GET" ? modelsAt(path, request.headers) : undefined
      if (list !== undefined) return yield* sendJson(list.encodeResponse(provider.options.models ?? ["simulated"]))
      const vectors = embeddingsAt(path)
      if (vectors !== undefined) return yield* answerEmbeddings(vectors)
      if (wire === undefined) {
        return yield* refuse(undefined, { status: 404, message: `Unknown path ${path}.`, code: "not_found" })
      }
      const decoded = wire.decodeRequest(body, { path, headers: request.headers })
      if (Either.isLeft(decoded)) {
        return yield* refuse(wire, invalid(decoded.left))
      }
      streamed = decoded.right.stream
      return yield* answerChat(wire, decoded.right.request, decoded.right.stream, rawOf(body))
    })

    const ending = yield* firstOf(handled, Effect.as(clientLeaves(response), aborted))
    return {
      ...ending,
      keyId: secret === "" ? "" : ApiKey.fingerprint(Redacted.make(secret)),
      path,
      body,
      stream: streamed,
      status: sentStatus,
      startedAt,
      duration: clock.unsafeCurrentTimeMillis() - startedAt
    }
  })
