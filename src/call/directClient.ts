/** The calls of a client over a direct transport: plain functions with callbacks, for the call plan. */
import type { Clock, Either } from "effect"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Call, Service } from "../wire/providerClient.js"
import type { RateLimits } from "../wire/headers/rateLimits.js"
import type { AnswerSoFar } from "./collector.js"
import type { Limits } from "./limits.js"

/** The model and key of a request, and the callbacks and limits of the call plan. */
export interface DirectCall extends Omit<Call, "onRateLimits"> {
  readonly clock: Clock.Clock
  /** Called with the rate limit headers of a successful response. */
  readonly onRateLimits: (limits: RateLimits) => void
  /** The wire whose raw answer is returned beside the decoded one. */
  readonly rawProtocol: string | undefined
  /**
   * The time limits of the call. They shorten the graces of a stream after its finish signal, so that none of them expires in a grace
   * and fails a complete answer. The idle time counts from the last `onEvents`, or from `resume`. @default no limits
   */
  readonly limits?: Pick<Limits, "deadline" | "idle">
}

/** A stream in flight. */
export interface DirectStream {
  /** Closes the connection at once. Nothing is reported any more. */
  readonly abort: () => void
  /** Stops reading from the socket, until `resume`. Events of data that has been read already can still be reported. */
  readonly pause: () => void
  readonly resume: () => void
}

/**
 * What a stream reports. Nothing is reported after `onEnd`, `onError` or `abort`. Callbacks do not throw.
 *
 * `answer` is the same object in every call, and has the only accumulation of the stream: its text is collected once, by the client.
 */
export interface StreamSink {
  /** The events of one network read; never empty. `size`: the bytes of the read. `at`: the present time of the monotonic clock. */
  readonly onEvents: (events: ReadonlyArray<ChatEvent>, answer: AnswerSoFar, size: number, at: number) => void
  /**
   * The stream is complete: its last event was `Finish`. It comes when the connection has ended, at most 100 milliseconds after `Finish`.
   */
  readonly onEnd: () => void
  readonly onError: (error: LLMError, answer: AnswerSoFar) => void
}

/**
 * The same requests as `chat` and `chatStream` of the client, with the same results and errors. Both can report before they return, and
 * report exactly one result unless they are aborted.
 *
 * Both throw, before anything is sent, what a custom wire throws while it encodes the request: a defect of the program. What a wire
 * throws later is reported as an error.
 */
export interface DirectClient {
  readonly chat: (
    request: ChatRequest,
    call: DirectCall,
    onResult: (result: Either.Either<ChatResponse, LLMError>) => void
  ) => { readonly abort: () => void }
  readonly chatStream: (request: ChatRequest, call: DirectCall, sink: StreamSink) => DirectStream
}

const clients = new WeakMap<Service, DirectClient>()

/** Registers the direct form of a client. A service that wraps the client is another object and has none. */
export const register = (client: Service, direct: DirectClient): void => {
  clients.set(client, direct)
}

/** The direct form that is registered for this client object; undefined where its requests need an Effect. */
export const of = (client: Service): DirectClient | undefined => clients.get(client)
