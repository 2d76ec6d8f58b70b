/** An in-memory server with a scripted response for each request, behind an `HttpClient` and its direct transport. */
import { HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { Clock, Effect, Either, Stream } from "effect"
import type * as Direct from "../../src/call/direct.js"
import { register } from "../../src/call/direct.js"
import type { AnswerSoFar } from "../../src/call/collector.js"
import type * as DirectClient from "../../src/call/directClient.js"
import type { ProviderClient } from "../../src/index.js"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import type { ChatEvent, Collected } from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"

/** What the server does after the last piece of the body. */
export type End = "close" | "reset" | "stay open"

export interface Script {
  /** The error of a connection that is not made; then there is no response. */
  readonly refused?: Error
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly pieces?: ReadonlyArray<Uint8Array>
  readonly end?: End
}

export interface ScriptedServer {
  readonly http: HttpClient.HttpClient
  readonly transport: Direct.DirectTransport
  /** The requests so far, of both forms. */
  readonly requests: Array<Direct.DirectRequest>
  /** The requests of the direct form in flight. */
  readonly open: () => number
  /** The calls of `pause` and `resume` so far. */
  readonly flow: Array<"pause" | "resume">
}

const encoder = new TextEncoder()

export const bytes = (text: string): ReadonlyArray<Uint8Array> => (text === "" ? [] : [encoder.encode(text)])

export const dribbled = (text: string): ReadonlyArray<Uint8Array> =>
  Array.from(encoder.encode(text), (byte) => Uint8Array.of(byte))

const reset = (): Error => Object.assign(new Error("other side closed"), { code: "ECONNRESET" })

const webBody = ({ end = "close", pieces = [] }: Script): ReadableStream<Uint8Array> => {
  let next = 0
  return new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        const piece = pieces[next++]
        if (piece !== undefined) controller.enqueue(piece)
        else if (end === "close") controller.close()
        else if (end === "reset") controller.error(reset())
        else return new Promise<never>(() => undefined)
        return undefined
      }
    },
    { highWaterMark: 0 }
  )
}

/** Reports synchronously, within `send`, or each event in a microtask of its own. */
export type Timing = "synchronous" | "asynchronous"

export const make = (
  answer: (request: Direct.DirectRequest, count: number) => Script,
  timing: Timing = "asynchronous"
): ScriptedServer => {
  const requests: Array<Direct.DirectRequest> = []
  const flow: Array<"pause" | "resume"> = []
  let open = 0
  const next = (request: Direct.DirectRequest): Script => {
    requests.push(request)
    return answer(request, requests.length)
  }
  const transport: Direct.DirectTransport = {
    send: (request, sink) => {
      const { end = "close", headers = {}, pieces = [], refused, status = 200 } = next(request)
      let isOver = false
      open++
      const over = (): void => {
        if (!isOver) open--
        isOver = true
      }
      const steps: Array<() => void> =
        refused === undefined
          ? [() => sink.onHead(status, headers), ...pieces.map((piece) => () => sink.onData(piece))]
          : []
      if (refused !== undefined || end === "reset") {
        steps.push(() => {
          over()
          sink.onError(refused ?? reset())
        })
      } else if (end === "close") {
        steps.push(() => {
          over()
          sink.onEnd()
        })
      }
      const run = (at: number): void => {
        const step = steps[at]
        if (isOver || step === undefined) return
        step()
        if (timing === "synchronous") run(at + 1)
        else queueMicrotask(() => run(at + 1))
      }
      if (timing === "synchronous") run(0)
      else queueMicrotask(() => run(0))
      return {
        abort: over,
        pause: () => void flow.push("pause"),
        resume: () => void flow.push("resume")
      }
    }
  }
  const http = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const { "content-length": _, ...headers } = request.headers
      const script = next({
        method: request.method === "GET" ? "GET" : "POST",
        url: url.href,
        headers,
        ...(request.body._tag === "Uint8Array" ? { body: new TextDecoder().decode(request.body.body) } : {})
      })
      return script.refused === undefined
        ? Effect.succeed(
            HttpClientResponse.fromWeb(
              request,
              new Response(webBody(script), { status: script.status ?? 200, headers: { ...script.headers } })
            )
          )
        : Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", cause: script.refused }))
    })
  )
  register(http, transport)
  return { http, transport, requests, flow, open: () => open }
}

