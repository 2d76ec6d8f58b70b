/**
 * The API keys of a provider: a secret with an id, a weight and limits.
 *
 * @example
 * ```ts
 * import { ApiKey, KeyPool } from "effect-llm"
 *
 * const main = ApiKey.make("sk-one", { id: "main", weight: 2, maxConcurrency: 8 })
 * const keys = KeyPool.layer({ provider: "openai", keys: [main, "sk-two"] })
 * ```
 *
 * @since 0.1.0
 */
import { Hash, Redacted, Schema } from "effect"

const Positive = Schema.Number.pipe(Schema.finite(), Schema.positive())

/**
 * One API key of a provider.
 *
 * @since 0.1.0
 * @category model
 */
export interface ApiKey extends Schema.Schema.Type<typeof apiKeySchema> {}

const apiKeySchema = Schema.Struct({
  /** Name of the key in logs, metrics and errors. */
  id: Schema.NonEmptyString,
  /** The secret. */
  value: Schema.RedactedFromSelf(Schema.NonEmptyString),
  /** Share of the calls, relative to the other weights of the pool. */
  weight: Positive,
  /** The maximum number of calls in flight with this key. Unlimited when absent. */
  maxConcurrency: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  /** The maximum number of calls started per second with this key; can be a fraction. Unlimited when absent. */
  requestsPerSecond: Schema.optionalWith(Positive, { exact: true }),
  /** Name of the account whose limits the keys share: a rate limit or exhausted quota of one key puts all of its keys into cooldown. */
  quotaGroup: Schema.optionalWith(Schema.NonEmptyString, { exact: true })
}).annotations({ identifier: "ApiKey" })

/**
 * @since 0.1.0
 * @category model
 */
export const ApiKey: Schema.Schema<ApiKey> = apiKeySchema

/**
 * Id, weight and limits of a key.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** Name of the key in logs, metrics and errors. @default `fingerprint` of the secret */
  readonly id?: string
  /** Share of the calls, relative to the other weights of the pool. @default 1 */
  readonly weight?: number
  /** The maximum number of calls in flight. @default unlimited */
  readonly maxConcurrency?: number
  /** The maximum number of calls started per second; can be a fraction. @default unlimited */
  readonly requestsPerSecond?: number
  /** Name of the account whose limits the keys share. @default none: the key has limits of its own */
  readonly quotaGroup?: string
}

/**
 * Derives an id that does not reveal the secret: `key-` and eight hexadecimal digits of a 32-bit hash.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fingerprint = (value: Redacted.Redacted<string>): string =>
  `key-${(Hash.string(String(Redacted.value(value))) >>> 0).toString(16).padStart(8, "0")}`

/** Removes surrounding white space, such as a file's last newline; header values exclude it (RFC 9110, section 5.5). */
const trimmed = (secret: Redacted.Redacted<string>): Redacted.Redacted<string> => {
  const text: unknown = Redacted.value(secret)
  return typeof text === "string" && text !== text.trim() ? Redacted.make(text.trim()) : secret
}

/**
 * Makes a key from a secret and removes white space around it. Does not validate: a pool rejects keys that are not valid in an
 * HTTP header, and invalid weights and limits.
 *
 * @example
 * ```ts
 * import { Redacted } from "effect"
 * import { ApiKey } from "effect-llm"
 *
 * // Twice the calls of a key with weight 1, at most 8 of them in flight.
 * const key = ApiKey.make(Redacted.make("sk-one"), { id: "main", weight: 2, maxConcurrency: 8 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (value: string | Redacted.Redacted<string>, options: Options = {}): ApiKey => {
  const secret = trimmed(Redacted.isRedacted(value) ? value : Redacted.make(value))
  return { ...options, id: options.id ?? fingerprint(secret), value: secret, weight: options.weight ?? 1 }
}
