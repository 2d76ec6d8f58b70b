/**
 * Replays recorded provider traffic from the folder `LLM_FIXTURES`. Without the variable, the suite is skipped.
 */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Stream } from "effect"
import { createServer } from "node:http"
import * as ApiKey from "../src/vocabulary/ApiKey.js"
import * as ChatEvent from "../src/vocabulary/ChatEvent.js"
import * as Chat from "../src/vocabulary/Chat.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as EmbeddingsClient from "../src/provider/EmbeddingsClient.js"
import * as LLM from "../src/LLM.js"
import type { LLMError } from "../src/vocabulary/LLMError.js"
import * as DirectClient from "../src/call/directClient.js"
import * as ProviderClient from "../src/call/ProviderClient.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import { compareAnswer, compareEmbeddings, compareError } from "./conformance/comparison.js"
import type { Exchange } from "./conformance/exchanges.js"
import { load } from "./conformance/exchanges.js"
import type { Protocol } from "./conformance/protocols.js"
import { embedders, protocols } from "./conformance/protocols.js"
import * as Server from "./support/scriptedServer.js"
import { fromEither } from "../src/internal/asEffect.js"

const folder = process.env["LLM_FIXTURES"]

interface Replay extends Exchange {
  readonly wireProtocol: Protocol
  readonly question: Chat.ChatRequest
}

/** Of several recorded answers the first is read, which a call requests without `n`. */
const withoutN = ({ extra = {}, ...request }: Chat.ChatRequest): Chat.ChatRequest => {
  const { n: _, ...others } = extra
  return { ...request, extra: others }
}

/** The recorded request if the vocabulary can express it, else any question, since the answer does not depend on it. */
const questionOf = ({ path, requestBody }: Exchange, { wire }: Protocol): Chat.ChatRequest =>
  Either.getOrElse(
    Either.map(wire.decodeRequest(requestBody, { path, headers: {} }), ({ request }) => withoutN(request)),
    (): Chat.ChatRequest => ({ messages: [Chat.user("A question that was not recorded.")] })
  )

const replays: ReadonlyArray<Replay> =
  folder === undefined
    ? []
    : Object.entries(protocols).flatMap(([name, wireProtocol]) =>
        load(folder, name).map((exchange) => ({
          ...exchange,
          wireProtocol,
          question: questionOf(exchange, wireProtocol)
        }))
      )

const modelOf = ({ question, requestBody }: Replay): string =>
  question.model ??
  (typeof requestBody === "object" &&
  requestBody !== null &&
  "model" in requestBody &&
  typeof requestBody.model === "string"
    ? requestBody.model
    : "asked")

const clientLayer = ({ provider, wireProtocol }: Replay, baseUrl: string) => wireProtocol.client({ provider, baseUrl })

/** Calls through an `LLM` with key pool, limiter and client. */
const askLLM = (exchange: Replay, baseUrl: string) =>
  LLM.make({ model: modelOf(exchange), retry: false, telemetry: false, timeouts: false }).pipe(
    Effect.flatMap((llm) =>
      exchange.streaming ? ChatEvent.collect(llm.chatStream(exchange.question)) : llm.chat(exchange.question)
    ),
    Effect.provide(clientLayer(exchange, baseUrl)),
    Effect.provide(KeyPool.layer({ provider: exchange.provider, keys: ["a-key-for-the-loopback"] })),
    Effect.provide(RateLimiter.layerUnlimited),
    Effect.catchTags({ InvalidPoolError: Effect.die, InvalidLLMError: Effect.die })
  )

/** Calls through the client alone, which is faster for many calls. */
const askClient = (exchange: Replay, client: ProviderClient.Service) => {
  const { question } = exchange
  const call = { model: modelOf(exchange), key: ApiKey.make("a-key-for-the-loopback") }
  return exchange.streaming ? ChatEvent.collect(client.chatStream(question, call)) : client.chat(question, call)
}

