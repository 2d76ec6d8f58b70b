/** A provider of Chat Completions in memory whose responses take real time, over a direct transport and over an `HttpClient`. */
import { HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { Effect } from "effect"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as Direct from "../../src/call/direct.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"

/** The response to one request. */
export interface Reply {
  /** Milliseconds before the head and before each piece of the body; at 0 each is a task, at "now" all come before `send` returns. */
  readonly pace: number | "now"
  /** The status; "refused" when there is no connection, "silent" when there is no response. @default 200 */
  readonly status?: number | "refused" | "silent"
  readonly headers?: Readonly<Record<string, string>>
  /** The answer. @default "one two three" */
  readonly answer?: Answer
  /** The body in place of the answer. */
  readonly body?: string
  /** The number of pieces before the end; fewer than the answer has cut it off. @default all */
  readonly pieces?: number
  /** What follows the pieces. @default "close" */
  readonly end?: "close" | "reset" | "stay open"
}

/** An answer in both of its forms. */
export interface Answer {
  readonly whole: string
  /** The pieces of the stream. */
  readonly pieces: ReadonlyArray<string>
}

const frame = (data: object): string =>
  `data: ${JSON.stringify({ id: "answer", object: "chat.completion.chunk", created: 1, model: "answering", ...data })}\n\n`

const usage = { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 }

/** An event in each piece of the stream. */
const oneTwoThree: Answer = {
  whole: JSON.stringify({
    id: "answer",
    object: "chat.completion",
    created: 1,
    model: "answering",
    choices: [{ index: 0, message: { role: "assistant", content: "one two three" }, finish_reason: "stop" }],
    usage
  }),
  pieces: [
    ...["one", " two", " three"].map((content) =>
      frame({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })
    ),
    frame({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }),
    frame({ choices: [], usage }),
    "data: [DONE]\n\n"
  ]
}

const halves = (text: string): ReadonlyArray<string> => [text.slice(0, text.length / 2), text.slice(text.length / 2)]

const reset = (): Error => Object.assign(new Error("other side closed"), { code: "ECONNRESET" })

const refused = (): Error => Object.assign(new Error("connect"), { code: "ECONNREFUSED" })

const encoder = new TextEncoder()

const stepsOf = (
  { answer = oneTwoThree, body, end = "close", headers, pieces = Infinity, status = 200 }: Reply,
  isStream: boolean,
  sink: Direct.Sink
): ReadonlyArray<() => void> => {
  if (status === "silent") return []
  if (status === "refused") return [() => sink.onError(refused())]
  const streamed = isStream && body === undefined
  const type = { "content-type": streamed ? "text/event-stream" : "application/json", ...headers }
  const whole = streamed ? answer.pieces : halves(body ?? answer.whole)
  return [
    () => sink.onHead(status, type),
    ...whole.slice(0, pieces).map((piece) => () => sink.onData(encoder.encode(piece))),
    ...(end === "stay open" ? [] : [end === "close" ? sink.onEnd : () => sink.onError(reset())])
  ]
}

type Controller = ReadableStreamDefaultController<Uint8Array>

/** The body of a response. Each pull takes one piece, so that a reset discards no earlier piece. */
const makeBody = (cancel: () => void) => {
  const parts: Array<(controller: Controller) => void> = []
  let wake = (): void => {}
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        if (parts.length === 0) await new Promise<void>((resolve) => (wake = resolve))
        parts.shift()?.(controller)
      },
      cancel
    },
    { highWaterMark: 0 }
  )
  return {
    stream,
    add: (part: (controller: Controller) => void): void => {
      parts.push(part)
      wake()
    }
  }
}

export interface TimedProvider {
  readonly http: HttpClient.HttpClient
  readonly sent: () => number
  /** The requests in flight. */
  readonly open: () => number
  /** Waits until a response stays open, or has done so before. */
  readonly hung: Effect.Effect<void>
}

