/**
 * The errors of a call, one class for each case that a caller can act upon.
 *
 * | class | another key at once? | retried after a delay? |
 * | --- | --- | --- |
 * | `RateLimitError` | yes, if it comes from the provider | yes, after `retryAfter` |
 * | `QuotaExceededError`, `AuthenticationError`, `PermissionError` | yes | no |
 * | `ProviderUnavailableError`, `NetworkError`, `TimeoutError`, `SharedStateError` | no | yes |
 * | `MalformedResponseError` | no | yes, once, unless the answer is too long |
 * | `StreamInterruptedError` | no | only if no event was emitted |
 * | `BalanceExhaustedError` | no | if one of its deployments can recover |
 * | all others | no | no |
 *
 * Messages say what happened and what to do. They include the provider's message, with secrets masked.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const program = LLM.chat("Hello").pipe(
 *   Effect.map(({ text }) => text),
 *   Effect.catchTags({
 *     ContextLengthError: () => Effect.succeed("The question is too long."),
 *     RateLimitError: (error) => Effect.succeed(`${error.provider} is busy: ${error.message}`)
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Duration } from "effect"
import { Option, Predicate, Schema } from "effect"
import * as Arbitraries from "./arbitraries.js"
import { Attempt } from "./attempt.js"
import { PartialResponse } from "./Chat.js"

/**
 * The type id of every error class of this module. Other errors with the same `_tag` do not have it.
 *
 * @since 0.2.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-llm/LLMError")

/**
 * @since 0.2.0
 * @category type ids
 */
export type TypeId = typeof TypeId

const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

const DurationFromMillis = Schema.DurationFromMillis.annotations(Arbitraries.durationInMillis)

const common = {
  /** The provider of the call; empty when the call failed before one was chosen. */
  provider: Schema.String,
  /** The requested model. */
  model: Schema.String,
  /** The id (never the secret) of the key. */
  keyId: optional(Schema.String),
  /** The HTTP status. Absent when there was no HTTP response. */
  status: optional(Schema.Number),
  /** The provider's id of the request, for its support. */
  requestId: optional(Schema.String),
  /** The provider's code of the error, such as `insufficient_quota`. */
  code: optional(Schema.String),
  message: Schema.String,
  /** Every attempt of the call, in order. */
  attempts: Schema.Array(Attempt)
}

/**
 * Too many requests or tokens: the provider reports it (429), or the wait in the rate limiter or key pool would exceed the call's
 * maximum wait.
 *
 * Send the call again after `retryAfter`. When `source` is `"limiter"` or `"pool"`, no request was sent: slow down, raise the limit or
 * `maxWait`, or add keys.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimitError extends Schema.TaggedError<RateLimitError>()("RateLimitError", {
  ...common,
  source: Schema.Literal("provider", "limiter", "pool"),
  /** How long to wait before the next attempt. */
  retryAfter: optional(DurationFromMillis),
  /** The provider's `x-should-retry` header, which overrides the default for the status as it does in the providers' SDKs. */
  shouldRetry: optional(Schema.Boolean)
}) {}

/**
 * The account has no credit or quota left (402, or a 429 or 403 that reports it). A short wait does not help.
 *
 * Add credit or use a key of another account: an `LLM` does so by itself while its pool has one.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuotaExceededError extends Schema.TaggedError<QuotaExceededError>()("QuotaExceededError", {
  ...common,
  /** Time until the quota is renewed, if the provider reports it. */
  retryAfter: optional(DurationFromMillis),
  /**
   * Whether it is a quota of the model alone, such as a free quota a day: the account can use other models. @default false
   *
   * @since 0.2.0
   */
  modelOnly: optional(Schema.Boolean)
}) {}

/**
 * The key is invalid, revoked or missing (401, and a 400 that reports it).
 *
 * Replace the key. An `LLM` disables it in its pool and continues with another one.
 *
 * @since 0.1.0
 * @category errors
 */
export class AuthenticationError extends Schema.TaggedError<AuthenticationError>()("AuthenticationError", common) {}