/** The differences between an answer and its expectation. */
const faults = <R>(exchange: Replay, answer: Effect.Effect<Chat.ChatResponse, LLMError, R>) =>
  Effect.gen(function* () {
    const result = yield* Effect.either(answer)
    const isError = exchange.expected.kind === "error"
    if (Either.isRight(result)) {
      return isError ? ["an answer instead of an error"] : compareAnswer(result.right, exchange)
    }
    const { acceptable_error_class: acceptable } = exchange.expected
    return isError
      ? compareError(result.left, exchange)
      : acceptable !== undefined
        ? compareError(result.left, exchange, { kind: "error", error_class: acceptable })
        : [`an error instead of an answer: ${result.left._tag}: ${result.left.message}`]
  })

/** A base URL for clients that need no server. */
const nowhere = "http://loopback.invalid/v1"

/** A loopback server that answers every request with the recorded response. */
const replaying = (exchange: Exchange) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const { "content-length": _, "transfer-encoding": __, "content-encoding": ___, ...headers } = exchange.headers
        const server = createServer((request, response) => {
          request.resume()
          request.on("end", () => {
            response.writeHead(exchange.status, headers)
            response.end(exchange.body)
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.async<void>((resume) => {
          server.closeAllConnections()
          server.close(() => resume(Effect.void))
        })
    ),
    (server) => {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/v1`
    }
  )

const dribbled = (body: Uint8Array): ReadonlyArray<Uint8Array> => {
  const size = Math.ceil(body.length / 256)
  return Array.from({ length: Math.ceil(body.length / size) }, (_, index) =>
    body.subarray(index * size, (index + 1) * size)
  )
}

/** Calls through the direct form of the client. */
const askDirect = (exchange: Replay, client: ProviderClient.Service): Effect.Effect<Chat.ChatResponse, LLMError> => {
  const direct = DirectClient.of(client)
  if (direct === undefined) return Effect.dieMessage("The client has no direct form.")
  const { question } = exchange
  const options = { model: modelOf(exchange), key: ApiKey.make("a-key-for-the-loopback") }
  return exchange.streaming
    ? Effect.flatMap(Server.directStream(direct, question, options), ({ error, reads }) =>
        ChatEvent.collect(
          Stream.concat(Stream.fromIterable(reads.flat()), error === undefined ? Stream.empty : Stream.fail(error))
        )
      )
    : Effect.flatMap(Server.directChat(direct, question, options), (answer) => fromEither(answer))
}

/** A client over a server in memory that answers with the recorded response, in the pieces that `pieces` returns. */
const directly = (exchange: Replay, pieces: () => ReadonlyArray<Uint8Array>) => {
  const { headers, status } = exchange
  const lowerCased = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const { http } = Server.make(() => ({ status, headers: lowerCased, pieces: pieces() }))
  return Effect.provide(
    ProviderClient.ProviderClient,
    Layer.provide(clientLayer(exchange, nowhere), Layer.succeed(HttpClient.HttpClient, http))
  )
}

/** An HTTP client that answers with the recorded response, in the chunks that `pieces` returns at the time of the request. */
const inMemory = (exchange: Exchange, pieces: () => ReadonlyArray<Uint8Array>): Layer.Layer<HttpClient.HttpClient> =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.sync(() =>
        HttpClientResponse.fromWeb(
          request,
          new Response(
            new ReadableStream({
              start: (controller) => {
                for (const piece of pieces()) controller.enqueue(piece)
                controller.close()
              }
            }),
            { status: exchange.status, headers: exchange.headers }
          )
        )
      )
    )
  )

/** Every position of a short stream, four positions of other bodies, and one in the middle of a character. */
const cuts = ({ body, status, streaming }: Exchange): ReadonlyArray<number> => {
  const isStream = streaming && status < 400
  const step = isStream && body.length <= 256 ? 1 : Math.ceil(body.length / 4)
  const even = Array.from({ length: Math.floor(body.length / step) }, (_, index) => index * step)
  const continuation = body.findIndex((byte) => (byte & 0b1100_0000) === 0b1000_0000)
  return continuation < 0 ? even : [...even, continuation]
}

describe.runIf(folder !== undefined)("recorded chat traffic", () => {
  for (const exchange of replays) {
    describe(exchange.name, () => {
      it.scopedLive("is read as recorded when it is sent in one piece over a socket", () =>
        Effect.gen(function* () {
          const baseUrl = yield* replaying(exchange)
          expect(yield* faults(exchange, askLLM(exchange, baseUrl))).toEqual([])
        }).pipe(Effect.provide(NodeHttpClient.layerUndici))
      )
      it.live("is read as recorded when it arrives in 256 pieces", () =>
        Effect.gen(function* () {
          expect(yield* faults(exchange, askLLM(exchange, nowhere))).toEqual([])
        }).pipe(Effect.provide(inMemory(exchange, () => dribbled(exchange.body))))
      )
      it.live("is read as recorded by the direct form of the client, in 256 pieces and in two", () =>
        Effect.gen(function* () {
          const inPieces = yield* directly(exchange, () => dribbled(exchange.body))
          expect(yield* faults(exchange, askDirect(exchange, inPieces))).toEqual([])
          let cut = 0
          const inTwo = yield* directly(exchange, () => [exchange.body.subarray(0, cut), exchange.body.subarray(cut)])
          for (cut of cuts(exchange)) {
            expect(yield* faults(exchange, askDirect(exchange, inTwo)), `cut at byte ${cut}`).toEqual([])
          }
        })
      )
      it.live("is read as recorded when it arrives in two pieces", () =>
        Effect.gen(function* () {
          let cut = 0
          const pieces = () => [exchange.body.subarray(0, cut), exchange.body.subarray(cut)]
          const client = yield* Effect.provide(
            ProviderClient.ProviderClient,
            Layer.provide(clientLayer(exchange, nowhere), inMemory(exchange, pieces))
          )
          for (cut of cuts(exchange)) {
            expect(yield* faults(exchange, askClient(exchange, client)), `cut at byte ${cut}`).toEqual([])
          }
        })
      )
    })
  }
})

const embeddings =
  folder === undefined
    ? []
    : Object.entries(embedders).flatMap(([name, wireOf]) =>
        load(folder, name).map((exchange) => ({ exchange, wire: wireOf(exchange.provider) }))
      )

describe.runIf(folder !== undefined)("recorded embedding traffic", () => {
  // A name that is written as a property is cut, by each version of Vitest in its own way.
  it.each(embeddings.map((each) => [each.exchange.name, each] as const))(
    "reads %s as recorded",
    (_, { exchange, wire }) =>
      Effect.gen(function* () {
        const baseUrl = yield* replaying(exchange)
        const client = yield* EmbeddingsClient.make({ provider: exchange.provider, baseUrl, embeddings: wire })
        const llm = yield* LLM.make({ model: "asked", retry: false, telemetry: false, timeouts: false }).pipe(
          Effect.provideService(ProviderClient.ProviderClient, client),
          Effect.provide(KeyPool.layer({ provider: exchange.provider, keys: ["a-key-for-the-loopback"] })),
          Effect.provide(RateLimiter.layerUnlimited)
        )
        const { count = 1, kind } = exchange.expected
        const result = yield* Effect.either(llm.embed(Array.from({ length: count }, () => "A text.")))
        const faults = Either.match(result, {
          onLeft: (error) => (kind === "error" ? compareError(error, exchange) : [error.message]),
          onRight: (answer) => (kind === "error" ? ["no error"] : compareEmbeddings(answer, exchange.expected))
        })
        expect(faults).toEqual([])
      }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici), Effect.runPromise)
  )
})
