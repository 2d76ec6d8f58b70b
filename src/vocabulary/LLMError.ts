/**
 * Every way a call can fail, one class for each thing a caller can act upon.
 *
 * | class | another key at once? | retried after a delay? |
 * | --- | --- | --- |
 * | `RateLimitError` | yes, where the provider said so | yes, honouring `retryAfter` |
 * | `QuotaExceededError`, `AuthenticationError`, `PermissionError` | yes | no |
 * | `ProviderUnavailableError`, `NetworkError`, `TimeoutError`, `SharedStateError` | no | yes |
 * | `MalformedResponseError` | no | yes, once |
 * | `StreamInterruptedError` | no | only where no event had been given out |
 * | `BalanceExhaustedError` | no | where one of its deployments may answer later |
 * | all others | no | no |
 *
 * Messages say what happened and what to do; the provider's own words are kept in them, with secrets masked.
 *
 * @since 0.1.0
 */
import { Option, Predicate, Schema } from "effect"
import type { Duration } from "effect"
import { Attempt } from "./Attempt.js"
import { PartialResponse } from "./Chat.js"

/**
 * Marks every error class of this module, so that another error with the same `_tag` is not taken for one of them.
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

const common = {
  /** The provider that was asked; empty where the call never got that far. */
  provider: Schema.String,
  /** The model that was asked for. */
  model: Schema.String,
  /** The id (never the secret) of the key that was used. */
  keyId: optional(Schema.String),
  /** The HTTP status, where there was an answer. */
  status: optional(Schema.Number),
  /** The provider's own id of the request, for its support. */
  requestId: optional(Schema.String),
  /** The provider's own code for the error, such as `insufficient_quota`. */
  code: optional(Schema.String),
  message: Schema.String,
  /** Every attempt made for the call, in order. */
  attempts: Schema.Array(Attempt)
}

/**
 * Too many requests or tokens: the provider said so (429), or our own limiter or pool says that the wait is longer than
 * allowed.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimitError extends Schema.TaggedError<RateLimitError>()("RateLimitError", {
  ...common,
  source: Schema.Literal("provider", "limiter", "pool"),
  /** How long to wait. */
  retryAfter: optional(Schema.DurationFromMillis),
  /** What `x-should-retry` says, the header by which a provider overrules what its SDKs make of a status. */
  shouldRetry: optional(Schema.Boolean)
}) {}

/**
 * The account has no credit or quota left (402, or a 429 or 403 that says so). Waiting a little does not help.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuotaExceededError extends Schema.TaggedError<QuotaExceededError>()("QuotaExceededError", {
  ...common,
  /** When the quota is renewed, where the provider says it. */
  retryAfter: optional(Schema.DurationFromMillis)
}) {}

/**
 * The key is wrong, revoked or missing (401, and a 400 that says so).
 *
 * @since 0.1.0
 * @category errors
 */
export class AuthenticationError extends Schema.TaggedError<AuthenticationError>()("AuthenticationError", common) {}

/**
 * The key is good but may not do this (403).
 *
 * @since 0.1.0
 * @category errors
 */
export class PermissionError extends Schema.TaggedError<PermissionError>()("PermissionError", common) {}

/**
 * The provider does not know the model, or not for this account.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelNotFoundError extends Schema.TaggedError<ModelNotFoundError>()("ModelNotFoundError", common) {}

/**
 * The request is longer than the model's context window.
 *
 * @since 0.1.0
 * @category errors
 */
export class ContextLengthError extends Schema.TaggedError<ContextLengthError>()("ContextLengthError", common) {}

/**
 * The provider's safety system refused the prompt.
 *
 * @since 0.1.0
 * @category errors
 */
export class ContentFilterError extends Schema.TaggedError<ContentFilterError>()("ContentFilterError", common) {}

/**
 * The request makes no sense: found before it was sent (`field` says where), or by the provider (400, 404, 413, 422).
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidRequestError extends Schema.TaggedError<InvalidRequestError>()("InvalidRequestError", {
  ...common,
  /** The field at fault, such as `messages[0].role`. */
  field: optional(Schema.String)
}) {}

/**
 * The provider is down or overloaded (5xx, 529, 408, 409, and bodies and events that say so).
 *
 * @since 0.1.0
 * @category errors
 */
export class ProviderUnavailableError extends Schema.TaggedError<ProviderUnavailableError>()(
  "ProviderUnavailableError",
  {
    ...common,
    /** How long to wait, where the provider says it. */
    retryAfter: optional(Schema.DurationFromMillis),
    /** What `x-should-retry` says, the header by which a provider overrules what its SDKs make of a status. */
    shouldRetry: optional(Schema.Boolean)
  }
) {}

/**
 * The provider could not be reached, or the connection broke before the answer began.
 *
 * @since 0.1.0
 * @category errors
 */
export class NetworkError extends Schema.TaggedError<NetworkError>()("NetworkError", common) {}

/**
 * A time limit ran out. `phase` says which: `connect`, the `response` as a whole, the `first-event` of a stream, its
 * `idle` time between events, or the `total` of the call with its retries.
 *
 * @since 0.1.0
 * @category errors
 */
export class TimeoutError extends Schema.TaggedError<TimeoutError>()("TimeoutError", {
  ...common,
  phase: Schema.Literal("connect", "response", "first-event", "idle", "total"),
  /** What had arrived, where a stream had begun. */
  partial: optional(PartialResponse)
}) {}

/**
 * An answer that cannot be read: HTML with status 200, broken JSON, a shape that the protocol does not have.
 *
 * @since 0.1.0
 * @category errors
 */