/**
 * The key is valid but has no permission for the request (403).
 *
 * Give the key the permission, or use another key or model.
 *
 * @since 0.1.0
 * @category errors
 */
export class PermissionError extends Schema.TaggedError<PermissionError>()("PermissionError", common) {}

/**
 * The model does not exist, or the account has no access to it.
 *
 * Check the name of the model, for example with `LLM.listModels`, and the access of the account to it.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelNotFoundError extends Schema.TaggedError<ModelNotFoundError>()("ModelNotFoundError", common) {}

/**
 * The request is longer than the model's context window.
 *
 * Shorten the request, for example with `Conversation.trim`, or use a model with a larger context window.
 *
 * @since 0.1.0
 * @category errors
 */
export class ContextLengthError extends Schema.TaggedError<ContextLengthError>()("ContextLengthError", common) {}

/**
 * The provider's safety system rejected the prompt.
 *
 * Change the prompt. The same request fails again.
 *
 * @since 0.1.0
 * @category errors
 */
export class ContentFilterError extends Schema.TaggedError<ContentFilterError>()("ContentFilterError", common) {}

/**
 * The request is invalid: rejected before it was sent (`field` names the field), or by the provider (400, 404, 413, 422).
 *
 * Change the request. The same request fails again, unless `isFieldOmitted` is true.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidRequestError extends Schema.TaggedError<InvalidRequestError>()("InvalidRequestError", {
  ...common,
  /** The invalid field, such as `messages[0].role`. */
  field: optional(Schema.String),
  /**
   * Whether the server rejected an optional field that later requests to it leave out, so that the same request can succeed. An `LLM` sends
   * it again by itself. @default false
   *
   * @since 0.2.0
   */
  isFieldOmitted: optional(Schema.Boolean)
}) {}

/**
 * The provider is unavailable or overloaded (5xx, 529, 408, 409, and bodies and events that report it).
 *
 * Send the call again after `retryAfter`, or after a backoff; a `Fallback` calls another model.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProviderUnavailableError extends Schema.TaggedError<ProviderUnavailableError>()(
  "ProviderUnavailableError",
  {
    ...common,
    /** How long to wait before the next attempt, if the provider reports it. */
    retryAfter: optional(DurationFromMillis),
    /** The provider's `x-should-retry` header, which overrides the default for the status as it does in the providers' SDKs. */
    shouldRetry: optional(Schema.Boolean)
  }
) {}

/**
 * The provider could not be reached, or the connection failed before the response started.
 *
 * Check the address, the proxy and the network; the call can be sent again.
 *
 * @since 0.1.0
 * @category errors
 */
export class NetworkError extends Schema.TaggedError<NetworkError>()("NetworkError", common) {}

/**
 * A time limit was exceeded. `phase` names it: `connect`, the whole `response`, the `first-event` of a stream, the `idle` time
 * between its events, or the `total` time of the call with its retries.
 *
 * Raise the limit in `Timeouts.Options`, limit the answer with `maxTokens`, or send the call again.
 *
 * @since 0.1.0
 * @category errors
 */
export class TimeoutError extends Schema.TaggedError<TimeoutError>()("TimeoutError", {
  ...common,
  phase: Schema.Literal("connect", "response", "first-event", "idle", "total"),
  /** The response so far, if a stream had started. */
  partial: optional(PartialResponse)
}) {}

/**
 * The response cannot be decoded: HTML with status 200, invalid JSON, a structure that the protocol does not have, or a whole answer
 * of more than 64 MiB. It is retried once, unless the answer is too long. Check the base URL and the protocol: `path` and `excerpt` show what
 * came.
 *
 * @since 0.1.0
 * @category errors
 */
export class MalformedResponseError extends Schema.TaggedError<MalformedResponseError>()("MalformedResponseError", {
  ...common,
  /** Path in the response, such as `choices[0].message`; empty for the response as a whole. */
  path: Schema.String,
  /** The beginning of the text that cannot be decoded. */
  excerpt: Schema.String,
  /**
   * The longest answer that is read, in bytes. Present when the answer was longer: then it is not retried.
   *
   * @since 0.2.0
   */
  maxBytes: optional(Schema.Number),
  /** The response so far, if a stream had started. */
  partial: optional(PartialResponse)
}) {}

