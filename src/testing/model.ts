/** The contract of the simulated provider. */
import type { Duration, Effect } from "effect"
import { Context, Data, Schema } from "effect"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { Dialect } from "../wire/chatCompletions/dialect.js"

/**
 * A key and how the provider treats it.
 *
 * @since 0.1.0
 * @category model
 */
export interface SimulatedKey {
  readonly key: string
  /** The most requests within any time of this length; those above get a 429 with the Retry-After that is right. */
  readonly limit?: { readonly requests: number; readonly per: Duration.DurationInput }
  /** Every request gets a 401. @default false */
  readonly revoked?: boolean
  /** Every request gets a 429 that speaks of quota. @default false */
  readonly outOfQuota?: boolean
}

/**
 * What goes wrong with one request. `after` counts the events of a stream that are sent before; a whole answer is cut in
 * its middle.
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
  /** The answer ends in good order before it is complete. */
  Truncate: { readonly after: number }
  /** A page of HTML with status 200. */
  Garbage: {}
  /** An event that is no JSON. */
  BrokenEvent: { readonly after: number }
  /** An error event in the stream; a whole answer becomes an error with status 200. */
  ErrorEvent: { readonly after: number; readonly message?: string; readonly code?: string }
  /** Nothing more comes, and nothing is closed. `after` 0: not even headers. */
  Hang: { readonly after: number }
  /** Every byte is sent alone. */
  Drip: {}
  /** The provider counts no tokens. */
  NoUsage: {}
  /** The stream is complete, but the connection is never closed. */
  NeverClose: {}
  /** `stream_options` is refused with a 400, as older servers do. */
  RefuseStreamOptions: {}
}>

export const Fault = Data.taggedEnum<Fault>()

/**
 * A time, or any between two.
 *
 * @since 0.1.0
 * @category model
 */
export type Delay =
  | Duration.DurationInput
  | { readonly min: Duration.DurationInput; readonly max: Duration.DurationInput }

/**
 * Which keys the provider knows, what it answers and how fast, and what goes wrong.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The keys that are known; any other gets a 401. @default every key is good */
  readonly keys?: ReadonlyArray<SimulatedKey>
  /** What is answered: a text, or more of an answer. @default an echo of the last message */
  readonly answer?: (request: ChatRequest) => string | Partial<ChatResponse>
  /** The models that are listed; any name is answered. @default ["simulated"] */
  readonly models?: ReadonlyArray<string>
  /**
   * Whom it follows where it speaks Chat Completions, such as the `dialect` of a preset: where it tells thoughts, and whether
   * its streams tell their usage unasked. @default OpenAI, with thoughts in all places where clients look for them
   */
  readonly chatCompletions?: Partial<Dialect>
  /** Before the first byte. @default 0 */
  readonly latency?: Delay
  /** Between the events of a stream. @default 0 */
  readonly tokenPace?: Delay
  /** What goes wrong with a request, by its number from 0; asked when no fault is queued. @default nothing */
  readonly faults?: (index: number, request: ChatRequest) => Fault | undefined
}

/**
 * A request as the provider saw it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Exchange {
  /** `ApiKey.fingerprint` of the key, never the secret; empty where there was none. */
  readonly keyId: string
  readonly path: string
  /** The body as it came. */
  readonly body: unknown
  readonly stream: boolean
  /** The status that was sent; 0 where none was. */
  readonly status: number
  /** Events of a stream that were sent. */
  readonly events: number
  /** `complete`: all was sent. `faulted`: what was asked to go wrong did. `aborted`: the client left before the end. */
  readonly outcome: "complete" | "faulted" | "aborted"
  /** When it came, in milliseconds since the epoch. */
  readonly startedAt: number
  /** Until the end, or until the client was seen to leave, in milliseconds. */
  readonly duration: number
}

/**
 * A provider that runs: where it is, what it shall do wrong next, and what it has seen.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** What clients call the base URL: `http://127.0.0.1:<port>/v1`. */
  readonly baseUrl: string
  /** Queues faults for the next requests that a good key makes, one each; `undefined` lets one through. */
  readonly next: (...faults: ReadonlyArray<Fault | undefined>) => Effect.Effect<void>
  /** Every request that is over, in the order in which they ended. */
  readonly log: Effect.Effect<ReadonlyArray<Exchange>>
  /** Requests that are not over. */
  readonly inFlight: Effect.Effect<number>
  /** Sockets that are open, idle ones included. */
  readonly openConnections: Effect.Effect<number>
  /** Sockets on which a request is under way. */
  readonly busyConnections: Effect.Effect<number>
}

/**
 * The provider that a test speaks to.
 *
 * @since 0.1.0
 * @category tags
 */
export class SimulatedProvider extends Context.Tag("effect-llm/testing/SimulatedProvider")<
  SimulatedProvider,
  Service
>() {}

/**
 * The port is not to be had: another program listens there, or it may not be listened to.
 *
 * @since 0.1.0
 * @category errors
 */
export class PortError extends Schema.TaggedError<PortError>()("PortError", {
  port: Schema.Number,
  /** In the words of the system, such as `EADDRINUSE`. */
  reason: Schema.String
}) {
  override get message(): string {
    return `Port ${this.port} cannot be listened to (${this.reason}). Take another one.`
  }
}

/**
 * @since 0.1.0
 * @category model
 */
export interface ListenOptions extends Options {
  /** Where it listens on the loopback interface. @default 0: a port that is free */
  readonly port?: number
}
