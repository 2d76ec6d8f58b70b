/**
 * The contract of a protocol: how it encodes and decodes the vocabulary. A wire is pure, without effects, HTTP or a clock.
 *
 * The client's half encodes requests and decodes responses; the server's half does the reverse, for simulators and gateways.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import { Anthropic, ChatCompletions, type Wire } from "effect-llm/wire"
 *
 * const from: Wire.ServerWire = ChatCompletions.server()
 * const to: Wire.ClientWire = Anthropic.client()
 *
 * // The body of an Anthropic request, from the body of a request to Chat Completions.
 * const translate = (body: unknown) =>
 *   Either.flatMap(from.decodeRequest(body), ({ request, stream }) =>
 *     to.encodeRequest(request, { provider: "anthropic", model: "claude-sonnet-4-5", stream })
 *   )
 * ```
 *
 * @since 0.1.0
 */
import type { Either } from "effect"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import * as Usage from "../vocabulary/Usage.js"

/**
 * One message of a stream: an SSE event, or a line of NDJSON.
 *
 * @since 0.1.0
 * @category model
 */
export interface Frame {
  /** The name of the SSE event, if it has one. */
  readonly event?: string | undefined
  readonly data: string
}

/**
 * A request without the address and the key.
 *
 * @since 0.1.0
 * @category model
 */
export interface WireRequest {
  /** Appended to the base URL of the endpoint; begins with a slash. */
  readonly path: string
  /** Query parameters of the protocol. */
  readonly query?: Readonly<Record<string, string>>
  /** Headers of the protocol. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body: Record<string, unknown>
}

/**
 * The address of a request to a server, for protocols that have the model and the kind of answer there and not in the body.
 *
 * @since 0.1.0
 * @category model
 */
export interface Address {
  /** Without the query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

/**
 * Why a wire failed to encode or decode.
 *
 * - `Malformed`: the value at `path` does not follow the protocol.
 * - `Reported`: the other side reported an error under status 200 or inside a stream. The client classifies `body` as an error.
 * - `Truncated`: the stream ended before the answer.
 * - `Unsupported`: the protocol has no field for a part of the request.
 * - `Invalid`: the provider does not accept the value of a field of the request.
 *
 * @since 0.1.0
 * @category model
 */
export type WireFailure =
  | { readonly _tag: "Malformed"; readonly path: string; readonly excerpt: string }
  | { readonly _tag: "Reported"; readonly body: unknown }
  | { readonly _tag: "Truncated" }
  | { readonly _tag: "Unsupported"; readonly feature: string }
  | { readonly _tag: "Invalid"; readonly field: string; readonly message: string }

/**
 * A setting of the choice of tokens that not every provider has.
 *
 * @since 0.2.0
 * @category model
 */
export type SamplingField = "topK" | "frequencyPenalty" | "presencePenalty" | "logitBias" | "logprobs"

/**
 * The provider and model of a request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Peer {
  /** The name of the provider in responses and errors, and on reasoning that only it can read back. */
  readonly provider: string
  /** The requested model, used when the request or the response names none. */
  readonly model: string
}

/**
 * How a request is encoded.
 *
 * @since 0.2.0
 * @category model
 */
export interface EncodeOptions extends Peer {
  readonly stream: boolean
  /**
   * Whether JSON Schemas are sent as they are, those of strict tools and answers too: they were written for this protocol.
   *
   * @default false
   */
  readonly keepsSchemas?: boolean
}

/**
 * The provider and model of a response, and an estimate of its input.
 *
 * @since 0.1.0
 * @category model
 */
export interface AnswerSource extends Peer {
  /** Input tokens to report when the provider sends no counts. */
  readonly estimatedInputTokens: number
}

/**
 * A whole response without the fields that the client adds.
 *
 * @since 0.1.0
 * @category model
 */
export type WireResponse = Omit<ChatResponse, "provider" | "latency" | "keyId" | "attempts" | "cached">

/**
 * The events of a stream without `Start`, which the client adds, and `Continued`, which joins two streams.
 *
 * A decoder numbers the parts of an answer from 0 in the order in which they begin, and emits content for every index before
 * `Finish`, so that the indexes are those of the content. Deltas of several parts can be interleaved.
 *
 * @since 0.1.0
 * @category model
 */
export type WireEvent = Exclude<ChatEvent, { readonly _tag: "Start" | "Continued" }>

/**
 * Decodes one stream. It has the state of that stream, such as open tool calls: make one for each stream.
 *
 * @since 0.1.0
 * @category model
 */
export interface StreamDecoder {
  /** The id of the response; empty until the provider sends it. */
  readonly id: string
  /** The model of the response; the requested one until the provider names another. */
  readonly model: string
  /**
   * - `open`: the answer is not complete.
   * - `finishing`: the model has stopped; the usage can still follow.
   * - `done`: `Finish` was emitted, and later frames are ignored.
   */
  readonly state: "open" | "finishing" | "done"
  /** The usage so far; an estimate until the provider has sent its counts. */
  readonly usage: Usage.Usage
  /** Decodes one frame and appends its events to `out`. Events appended before a failure are valid. */
  readonly push: (frame: Frame, out: Array<WireEvent>) => WireFailure | undefined
  /** Ends the stream: appends the events still due, `Finish` included, or fails with `Truncated`. */
  readonly end: (out: Array<WireEvent>) => WireFailure | undefined
}

/**
 * Encodes one stream of a server. Make one for each stream.
 *
 * @since 0.1.0
 * @category model
 */
export interface StreamEncoder {
  /** The frames of an event; none when the protocol has no frame for it, or when the event waits for the end of an earlier part. */
  readonly push: (event: ChatEvent) => ReadonlyArray<Frame>
  /** The frames that end the stream with an error. */
  readonly fail: (error: ServedError) => ReadonlyArray<Frame>
}

/**
 * An error of a server.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServedError {
  readonly status: number
  readonly message: string
  readonly code?: string
  readonly type?: string
  /** The invalid field of the request, for protocols that name it. */
  readonly param?: string
  /**
   * The id of the request, for protocols whose errors contain it.
   *
   * @since 0.2.0
   */
  readonly requestId?: string
}