/**
 * A stream failed: it ended without its final event, or the provider reported an error during it. `partial` has the response so
 * far.
 *
 * Show or keep `partial`, and send the call again. `Fallback.Options.continueStreams` continues a broken answer with another model.
 *
 * @since 0.1.0
 * @category errors
 */
export class StreamInterruptedError extends Schema.TaggedError<StreamInterruptedError>()("StreamInterruptedError", {
  ...common,
  /** Whether any event was emitted. If none was, the call can be retried without repeating output. */
  begun: Schema.Boolean,
  partial: PartialResponse,
  /** The `_tag` of the error that the provider reported. Absent when the stream ended without one. */
  reported: optional(Schema.String)
}) {}

/**
 * The provider does not support a feature of the request.
 *
 * Leave `feature` out of the request, or use a provider that supports it.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnsupportedError extends Schema.TaggedError<UnsupportedError>()("UnsupportedError", {
  ...common,
  feature: Schema.String
}) {}

/**
 * No key of the pool can be used: all are disabled or out of quota for longer than the call's maximum wait.
 *
 * Check the keys and their credit with `KeyPool.check`, and add keys, or send the call again after `retryAfter`.
 *
 * @since 0.1.0
 * @category errors
 */
export class KeyPoolExhaustedError extends Schema.TaggedError<KeyPoolExhaustedError>()("KeyPoolExhaustedError", {
  ...common,
  /** Time until the first key can be used again. Absent when no key recovers without intervention. */
  retryAfter: optional(DurationFromMillis)
}) {}

/**
 * No deployment of a `Balance` succeeded: each failed, was unavailable for longer than the call's maximum wait, or does not
 * support the request. `answers` has the reason of each: add deployments, or raise their limits.
 *
 * @since 0.1.0
 * @category errors
 */
export class BalanceExhaustedError extends Schema.TaggedError<BalanceExhaustedError>()("BalanceExhaustedError", {
  ...common,
  answers: Schema.Array(
    Schema.Struct({
      /** The id of the deployment. */
      deployment: Schema.String,
      /** The `_tag` of its error. Absent when it was not called. */
      error: optional(Schema.String),
      /** The message of its error, or why it was not called. */
      message: Schema.String
    })
  ),
  /** Time until the first can be called again. Absent when one can at once, or none recovers without intervention. */
  retryAfter: optional(DurationFromMillis),
  /** Whether the same request can succeed later. */
  retryable: Schema.Boolean
}) {}

/**
 * The call would exceed a budget.
 *
 * Send the call again after `retryAfter`, raise the limit, or set a price when `reason` is `"unknown-price"`.
 *
 * @since 0.1.0
 * @category errors
 */
export class BudgetExceededError extends Schema.TaggedError<BudgetExceededError>()("BudgetExceededError", {
  ...common,
  /**
   * `spent`: the rest of the budget does not cover the call. `unknown-price`: the budget is in dollars and the model's price is
   * unknown.
   *
   * @since 0.2.0
   */
  reason: optional(Schema.Literal("spent", "unknown-price")),
  /** The name of the budget. */
  budget: optional(Schema.String),
  /** The unit of the amounts. */
  unit: optional(Schema.Literal("dollars", "tokens")),
  limit: optional(Schema.Number),
  /** Amount spent in this period by finished calls. */
  spent: optional(Schema.Number),
  /** Amount reserved for calls in flight. */
  reserved: optional(Schema.Number),
  /** Time until part of the budget is available again. Absent when it never is. */
  retryAfter: optional(DurationFromMillis)
}) {}

/**
 * The state that several processes share (keys, limits, budgets) is unavailable, and the call is configured not to go on without
 * it. The provider was not called. A deployment with local state, or with another store, can still succeed. Check Redis, or let calls go on with
 * a share of the limits while it is away.
 *
 * @since 0.1.0
 * @category errors
 */
