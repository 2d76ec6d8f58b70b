/** Calls without a network, for their costs: a provider of Chat Completions in memory, and an `LLM` with each of the features. */
import { HttpClient, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { Chunk, Context, DefaultServices, Effect, Layer, Option, Stream, Tracer } from "effect"
import * as Budget from "../../src/accounting/Budget.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import * as Direct from "../../src/call/direct.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import type { ChatResponse } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../src/vocabulary/Usage.js"

// -------------------------------------------------------------------------------------
// a provider in memory
// -------------------------------------------------------------------------------------

const url = "http://provider.invalid/v1"

const wholeAnswer = JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "model",
  choices: [{ index: 0, message: { role: "assistant", content: "Paris." }, finish_reason: "stop" }],
  usage: { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 }
})

const frame = (data: object): string =>
  `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "model", ...data })}\n\n`

const delta = frame({ choices: [{ index: 0, delta: { content: "token " }, finish_reason: null }] })

/** The network reads of a streamed answer, one for each delta. */
const readsOf = (deltas: number): ReadonlyArray<Uint8Array> => {
  const end =
    frame({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }) +
    frame({ choices: [], usage: { prompt_tokens: 12, completion_tokens: deltas, total_tokens: 12 + deltas } }) +
    "data: [DONE]\n\n"
  const encoder = new TextEncoder()
  return [...Array.from({ length: deltas }, () => encoder.encode(delta)), encoder.encode(end)]
}

const contentType = (isStream: boolean) => ({ "content-type": isStream ? "text/event-stream" : "application/json" })

const isStreamed = (body: string): boolean => body.includes('"stream":true')

const textOf = ({ body }: HttpClientRequest.HttpClientRequest): string =>
  body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""

const bodyOf = (reads: ReadonlyArray<Uint8Array>): ReadableStream<Uint8Array> => {
  const iterator = reads.values()
  return new ReadableStream({
    pull: (controller) => {
      const { done, value } = iterator.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    }
  })
}

const makePortable = (reads: ReadonlyArray<Uint8Array>): HttpClient.HttpClient =>
  HttpClient.make((request) =>
    Effect.sync(() => {
      const streamed = isStreamed(textOf(request))
      const body = streamed ? bodyOf(reads) : wholeAnswer
      return HttpClientResponse.fromWeb(request, new Response(body, { headers: contentType(streamed) }))
    })
  )

/** Reports a whole answer before `send` returns, and a streamed one a read at a time, each in a task of its own as a socket does. */
const makeTransport = (reads: ReadonlyArray<Uint8Array>): Direct.DirectTransport => {
  const whole = new TextEncoder().encode(wholeAnswer)
  return {
    send: ({ body = "" }, sink) => {
      const streamed = isStreamed(body)
      sink.onHead(200, contentType(streamed))
      if (!streamed) {
        sink.onData(whole)
        sink.onEnd()
        return { abort: () => {}, pause: () => {}, resume: () => {} }
      }
      let position = 0
      let isPaused = false
      let task: NodeJS.Immediate | undefined
      const report = (): void => {
        task = undefined
        const read = reads[position++]
        if (read === undefined) return sink.onEnd()
        sink.onData(read)
        schedule()
      }
      const schedule = (): void => {
        if (!isPaused && task === undefined && position <= reads.length) task = setImmediate(report)
      }
      const cancel = (): void => {
        clearImmediate(task)
        task = undefined
      }
      schedule()
      return {
        abort: () => {
          position = reads.length + 1
          cancel()
        },
        pause: () => {
          isPaused = true
          cancel()
        },
        resume: () => {
          isPaused = false
          schedule()
        }
      }
    }
  }
}

/** A way to the provider. */
export interface Provider {
  readonly name: string
  /** An `HttpClient` of a provider whose streamed answers have this number of deltas. */
  readonly http: (deltas: number) => HttpClient.HttpClient
}

export const portable: Provider = { name: "HttpClient in memory", http: (deltas) => makePortable(readsOf(deltas)) }

export const direct: Provider = {
  name: "direct transport in memory",
  http: (deltas) => {
    const client = makePortable(readsOf(deltas))
    Direct.register(client, makeTransport(readsOf(deltas)))
    return client
  }
}

/** The least that a request through the `HttpClient` costs: it is executed and the text of its response is read. */
export const bareRequest = (provider: Provider): Effect.Effect<string> => {
  const http = provider.http(0)
  const request = HttpClientRequest.post(`${url}/chat/completions`).pipe(HttpClientRequest.bodyUnsafeJson({}))
  return Effect.orDie(Effect.flatMap(http.execute(request), (response) => response.text))
}

const defaultTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** A tracer that exports nothing: calls make their spans only for a tracer that is not Effect's default one. */
export const tracer: Tracer.Tracer = {
  ...defaultTracer,
  span: (...args: Parameters<Tracer.Tracer["span"]>) => defaultTracer.span(...args)
}

/** An `LLM` with the defaults, a pool of three keys and a rate limiter, over a provider. */
export const configured = (
  { http }: Provider,
  options: { readonly deltas?: number } & Omit<LLM.Options, "model"> = {}
): Effect.Effect<LLM.Service> => {
  const { deltas = 0, ...rest } = options
  return LLM.make({ model: "model", ...rest }).pipe(
    Effect.provide(ChatCompletionsClient.layer({ provider: "test", baseUrl: url })),
    Effect.provide(KeyPool.layer({ provider: "test", keys: ["key-one", "key-two", "key-three"] })),
    Effect.provide(RateLimiter.layer({ capacity: 1e9, refillRate: 1e9 })),
    Effect.provideService(HttpClient.HttpClient, http(deltas)),
    Effect.orDie
  )
}