/**
 * Fields of a server's response that are not part of the answer, for protocols that have them.
 *
 * @since 0.1.0
 * @category model
 */
export interface Served {
  /** The request of the client, whose fields some responses repeat. @default `{}` */
  readonly request?: Record<string, unknown>
  /** The time of the response in seconds since the epoch, since a wire has no clock. @default 0 */
  readonly createdAt?: number
  /**
   * The time of its end.
   *
   * @default `createdAt`
   * @since 0.2.0
   */
  readonly completedAt?: number
}

/**
 * The vectors of one request in the order of its texts.
 *
 * @since 0.1.0
 * @category model
 */
export interface WireEmbeddings {
  /** The model of the response; the requested one when the provider names none. */
  readonly model: string
  readonly embeddings: ReadonlyArray<ReadonlyArray<number>>
  readonly usage: Usage.Usage
}

/**
 * The client's half of a protocol for embeddings.
 *
 * @since 0.1.0
 * @category model
 */
export interface EmbeddingsWire {
  /** The largest number of texts in one request. */
  readonly maxBatch: number
  /** The largest number of tokens in one request, over all its texts. @default not limited */
  readonly maxBatchTokens?: number
  /**
   * The protocol of bodies that reach the server as a gateway's client wrote them, but for the model, and the path for a model. Absent
   * where the gateway writes them anew.
   *
   * @since 0.2.0
   */
  readonly verbatim?: { readonly protocol: string; readonly path: (model: string) => string }
  /** Encodes a request. */
  readonly encodeRequest: (request: EmbeddingRequest, peer: Peer) => Either.Either<WireRequest, WireFailure>
  /**
   * Decodes a parsed response to `count` texts. `request` is the body that was sent: some of its fields determine the encoding of
   * vectors.
   */
  readonly decodeResponse: (
    body: unknown,
    source: AnswerSource & {
      readonly count: number
      readonly dimensions?: number | undefined
      readonly request?: Readonly<Record<string, unknown>> | undefined
    }
  ) => Either.Either<WireEmbeddings, WireFailure>
}

/**
 * The server's half of a protocol for embeddings.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServedEmbeddingsWire {
  /** Decodes a parsed request. */
  readonly decodeRequest: (body: unknown, address?: Address) => Either.Either<EmbeddingRequest, WireFailure>
  /** Encodes a response. `request` is the body of the client: some of its fields determine the encoding of vectors. */
  readonly encodeResponse: (answer: WireEmbeddings, request: Record<string, unknown>) => Record<string, unknown>
}

/**
 * A model that a provider offers.
 *
 * @since 0.1.0
 * @category model
 */
export interface ListedModel {
  /** The name of the model in requests. */
  readonly id: string
  /** The largest number of tokens of a request and its answer together, if the provider reports it. */
  readonly contextWindow?: number
  /** The entry of the provider's list, unchanged. */
  readonly details: Readonly<Record<string, unknown>>
}

/**
 * The client's half of a protocol for the list of models.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelsWire {
  /** Appended to the base URL of the endpoint; begins with a slash. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** Decodes a parsed page. `next` is the query of the page after it. */
  readonly decodeResponse: (
    body: unknown
  ) => Either.Either<
    { readonly models: ReadonlyArray<ListedModel>; readonly next?: Readonly<Record<string, string>> },
    WireFailure
  >
}

/**
 * The server's half of a protocol for the list of models.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServedModelsWire {
  /** Encodes the whole list. */
  readonly encodeResponse: (ids: ReadonlyArray<string>) => unknown
}

/**
 * Where a body goes that is sent as its client wrote it, and what has to be set in it.
 *
 * @since 0.2.0
 * @category model
 */