export class SharedStateError extends Schema.TaggedError<SharedStateError>()("SharedStateError", {
  ...common,
  /** `connection`: unreachable. `timeout`: no reply in time. `script`: an error or an invalid reply. */
  reason: Schema.Literal("connection", "timeout", "script"),
  /** How long to wait before the next attempt, if known. */
  retryAfter: optional(DurationFromMillis)
}) {}

/**
 * Any error of a call.
 *
 * @since 0.1.0
 * @category model
 */
export const LLMError = Schema.Union(
  RateLimitError,
  QuotaExceededError,
  AuthenticationError,
  PermissionError,
  ModelNotFoundError,
  ContextLengthError,
  ContentFilterError,
  InvalidRequestError,
  ProviderUnavailableError,
  NetworkError,
  TimeoutError,
  MalformedResponseError,
  StreamInterruptedError,
  UnsupportedError,
  KeyPoolExhaustedError,
  BalanceExhaustedError,
  BudgetExceededError,
  SharedStateError
)

/**
 * @since 0.1.0
 * @category model
 */
export type LLMError =
  | RateLimitError
  | QuotaExceededError
  | AuthenticationError
  | PermissionError
  | ModelNotFoundError
  | ContextLengthError
  | ContentFilterError
  | InvalidRequestError
  | ProviderUnavailableError
  | NetworkError
  | TimeoutError
  | MalformedResponseError
  | StreamInterruptedError
  | UnsupportedError
  | KeyPoolExhaustedError
  | BalanceExhaustedError
  | BudgetExceededError
  | SharedStateError

/**
 * The `_tag` of an error.
 *
 * @since 0.1.0
 * @category model
 */
export type ErrorTag = LLMError["_tag"]

// On the prototype, so that the type id is not printed, encoded or compared.
for (const { prototype } of LLMError.members) Object.defineProperty(prototype, TypeId, { value: TypeId })

/**
 * Whether a value is an error of this module. Checks `TypeId`, so it is false for your own error with the same `_tag`, such as
 * `PermissionError`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isLLMError = (u: unknown): u is LLMError => Predicate.hasProperty(u, TypeId)

/**
 * Whether the same request can succeed later. False when the provider sends `x-should-retry: false`, as in the providers' own
 * SDKs: for example for a request that exceeds the tokens of a whole minute (Groq), or from a gateway that has already retried.
 * Another key can still succeed.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRetryable = (error: LLMError): boolean => {
  switch (error._tag) {
    case "RateLimitError":
    case "ProviderUnavailableError":
      return error.shouldRetry ?? true
    case "NetworkError":
    case "SharedStateError":
      return true
    case "TimeoutError":
      // A stream that has started is not restarted, and a call whose total time is up has no time left.
      return error.partial === undefined && error.phase !== "total"
    case "MalformedResponseError":
      return error.partial === undefined && error.maxBytes === undefined
    case "StreamInterruptedError":
      return !error.begun
    case "BalanceExhaustedError":
      return error.retryable
    default:
      return false
  }
}

/**
 * Whether the error concerns the key and not the request, so that another key can succeed at once.
 *
 * @since 0.1.0
 * @category guards
 */
export const isKeyScoped = (error: LLMError): boolean => {
  switch (error._tag) {
    case "RateLimitError":
      return error.source === "provider"
    case "QuotaExceededError":
    case "AuthenticationError":
    case "PermissionError":
      return true
    default:
      return false
  }
}

/**
 * Returns the `retryAfter` of an error: how long to wait before the next attempt.
 *
 * @since 0.1.0
 * @category accessors
 */
export const retryAfter = (error: LLMError): Option.Option<Duration.Duration> =>
  "retryAfter" in error ? Option.fromNullable(error.retryAfter) : Option.none()

/**
 * Copies an error with some fields set, for callers that have more context than the code that made the error.
 *
 * @since 0.1.0
 * @category combinators
 */
export const update = <E extends LLMError>(
  error: E,
  fields: Partial<Pick<LLMError, "provider" | "model" | "message" | "attempts">> & {
    readonly retryAfter?: Duration.Duration
    readonly isFieldOmitted?: boolean
  }
): E => Reflect.construct(error.constructor, [{ ...error, message: error.message, ...fields }])