/** A provider with a response for each request by its number, from 0. */
export const make = (replyTo: (index: number) => Reply): TimedProvider => {
  let sent = 0
  let open = 0
  let hasHung = false
  let onHung = (): void => {}
  const hang = (): void => {
    hasHung = true
    onHung()
  }

  const transport: Direct.DirectTransport = {
    send: ({ body = "" }, sink) => {
      const reply = replyTo(sent++)
      const { end, pace, status } = reply
      const steps = stepsOf(reply, body.includes('"stream":true'), sink)
      const neverEnds = end === "stay open" || status === "silent"
      let next = 0
      let isPaused = false
      let isOver = false
      let timer: ReturnType<typeof setTimeout> | undefined
      let task: NodeJS.Immediate | undefined
      open++

      const stop = (): void => {
        clearTimeout(timer)
        clearImmediate(task)
        timer = undefined
        task = undefined
      }
      const over = (): void => {
        if (isOver) return
        isOver = true
        open--
        stop()
      }
      const run = (): void => {
        stop()
        const step = steps[next++]
        if (step === undefined) return hang()
        if (next === steps.length && !neverEnds) over()
        step()
        schedule()
      }
      const schedule = (): void => {
        if (isOver || isPaused || timer !== undefined || task !== undefined || next > steps.length) return
        if (pace === "now") run()
        else if (pace === 0) task = setImmediate(run)
        else timer = setTimeout(run, pace)
      }
      schedule()
      return {
        abort: over,
        pause: () => {
          isPaused = true
          stop()
        },
        resume: () => {
          isPaused = false
          schedule()
        }
      }
    }
  }

  const http = HttpClient.make((request, url, signal) =>
    Effect.async<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>((resume) => {
      let exchange: Direct.Exchange | undefined
      const abort = (): void => exchange?.abort()
      const body = makeBody(abort)
      let hasHead = false
      const sending = transport.send(
        {
          method: "POST",
          url: url.href,
          headers: request.headers,
          body: request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
        },
        {
          onHead: (status, headers) => {
            hasHead = true
            const response = new Response(body.stream, { status, headers: { ...headers } })
            resume(Effect.succeed(HttpClientResponse.fromWeb(request, response)))
          },
          onData: (bytes) => body.add((controller) => controller.enqueue(bytes)),
          onEnd: () => body.add((controller) => controller.close()),
          onError: (cause) =>
            hasHead
              ? body.add((controller) => controller.error(cause))
              : resume(Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", cause })))
        }
      )
      exchange = sending
      signal.addEventListener("abort", abort, { once: true })
      return Effect.sync(abort)
    })
  )
  Direct.register(http, transport)

  return {
    http,
    sent: () => sent,
    open: () => open,
    hung: Effect.async((resume) => {
      onHung = () => resume(Effect.void)
      if (hasHung) onHung()
    })
  }
}

/** The permits of the limiter, which has as good as no refill. */
export const capacity = 10_000

export interface Settings {
  readonly provider: string
  readonly keys: KeyPool.Options["keys"]
  readonly pool?: Omit<KeyPool.Options, "provider" | "keys">
  readonly limiter?: Partial<RateLimiter.Options>
  readonly llm?: Omit<LLM.Options, "model">
  /** Whether the limiter limits tokens, of which there are enough. @default true */
  readonly countsTokens?: boolean
  /** Whether a listener of usage gets the attempts. @default true */
  readonly reportsUsage?: boolean
}

export interface Setup {
  readonly llm: LLM.Service
  /** The attempts that were reported, in the order of their ends. */
  readonly attempts: ReadonlyArray<UsageLedger.Attempt>
}

/** An `LLM` of a provider, with a limiter of requests and tokens, and a listener of usage. */
export const setup = (
  server: TimedProvider,
  { countsTokens = true, keys, limiter, llm, pool, provider, reportsUsage = true }: Settings
) =>
  Effect.gen(function* () {
    const attempts: Array<UsageLedger.Attempt> = []
    const ledger = yield* UsageLedger.make()
    const made = yield* LLM.make({ model: "asked", ...llm }).pipe(
      Effect.provide(ChatCompletionsClient.layer({ provider, baseUrl: "http://provider.test/v1" })),
      Effect.provide(KeyPool.layer({ provider, keys, ...pool })),
      Effect.provide(
        RateLimiter.layer({ capacity, refillRate: 1e-9, ...(countsTokens ? { tokensPerMinute: 1e9 } : {}), ...limiter })
      ),
      Effect.provideService(HttpClient.HttpClient, server.http),
      Effect.flatMap(reportsUsage ? UsageLedger.middleware() : Effect.succeed),
      Effect.provideService(UsageLedger.UsageLedger, {
        ...ledger,
        record: (attempt) => Effect.sync(() => void attempts.push(attempt))
      })
    )
    return { llm: made, attempts } satisfies Setup
  })