export interface VerbatimAddress extends Omit<WireRequest, "body"> {
  /** Fields of the body that are set. One that is undefined is removed. */
  readonly fields: Readonly<Record<string, unknown>>
  /** Fields that are set in objects of the body; other members of these objects stay. */
  readonly merged?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/**
 * How a server of a protocol gets bodies that a gateway's client wrote in the same protocol.
 *
 * @since 0.2.0
 * @category model
 */
export interface Verbatim {
  /** The address for a parsed body. `headers` are those of the client that are passed on; names are in lower case. */
  readonly address: (
    body: Readonly<Record<string, unknown>>,
    options: Peer & { readonly stream: boolean; readonly headers: Readonly<Record<string, string>> }
  ) => VerbatimAddress
  /** Fields of a body that have the same meaning: where one of them is changed, the others are removed. */
  readonly aliases: ReadonlyArray<ReadonlyArray<string>>
}

/**
 * Where a server takes the affinity of a request: in a field of its body, or in a header in lower case.
 *
 * @since 0.2.0
 * @category model
 */
export type AffinityHint = { readonly field: string } | { readonly header: string }

/**
 * The client's half of a protocol: all that is needed to call a provider.
 *
 * @since 0.1.0
 * @category model
 */
export interface ClientWire {
  readonly name: string
  readonly framing: "sse" | "ndjson"
  /** Absent when the protocol has no embeddings. */
  readonly embeddings?: EmbeddingsWire
  /** Absent when the protocol has no list of models. */
  readonly models?: ModelsWire

  /** Encodes a request. */
  readonly encodeRequest: (request: ChatRequest, options: EncodeOptions) => Either.Either<WireRequest, WireFailure>
  /**
   * The request without an optional field that the server has just rejected with `message`; undefined when the message is about
   * anything else. Absent when the protocol has no such field.
   */
  readonly dropUnsupportedField?: (request: WireRequest, message: string) => WireRequest | undefined
  /**
   * The field of the body, or the header, by which the server sends requests of one conversation to the same cache. Absent when it has none.
   *
   * @since 0.2.0
   */
  readonly affinity?: AffinityHint
  /**
   * How the server gets bodies that a gateway's client wrote in this protocol. Its answers go to that client as they came. Absent
   * when the server deviates from the protocol: then requests are encoded, and the forms of reasoning and tool calls repaired.
   *
   * @since 0.2.0
   */
  readonly verbatim?: Verbatim
  /** Decodes a parsed response. */
  readonly decodeResponse: (body: unknown, source: AnswerSource) => Either.Either<WireResponse, WireFailure>
  /** Makes the decoder of one stream. */
  readonly decodeStream: (source: AnswerSource) => StreamDecoder
}

/**
 * The server's half of a protocol: all that simulators and gateways need.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServerWire {
  readonly name: string
  readonly framing: "sse" | "ndjson"

  /** Decodes a parsed request. */
  readonly decodeRequest: (
    body: unknown,
    address?: Address
  ) => Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure>
  /** Encodes a whole response. */
  readonly encodeResponse: (response: ChatResponse, served?: Served) => Record<string, unknown>
  /**
   * Makes the encoder of one stream. Some frames depend on `request`, the body of the client. `createdAt` is that of `Served`; `now` is the
   * current time in the same unit, for protocols that tell when an answer has ended.
   */
  readonly encodeStream: (request: Record<string, unknown>, createdAt?: number, now?: () => number) => StreamEncoder
  /** Encodes an error. */
  readonly encodeError: (error: ServedError) => Record<string, unknown>
}

/**
 * Both halves of a protocol.
 *
 * @since 0.1.0
 * @category model
 */
export interface Wire extends ClientWire, ServerWire {
  readonly dropUnsupportedField: (request: WireRequest, message: string) => WireRequest | undefined
}

/**
 * A failure to decode the value at a path, with its first 200 characters.
 *
 * @since 0.1.0
 * @category constructors
 */
export const malformed = (path: string, found: unknown): WireFailure => ({
  _tag: "Malformed",
  path,
  excerpt: (typeof found === "string" ? found : (JSON.stringify(found) ?? String(found))).slice(0, 200)
})

/**
 * The counts of a provider, checked by `Usage.checked`; an estimate when it sent none. `output` is all text of the model, or returns its
 * estimated tokens.
 *
 * @since 0.2.0
 * @category constructors
 */
export const usageOf = (
  counts: Usage.Usage | undefined,
  source: AnswerSource,
  output: string | (() => number)
): Usage.Usage =>
  counts === undefined ? estimatedUsage(source, output) : Usage.checked(counts, () => estimatedUsage(source, output))

/**
 * Usage estimated from the length of the output, for providers that send no counts.
 *
 * @since 0.1.0
 * @category constructors
 */
export const estimatedUsage = (source: AnswerSource, output: string | (() => number)): Usage.Usage =>
  Usage.make({
    inputTokens: source.estimatedInputTokens,
    outputTokens: typeof output === "string" ? Usage.estimateTokens(output) : output(),
    estimated: true
  })
