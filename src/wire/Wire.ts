/**
 * How a protocol writes the vocabulary, in both directions. A wire is pure: data in, data out, no effects, no HTTP and no
 * clock.
 *
 * The client's side encodes requests and decodes answers; the server's side does the reverse, for simulators and gateways.
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
  /** The SSE event's name, where it has one. */
  readonly event?: string | undefined
  readonly data: string
}

/**
 * A request as it goes over the network, less the address and the key.
 *
 * @since 0.1.0
 * @category model
 */
export interface WireRequest {
  /** Below the endpoint's base URL, beginning with a slash. */
  readonly path: string
  /** What the protocol says in the URL. */
  readonly query?: Readonly<Record<string, string>>
  /** What the protocol says in headers. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body: Record<string, unknown>
}

/**
 * Where a server was asked, for protocols that say there, and not in the body, which model is asked and whether it shall
 * stream.
 *
 * @since 0.1.0
 * @category model
 */
export interface Address {
  /** Without the query. */
  readonly path: string
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

/**
 * What a wire could not do with what it was given.
 *
 * - `Malformed`: it is not of the protocol. `path` says where.
 * - `Reported`: it is an error that the other side reported in band, under status 200 or in the middle of a stream. What it
 *   means is decided elsewhere, from `body`.
 * - `Truncated`: the stream ended before the answer did.
 * - `Unsupported`: the vocabulary says something that the protocol has no word for.
 *
 * @since 0.1.0
 * @category model
 */
export type WireFailure =
  | { readonly _tag: "Malformed"; readonly path: string; readonly excerpt: string }
  | { readonly _tag: "Reported"; readonly body: unknown }
  | { readonly _tag: "Truncated" }
  | { readonly _tag: "Unsupported"; readonly feature: string }

/**
 * For whom a request is written and from whom an answer is read.
 *
 * @since 0.1.0
 * @category model
 */
export interface Peer {
  /** The name of the provider, as it stands in answers and errors, and on thoughts that only it understands. */
  readonly provider: string
  /** The model asked for, used where the request names none and where the answer names none. */
  readonly model: string
}

/**
 * Whose answer is read, and what is taken for its input where nobody counts.
 *
 * @since 0.1.0
 * @category model
 */
export interface AnswerSource extends Peer {
  /** What to report as input where the provider counts nothing, in tokens. */
  readonly estimatedInputTokens: number
}

/**
 * A whole answer, less what only the client knows.
 *
 * @since 0.1.0
 * @category model
 */
export type WireResponse = Omit<ChatResponse, "provider" | "latency" | "keyId" | "attempts">

/**
 * What a stream says, less `Start`, which only the client can write, and `Continued`, which joins two streams.
 *
 * @since 0.1.0
 * @category model
 */
export type WireEvent = Exclude<ChatEvent, { readonly _tag: "Start" | "Continued" }>

/**
 * Reads one stream. It holds the state of that stream (open tool calls, the usage so far), so there is one for each.
 *
 * @since 0.1.0
 * @category model
 */
export interface StreamDecoder {
  /** The answer's id, empty until and unless the provider sends it. */
  readonly id: string
  /** The model that answers; the one asked for until the provider says otherwise. */
  readonly model: string
  /**
   * - `open`: the answer goes on.
   * - `finishing`: the model has stopped, but its usage may still follow.
   * - `done`: `Finish` has been given out, and nothing that follows matters.
   */
  readonly state: "open" | "finishing" | "done"
  /** What was consumed so far; an estimate unless the provider has sent its counts. */
  readonly usage: Usage.Usage
  /** Reads one frame and appends what it says to `out`. What was appended before a failure holds. */
  readonly push: (frame: Frame, out: Array<WireEvent>) => WireFailure | undefined
  /** Nothing more will come: appends what is still owed, `Finish` included, or says that the answer is cut off. */
  readonly end: (out: Array<WireEvent>) => WireFailure | undefined
}

/**
 * Writes one stream, for a server. There is one for each stream.
 *
 * @since 0.1.0
 * @category model
 */
export interface StreamEncoder {
  /** The frames that say what the event says; none where the protocol has no word for it. */
  readonly push: (event: ChatEvent) => ReadonlyArray<Frame>
  /** The frames that say that the stream has failed and that nothing follows. */
  readonly fail: (error: ServedError) => ReadonlyArray<Frame>
}

/**
 * What went wrong, as a server tells it.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServedError {
  readonly status: number
  readonly message: string
  readonly code?: string
  readonly type?: string
  /** The field of the request that is at fault, for protocols that name it. */
  readonly param?: string
}

/**
 * What a server tells beside the answer, for protocols that tell it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Served {
  /** What the client asked for, where the answer repeats it. @default `{}` */
  readonly request?: Record<string, unknown>
  /** When the answer was made, in seconds since the epoch: a wire has no clock. @default 0 */
  readonly createdAt?: number
}

/**
 * The vectors of one request, in the order of its texts.
 *
 * @since 0.1.0
 * @category model
 */
export interface WireEmbeddings {
  /** The model that answered; the one asked for where the provider does not say. */
  readonly model: string
  readonly embeddings: ReadonlyArray<ReadonlyArray<number>>
  readonly usage: Usage.Usage
}

