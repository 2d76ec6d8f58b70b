/** The last requests of the gateway, in memory: metadata without prompts, answers and secrets. */
import type { Clock } from "effect"
import { Schema } from "effect"
import type { Entry } from "../../telemetry/entry.js"
import { Attempt } from "../../vocabulary/attempt.js"

const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

/**
 * An ended request. Times are in milliseconds.
 *
 * @since 0.2.0
 * @category model
 */
export const LoggedRequest = Schema.Struct({
  /** Grows with the time at which requests end, and is another one for each of them, also of several workers. */
  number: Schema.Int,
  requestId: Schema.String,
  /** Since the epoch. */
  startedAt: Schema.Number,
  /** The label of the client's key; empty without one. */
  client: Schema.String,
  /** The id of that key, since keys can have the same label; empty without one. */
  clientKey: Schema.String,
  operation: Schema.Literal("chat", "embeddings"),
  streamed: Schema.Boolean,
  /** The requested model; for a refused request, as its client wrote it. */
  model: Schema.String,
  /** Whether the gateway refused it before any model was called. */
  refused: Schema.Boolean,
  provider: Schema.String,
  /** The model that answered; empty when none did. */
  answeredBy: Schema.String,
  keyId: Schema.String,
  /** Of the response to the client; absent when it left before. */
  status: optional(Schema.Int),
  /** `ok`, `interrupted`, `defect`, or the class of the error. */
  outcome: Schema.String,
  /** The message of the error, with secrets masked. */
  message: optional(Schema.String),
  finishReason: optional(Schema.String),
  inputTokens: optional(Schema.Number),
  outputTokens: optional(Schema.Number),
  /** In dollars; absent when it is unknown. */
  cost: optional(Schema.Number),
  latency: Schema.Number,
  timeToFirstEvent: optional(Schema.Number),
  waitedForPermit: optional(Schema.Number),
  waitedForKey: optional(Schema.Number),
  /** The last ones. */
  attempts: Schema.Array(Attempt)
})

/**
 * @since 0.2.0
 * @category model
 */
export interface LoggedRequest extends Schema.Schema.Type<typeof LoggedRequest> {}

/** The longest texts and lists that are kept of a request, since a client can write them. */
const maxText = 300
const maxAttempts = 10

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** From this length on, in UTF-16 units, a part of a text can be a slice in V8 (`SlicedString::kMinLength`). Shorter ones are copies. */
const minSliceLength = 13

/**
 * The start of a text, as a copy: a slice keeps the whole text in memory, which can be as long as a body. A short text can be a slice, too.
 */
export const startOf = (text: string, length: number): string =>
  text.length < minSliceLength ? text : decoder.decode(encoder.encode(text.slice(0, length)))

const cut = (text: string): string => startOf(text, maxText)

/** What is known of a request at its end. */
export interface EndedRequest {
  readonly entry: Entry
  readonly clientKey: string
  /** That of the error. */
  readonly message: string | undefined
  readonly isRefused: boolean
}

export interface RequestLog {
  readonly unsafeAdd: (request: EndedRequest) => void
  /** Those of this process after a number, the newest first. */
  readonly unsafeAfter: (number: number) => ReadonlyArray<LoggedRequest>
}

/**
 * Makes a log of the last `capacity` requests. A number is the microseconds since the epoch at the end of a request, by `clock`, where
 * `salt` stands for those that the clock does not have: it tells the requests of several processes apart.
 */
export const unsafeMake = (capacity: number, clock: Clock.Clock, salt: number): RequestLog => {
  const ring: Array<LoggedRequest> = []
  let count = 0
  let last = 0
  return {
    unsafeAdd: ({ clientKey, entry, isRefused, message }) => {
      if (capacity === 0) return
      count++
      last = Math.max(last + 1, Math.floor(clock.unsafeCurrentTimeMillis()) * 1000 + salt)
      const { attempts, cost, finishReason, status, timeToFirstEvent, usage, waitedForKey, waitedForPermit } = entry
      ring[count % capacity] = {
        number: last,
        requestId: cut(entry.requestId),
        startedAt: entry.startedAt,
        client: cut(entry.label),
        clientKey,
        operation: entry.operation,
        streamed: entry.streamed,
        model: cut(entry.model),
        refused: isRefused,
        provider: entry.provider,
        answeredBy: cut(entry.answeredBy),
        keyId: entry.keyId,
        outcome: entry.outcome,
        latency: entry.latency,
        attempts: attempts.slice(-maxAttempts),
        ...(status === undefined ? {} : { status }),
        ...(message === undefined ? {} : { message: cut(message) }),
        ...(finishReason === undefined ? {} : { finishReason }),
        ...(usage === undefined ? {} : { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens }),
        ...(cost === undefined ? {} : { cost: cost.total }),
        ...(timeToFirstEvent === undefined ? {} : { timeToFirstEvent }),
        ...(waitedForPermit === undefined ? {} : { waitedForPermit }),
        ...(waitedForKey === undefined ? {} : { waitedForKey })
      }
    },
    unsafeAfter: (number) => {
      const found: Array<LoggedRequest> = []
      for (let each = count; each > Math.max(0, count - capacity); each--) {
        const request = ring[each % capacity]
        if (request === undefined || request.number <= number) break
        found.push(request)
      }
      return found
    }
  }
}