export class MalformedResponseError extends Schema.TaggedError<MalformedResponseError>()("MalformedResponseError", {
  ...common,
  /** Where in the answer, such as `choices[0].message`; empty for the answer as a whole. */
  path: Schema.String,
  /** The beginning of what could not be read. */
  excerpt: Schema.String,
  /** What had arrived, where a stream had begun. */
  partial: optional(PartialResponse)
}) {}

/**
 * A stream broke: it ended without its end, or the provider reported an error in the middle. `partial` holds what had
 * arrived.
 *
 * @since 0.1.0
 * @category errors
 */
export class StreamInterruptedError extends Schema.TaggedError<StreamInterruptedError>()("StreamInterruptedError", {
  ...common,
  /** Whether any event had been given out; where none had, the call may be repeated unseen. */
  begun: Schema.Boolean,
  partial: PartialResponse,
  /** The class of the error that the provider reported; absent where the stream just ended. */
  reported: optional(Schema.String)
}) {}

/**
 * This provider cannot do what was asked.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnsupportedError extends Schema.TaggedError<UnsupportedError>()("UnsupportedError", {
  ...common,
  feature: Schema.String
}) {}

/**
 * No key of the pool may be used: all are disabled or out of quota, for longer than the call may wait.
 *
 * @since 0.1.0
 * @category errors
 */
export class KeyPoolExhaustedError extends Schema.TaggedError<KeyPoolExhaustedError>()("KeyPoolExhaustedError", {
  ...common,
  /** When the first key may be tried again; absent where none will be without help. */
  retryAfter: optional(Schema.DurationFromMillis)
}) {}

/**
 * No deployment of a `Balance` answered: each was asked in vain, was out of order for longer than the call may wait, or cannot
 * serve such a request. `answers` says which, for each of them.
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
      /** The class of the error that it answered with; absent where it was not asked. */
      error: optional(Schema.String),
      /** What it said, or why it was not asked. */
      message: Schema.String
    })
  ),
  /** When the first of them may be asked again; absent where one may be at once, or none will be without help. */
  retryAfter: optional(Schema.DurationFromMillis),
  /** Whether one of them may answer later without anything being changed. */
  retryable: Schema.Boolean
}) {}

/**
 * The money set aside for such calls is spent.
 *
 * @since 0.1.0
 * @category errors
 */
export class BudgetExceededError extends Schema.TaggedError<BudgetExceededError>()("BudgetExceededError", {
  ...common,
  /**
   * `spent`: the budget has no room for the call. `unknown-price`: the budget is in dollars, and the price of the model is not known.
   *
   * @since 0.2.0
   */
  reason: optional(Schema.Literal("spent", "unknown-price")),
  /** Which budget it was. */
  budget: optional(Schema.String),
  /** What the amounts count. */
  unit: optional(Schema.Literal("dollars", "tokens")),
  limit: optional(Schema.Number),
  /** In this period, by calls that are over. */
  spent: optional(Schema.Number),
  /** Set aside for calls under way. */
  reserved: optional(Schema.Number),
  /** When some of it may be spent anew; absent where never. */
  retryAfter: optional(Schema.DurationFromMillis)
}) {}

/**
 * What several processes share (the state of keys, limits, budgets) is out of reach, and the call was not to go on without it.
 * The provider was not asked. A deployment that shares nothing, or shares it elsewhere, may still answer.
 *
 * @since 0.1.0
 * @category errors
 */
export class SharedStateError extends Schema.TaggedError<SharedStateError>()("SharedStateError", {
  ...common,
  /** Whether it cannot be reached, does not answer, or answers what makes no sense. */
  reason: Schema.Literal("connection", "timeout", "script"),
  /** How long to wait, where that is known. */
  retryAfter: optional(Schema.DurationFromMillis)
}) {}

/**
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
export type LLMError = typeof LLMError.Type

/**
 * @since 0.1.0
 * @category model
 */
export type Tag = LLMError["_tag"]

// On the prototype and not a field, so that errors print, encode and compare as before.
for (const { prototype } of LLMError.members) Object.defineProperty(prototype, TypeId, { value: TypeId })

/**
 * Whether a value is an error of this module. Decided by `TypeId`: an error of your own with the `_tag` `PermissionError`, say,
 * is none.
 *
 * @since 0.1.0
 * @category guards
 */
export const isLLMError = (u: unknown): u is LLMError => Predicate.hasProperty(u, TypeId)

/**
 * Whether the same request may succeed later without anything being changed. A provider that says `x-should-retry: false`
 * is taken at its word, as by its own SDKs: a request that is larger than a whole minute's tokens (Groq), say, or a gateway
 * that has tried again itself. Another key may still succeed.
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
      // A stream that had begun is never begun again, and nothing is left of a call whose total time is up.
      return error.partial === undefined && error.phase !== "total"
    case "MalformedResponseError":
      return error.partial === undefined
    case "StreamInterruptedError":
      return !error.begun
    case "BalanceExhaustedError":
      return error.retryable
    default:
      return false
  }
}

/**
 * Whether the error speaks of the key and not of the request, so that another key may succeed at once.
 *
 * @since 0.1.0
 * @category guards
 */
export const keyScoped = (error: LLMError): boolean => {
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
 * How long the error says to wait.
 *
 * @since 0.1.0
 * @category accessors
 */
export const retryAfter = (error: LLMError): Option.Option<Duration.Duration> =>
  "retryAfter" in error ? Option.fromNullable(error.retryAfter) : Option.none()

/**
 * The same error, with what only a caller further up knows filled in or replaced.
 *
 * @since 0.1.0
 * @category combinators
 */
export const amend = <E extends LLMError>(
  error: E,
  fields: Partial<Pick<LLMError, "provider" | "model" | "attempts">> & { readonly retryAfter?: Duration.Duration }
): E => Reflect.construct(error.constructor, [{ ...error, message: error.message, ...fields }])