/**
 * How a protocol embeds texts.
 *
 * @since 0.1.0
 * @category model
 */
export interface EmbeddingsWire {
  /** The most texts that one request may have. */
  readonly maxBatch: number
  /** The most tokens that one request may have, all its texts together. @default not limited */
  readonly maxBatchTokens?: number
  /** The client writes a request. */
  readonly encodeRequest: (request: EmbeddingRequest, peer: Peer) => Either.Either<WireRequest, WireFailure>
  /**
   * The client reads an answer, already parsed from JSON, to this many texts. `request` is the body that was sent: some of it decides
   * how vectors are written.
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
 * How a server that embeds texts speaks a protocol.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServedEmbeddingsWire {
  /** A server reads a request, already parsed from JSON. */
  readonly decodeRequest: (body: unknown, address?: Address) => Either.Either<EmbeddingRequest, WireFailure>
  /** A server writes an answer. `request` is what the client asked for: some of it decides how vectors are written. */
  readonly encodeResponse: (answer: WireEmbeddings, request: Record<string, unknown>) => Record<string, unknown>
}

/**
 * A model that a provider offers.
 *
 * @since 0.1.0
 * @category model
 */
export interface ListedModel {
  /** As it stands in requests. */
  readonly id: string
  /** The most tokens that a request and its answer may have together, where the provider says. */
  readonly contextWindow?: number
  /** What else the provider says of it, in its own words. */
  readonly details: Readonly<Record<string, unknown>>
}

/**
 * How a protocol lists the models that a key may ask.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelsWire {
  /** Below the endpoint's base URL, beginning with a slash. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** The client reads a page, already parsed from JSON. `next`: the query of the page after it. */
  readonly decodeResponse: (
    body: unknown
  ) => Either.Either<
    { readonly models: ReadonlyArray<ListedModel>; readonly next?: Readonly<Record<string, string>> },
    WireFailure
  >
}

/**
 * How a server lists its models.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServedModelsWire {
  /** A server writes the whole list. */
  readonly encodeResponse: (ids: ReadonlyArray<string>) => unknown
}

/**
 * A protocol as a client speaks it: all that is needed to ask a provider.
 *
 * @since 0.1.0
 * @category model
 */
export interface ClientWire {
  readonly name: string
  readonly framing: "sse" | "ndjson"
  /** Absent where the protocol has no embeddings. */
  readonly embeddings?: EmbeddingsWire
  /** Absent where the protocol cannot list its models. */
  readonly models?: ModelsWire

  /** Writes a request. */
  readonly encodeRequest: (
    request: ChatRequest,
    options: Peer & { readonly stream: boolean }
  ) => Either.Either<WireRequest, WireFailure>
  /**
   * The same request without something that the server has just refused and that can be done without; nothing where
   * `message`, the server's complaint, is about anything else. Absent where there is no such thing.
   */
  readonly withoutRefused?: (request: WireRequest, message: string) => WireRequest | undefined
  /** Reads a whole answer, already parsed from JSON. */
  readonly decodeResponse: (body: unknown, source: AnswerSource) => Either.Either<WireResponse, WireFailure>
  /** Reads a stream. */
  readonly decodeStream: (source: AnswerSource) => StreamDecoder
}

/**
 * A protocol as a server speaks it: what simulators and gateways need.
 *
 * @since 0.1.0
 * @category model
 */
export interface ServerWire {
  readonly name: string
  readonly framing: "sse" | "ndjson"

  /** Reads a request, already parsed from JSON. */
  readonly decodeRequest: (
    body: unknown,
    address?: Address
  ) => Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure>
  /** Writes a whole answer. */
  readonly encodeResponse: (response: ChatResponse, served?: Served) => Record<string, unknown>
  /** Writes a stream. `request` is what the client asked for: some frames depend on it. `createdAt` is that of `Served`. */
  readonly encodeStream: (request: Record<string, unknown>, createdAt?: number) => StreamEncoder
  /** Writes an error. */
  readonly encodeError: (error: ServedError) => Record<string, unknown>
}

/**
 * One protocol, in both directions.
 *
 * @since 0.1.0
 * @category model
 */
export interface Wire extends ClientWire, ServerWire {
  readonly withoutRefused: (request: WireRequest, message: string) => WireRequest | undefined
}

/**
 * A failure to read what stands at a path, with the first 200 characters of it.
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
 * What a provider counted, as far as it can be believed (`Usage.checked`); what was consumed as `estimatedUsage` has it where it
 * counted nothing. `output` is all that the model wrote.
 *
 * @since 0.2.0
 * @category constructors
 */
export const usageOf = (counts: Usage.Usage | undefined, source: AnswerSource, output: string): Usage.Usage =>
  counts === undefined ? estimatedUsage(source, output) : Usage.checked(counts, () => estimatedUsage(source, output))

/**
 * What was consumed, judged by the length of what was said, for providers that do not count.
 *
 * @since 0.1.0
 * @category constructors
 */
export const estimatedUsage = (source: AnswerSource, output: string): Usage.Usage =>
  Usage.make({
    inputTokens: source.estimatedInputTokens,
    outputTokens: Usage.estimateTokens(output),
    estimated: true
  })