export const call = { model: "asked", key: ApiKey.make("sk-test-0123456789", { id: "key-1" }) }

// -------------------------------------------------------------------------------------
// the outcomes of both forms, without times
// -------------------------------------------------------------------------------------

/** The fields of an error. */
export const plainError = (error: LLMError): object => ({ ...error, message: error.message })

export const plainAnswer = (answer: ChatResponse): object => ({
  ...answer,
  latency: 0,
  attempts: answer.attempts.map((attempt) => ({ ...attempt, duration: 0 }))
})

const plainEvent = (event: ChatEvent): object => {
  switch (event._tag) {
    case "Start":
      return { ...event, attempts: event.attempts.map((attempt) => ({ ...attempt, duration: 0 })) }
    case "Finish":
      return { ...event, latency: 0 }
    default:
      return event
  }
}

export interface Streamed {
  readonly events: ReadonlyArray<object>
  readonly end: "complete" | object
}

const streamed = (events: ReadonlyArray<ChatEvent>, error: LLMError | undefined): Streamed => ({
  events: events.map(plainEvent),
  end: error === undefined ? "complete" : plainError(error)
})

export const chat = (client: ProviderClient.Service, request: ChatRequest): Effect.Effect<object> =>
  Effect.match(client.chat(request, call), { onFailure: plainError, onSuccess: plainAnswer })

export const chatStream = (client: ProviderClient.Service, request: ChatRequest): Effect.Effect<Streamed> =>
  Effect.suspend(() => {
    const events: Array<ChatEvent> = []
    return Effect.match(
      Stream.runForEachChunk(client.chatStream(request, call), (chunk) =>
        Effect.sync(() => void events.push(...chunk))
      ),
      { onFailure: (error) => streamed(events, error), onSuccess: () => streamed(events, undefined) }
    )
  })

export const directCall = (options: Partial<DirectClient.DirectCall> = {}): Effect.Effect<DirectClient.DirectCall> =>
  Effect.map(Clock.clockWith(Effect.succeed), (clock) => ({
    ...call,
    clock,
    onRateLimits: () => undefined,
    rawProtocol: undefined,
    ...options
  }))

export const directChat = (
  client: DirectClient.DirectClient,
  request: ChatRequest,
  options: Partial<DirectClient.DirectCall> = {}
): Effect.Effect<Either.Either<ChatResponse, LLMError>> =>
  Effect.flatMap(directCall(options), (call) =>
    Effect.async((resume) => {
      const { abort } = client.chat(request, call, (result) => resume(Effect.succeed(result)))
      return Effect.sync(abort)
    })
  )

export interface DirectlyStreamed {
  /** The events of each network read. */
  readonly reads: ReadonlyArray<ReadonlyArray<ChatEvent>>
  readonly error: LLMError | undefined
  readonly collected: Collected | undefined
  readonly generatedTokens: number
}

export const directStream = (
  client: DirectClient.DirectClient,
  request: ChatRequest,
  options: Partial<DirectClient.DirectCall> = {}
): Effect.Effect<DirectlyStreamed> =>
  Effect.flatMap(directCall(options), (call) =>
    Effect.async((resume) => {
      const reads: Array<ReadonlyArray<ChatEvent>> = []
      let answer: AnswerSoFar | undefined
      const end = (error?: LLMError): void =>
        resume(
          Effect.succeed({
            reads,
            error,
            collected: answer?.collected,
            generatedTokens: answer?.generatedTokens() ?? 0
          })
        )
      const { abort } = client.chatStream(request, call, {
        onEvents: (events, soFar) => {
          reads.push(events)
          answer = soFar
        },
        onEnd: () => end(),
        onError: (error, soFar) => {
          answer = soFar
          end(error)
        }
      })
      return Effect.sync(abort)
    })
  )

/** The outcome of the direct form, as `chat` has it. */
export const plainResult: (result: Either.Either<ChatResponse, LLMError>) => object = Either.match({
  onLeft: plainError,
  onRight: plainAnswer
})

/** The outcome of the direct form, as `chatStream` has it. */
export const plainStream = ({ error, reads }: DirectlyStreamed): Streamed => streamed(reads.flat(), error)
