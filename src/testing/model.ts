/** The contract of the simulated provider. */
import type { Duration, Effect } from "effect"
import { Context, Data, Schema } from "effect"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { Dialect } from "../wire/chatCompletions/dialect.js"

/**
 * A key and how the provider responds to it.
 *
 * @since 0.1.0
 * @category model
 */
export interface SimulatedKey {
  readonly key: string
  /** The most requests in any period of this length; further ones get a 429 with the exact Retry-After. */
  readonly limit?: { readonly requests: number; readonly per: Duration.DurationInput }
  /** Every request gets a 401. @default false */
  readonly revoked?: boolean
  /** Every request gets a 429 for an exceeded quota. @default false */
  readonly outOfQuota?: boolean
}

/**
 * A fault of one request. `after` is the number of events of a stream that are sent before; a whole answer is cut in the middle.
 *
 * @since 0.1.0
 * @category faults
 */
export type Fault = Data.TaggedEnum<{
  /** An error of this status, with the provider's usual body. */
  Status: {
    readonly status: number
    readonly message?: string
    readonly code?: string
    readonly retryAfter?: Duration.DurationInput
  }
  /** The connection is reset. `after` 0: before any byte of an answer. */
  Reset: { readonly after: number }
  /** The answer ends normally before it is complete. */
  Truncate: { readonly after: number }
  /** A page of HTML with status 200. */
  Garbage: {}
  /** An event that is not valid JSON. */
  BrokenEvent: { readonly after: number }
  /** An error event in the stream; a whole answer becomes an error with status 200. */
  ErrorEvent: { readonly after: number; readonly message?: string; readonly code?: string }
  /** Nothing more is sent, and nothing is closed. `after` 0: not even headers. */
  Hang: { readonly after: number }
  /** Every byte is sent separately. */
  Drip: {}
  /** The provider reports no usage. */
  NoUsage: {}
  /** The stream is complete, but the connection is never closed. */
  NeverClose: {}
  /** `stream_options` is refused with a 400, as older servers do. */
  RefuseStreamOptions: {}
}>

export const Fault = Data.taggedEnum<Fault>()

/**
 * A fixed or a random delay.
 *
 * @since 0.1.0
 * @category model
 */
export type Delay =
  | Duration.DurationInput
  | { readonly min: Duration.DurationInput; readonly max: Duration.DurationInput }

/**
 * The requests that an entry of a script answers. A text is matched by part of the last user message, in any case, and by the whole
 * name of the model.
 *
 * @since 0.2.0
 * @category scripts
 */
export interface ScriptCondition {
  readonly message?: string | RegExp
  readonly model?: string | RegExp
}

/**
 * One entry of a script: an answer, a fault, or a delay of the answer that would be given without it.
 *
 * @since 0.2.0
 * @category scripts
 */
export interface ScriptEntry {
  /** The requests that it answers. @default all */
  readonly when?: ScriptCondition
  /** How many requests it answers; `Infinity` for all that reach it. @default 1 */
  readonly times?: number
  /** The delay before the answer, in addition to `latency`. @default 0 */
  readonly delay?: Duration.DurationInput
  /** A text, or fields of a response, or a function that returns them. @default the `answer` of the options */
  readonly answer?: string | Partial<ChatResponse> | ((request: ChatRequest) => string | Partial<ChatResponse>)
  readonly fault?: Fault
}

/**
 * Keys, answers, delays and faults of the provider.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The accepted keys; any other gets a 401. @default every key is accepted */
  readonly keys?: ReadonlyArray<SimulatedKey>
  /** The answer: a text, or fields of a response. @default `generateAnswer` */
  readonly answer?: (request: ChatRequest) => string | Partial<ChatResponse>
  /**
   * Answers of the next requests: each request takes the first entry that is not used up and that answers it. A request that none
   * answers gets `answer`, and so do all requests after the last entry. Requests that fail by a queued status or one of `faults`
   * take none. @default none
   */
  readonly script?: ReadonlyArray<ScriptEntry>
  /** The models in the list; requests for any name are answered. @default ["simulated"] */
  readonly models?: ReadonlyArray<string>
  /**
   * The dialect of Chat Completions, such as the `dialect` of a preset: the fields of reasoning, and whether streams report usage
   * by default. @default OpenAI, with reasoning in every field that clients read
   */
  readonly chatCompletions?: Partial<Dialect>
  /** The delay before the first byte. @default 0 */
  readonly latency?: Delay
  /** The delay between the events of a stream. @default 0 */
  readonly tokenPace?: Delay
  /** The fault of a request, by its number from 0; used when no fault is queued. @default none */
  readonly faults?: (index: number, request: ChatRequest) => Fault | undefined
}

/**
 * A request as the provider saw it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Exchange {
  /** `ApiKey.fingerprint` of the key, never the secret; empty if there was none. */
  readonly keyId: string
  readonly path: string
  /** The body as received. */
  readonly body: unknown
  readonly stream: boolean
  /** The status that was sent; 0 if none was. */
  readonly status: number
  /** Events of a stream that were sent. */
  readonly events: number
  /**
   * `complete`: everything was sent. `faulted`: the requested fault happened. `aborted`: the client disconnected before the end.
   */
  readonly outcome: "complete" | "faulted" | "aborted"
  /** When it arrived, in milliseconds since the epoch. */
  readonly startedAt: number
  /** Until the end, or until the client's disconnection was seen, in milliseconds. */
  readonly duration: number
}

/**
 * A running provider: its URL, its queue of faults, and its log.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** The base URL for clients: `http://127.0.0.1:<port>/v1`. */
  readonly baseUrl: string
  /** Queues faults for the next requests with an accepted key, one each; `undefined` is no fault. */
  readonly next: (...faults: ReadonlyArray<Fault | undefined>) => Effect.Effect<void>
  /** Every request that has ended, in the order of their ends. */
  readonly log: Effect.Effect<ReadonlyArray<Exchange>>
  /** Requests that have not ended. */
  readonly inFlight: Effect.Effect<number>
  /** Open sockets, including idle ones. */
  readonly openConnections: Effect.Effect<number>
  /** Sockets with a request in progress. */
  readonly busyConnections: Effect.Effect<number>
}

/**
 * The provider that a test calls.
 *
 * @since 0.1.0
 * @category tags
 */
export class SimulatedProvider extends Context.Tag("effect-llm/testing/SimulatedProvider")<
  SimulatedProvider,
  Service
>() {}

/**
 * The port is not available: another program listens on it, or the permission is missing.
 *
 * @since 0.1.0
 * @category errors
 */
export class PortError extends Schema.TaggedError<PortError>()("PortError", {
  port: Schema.Number,
  /** The code of the system, such as `EADDRINUSE`. */
  reason: Schema.String
}) {
  override get message(): string {
    const reason =
      this.reason === "EADDRINUSE"
        ? `another process already listens on port ${this.port}`
        : this.reason === "EACCES"
          ? `this process may not use port ${this.port}`
          : this.reason
    return `The simulated provider cannot listen on port ${this.port}: ${reason}. Choose another port, or 0 for any free port.`
  }
}

/**
 * Options of a provider on a given port.
 *
 * @since 0.1.0
 * @category model
 */
export interface ListenOptions extends Options {
  /** The port on the loopback interface. @default 0: a free port */
  readonly port?: number
}