/** A stream of events that are ready, one in each chunk. */
export const readyStream = (count: number): Stream.Stream<ChatEvent.ChatEvent> =>
  Stream.suspend(() => {
    let remaining = count
    const event = Chunk.of<ChatEvent.ChatEvent>({ _tag: "TextDelta", text: "token ", index: 0 })
    return Stream.repeatEffectChunkOption(
      Effect.suspend(() => (remaining-- > 0 ? Effect.succeed(event) : Effect.fail(Option.none())))
    )
  })

// -------------------------------------------------------------------------------------
// what each feature adds
// -------------------------------------------------------------------------------------

export const request = {
  messages: [Chat.system("A few hundred words of instructions. ".repeat(60)), Chat.user("The capital of France?")],
  maxTokens: 10
}

const response: ChatResponse = Chat.withContent(
  {
    id: "answer",
    provider: "test",
    model: "model",
    finishReason: "stop",
    rawFinishReason: "stop",
    usage: Usage.make({ inputTokens: 10, outputTokens: 5 }),
    latency: 1,
    keyId: "0",
    attempts: [{ provider: "test", model: "model", keyId: "0", duration: 1 }],
    providerMetadata: {}
  },
  [Chat.text("Paris.")]
)

const overClient = (
  client: Pick<ProviderClient.Service, "chat" | "chatStream">,
  options: Omit<LLM.Options, "model"> = {}
): Effect.Effect<LLM.Service> =>
  LLM.make({ model: "model", telemetry: false, timeouts: false, retry: false, ...options }).pipe(
    Effect.provide(Layer.succeed(ProviderClient.ProviderClient, { provider: "test", wire: "test", ...client })),
    Effect.provide(KeyPool.layer({ provider: "test", keys: ["key"] })),
    Effect.provide(RateLimiter.layerUnlimited),
    Effect.orDie
  )

const answering = (options?: Omit<LLM.Options, "model">) =>
  overClient(
    { chat: () => Effect.succeed(response), chatStream: () => Stream.fromIterable(ChatEvent.fromResponse(response)) },
    options
  )

/** An `LLM` without optional features, whose client answers at once. */
export const plain = answering()

const silent = overClient({ chat: () => Effect.never, chatStream: () => Stream.never })

const balance = (count: number, options: Balance.Options = {}) =>
  Effect.flatMap(plain, (llm) =>
    Balance.make(
      Array.from({ length: count }, (_, index) => ({ llm, id: `${index}` })),
      options
    )
  )

const budgets: ReadonlyArray<Budget.Options> = [
  { name: "all", limit: { dollars: 1e6 }, period: "day" },
  { name: "team", limit: { tokens: 1e12 }, period: { rolling: "1 hour" }, scope: "each-label" }
]

const budgeted = (rules: ReadonlyArray<Budget.Options>) =>
  Effect.flatMap(Effect.zip(plain, Budget.make(rules)), ([llm, budget]) => budget.middleware(llm))

const cached = Effect.flatMap(Effect.zip(plain, ResponseCache.make({ streams: true })), ([llm, cache]) =>
  cache.middleware(llm)
).pipe(Effect.provide(CacheStore.layerMemory()))

const withPrices = <A, E>(made: Effect.Effect<A, E>): Effect.Effect<A> =>
  Effect.orDie(Effect.provide(made, Pricing.layer({ test: { model: { input: 1, cachedInput: 0.1, output: 4 } } })))

/** `plain` with one feature each. */
export const features = {
  "cache hit": withPrices(cached),
  "cache bypassed": withPrices(
    Effect.map(cached, (llm): LLM.Service => ({
      ...llm,
      chat: (input) => ResponseCache.bypass(llm.chat(input)),
      chatStream: (input) =>
        Stream.provideService(llm.chatStream(input), ResponseCache.CurrentCacheControl, { mode: "bypass" })
    }))
  ),
  retry: withPrices(answering({ retry: {} })),
  "time limits": withPrices(answering({ timeouts: {} })),
  telemetry: withPrices(answering({ telemetry: {} })),
  "balance over 3": withPrices(balance(3)),
  "balance over 100": withPrices(balance(100)),
  "balance over 100, sticky": withPrices(balance(100, { strategy: Balance.sticky(() => "a conversation") })),
  "fallback of 3": withPrices(Effect.flatMap(plain, (llm) => Fallback.make([llm, llm])(llm))),
  hedge: withPrices(Effect.flatMap(plain, (llm) => Hedge.make([llm])(llm))),
  // The first LLM never answers, and the second is called at once.
  "hedge, both requests sent": withPrices(
    Effect.flatMap(Effect.zip(plain, silent), ([llm, hanging]) =>
      Hedge.make([llm], { delay: 0, maxExtraLoad: 1 })(hanging)
    )
  ),
  price: withPrices(Effect.flatMap(plain, Pricing.middleware())),
  ledger: withPrices(Effect.provide(Effect.flatMap(plain, UsageLedger.middleware()), UsageLedger.layer())),
  budget: withPrices(budgeted(budgets.slice(0, 1))),
  "two budgets": withPrices(budgeted(budgets))
} as const satisfies Readonly<Record<string, Effect.Effect<LLM.Service>>>
