/**
 * A secret with an id, a weight and limits.
 *
 * @since 0.1.0
 */
import { Hash, Redacted, Schema } from "effect"

const Positive = Schema.Number.pipe(Schema.finite(), Schema.positive())

/**
 * One key of a provider.
 *
 * @since 0.1.0
 * @category model
 */
export const ApiKey = Schema.Struct({
  /** What logs, metrics and errors call this key. */
  id: Schema.NonEmptyString,
  /** The secret itself. */
  value: Schema.RedactedFromSelf(Schema.NonEmptyString),
  /** This key's share of the calls, in proportion to the other weights of its pool. */
  weight: Positive,
  /** The most calls that may be in flight on this key at once; unlimited where absent. */
  maxConcurrency: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  /** The most calls that may start on this key within a second; unlimited where absent. May be a fraction. */
  requestsPerSecond: Schema.optionalWith(Positive, { exact: true }),
  /** Keys of one account share its limits: when one of a group is rate limited or out of quota, all of it rests. */
  quotaGroup: Schema.optionalWith(Schema.NonEmptyString, { exact: true })
}).annotations({ identifier: "ApiKey" })

/**
 * @since 0.1.0
 * @category model
 */
export type ApiKey = typeof ApiKey.Type

/**
 * What a key is called, how much of the load it takes, and what its provider allows it.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** What logs, metrics and errors call this key. @default `fingerprint` of the secret */
  readonly id?: string
  /** This key's share of the calls, in proportion to the other weights of its pool. @default 1 */
  readonly weight?: number
  /** The most calls in flight at once. @default unlimited */
  readonly maxConcurrency?: number
  /** The most calls started within a second. @default unlimited */
  readonly requestsPerSecond?: number
  /** Keys of one account share its limits. @default none: the key stands alone */
  readonly quotaGroup?: string
}

/**
 * A name for a secret that does not give it away: `key-` and eight hexadecimal digits of a 32-bit hash.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fingerprint = (value: Redacted.Redacted<string>): string =>
  `key-${(Hash.string(String(Redacted.value(value))) >>> 0).toString(16).padStart(8, "0")}`

/** Without the white space around it, which is no part of a header's value (RFC 9110, section 5.5): a file ends with a newline. */
const trimmed = (secret: Redacted.Redacted<string>): Redacted.Redacted<string> => {
  const text: unknown = Redacted.value(secret)
  return typeof text === "string" && text !== text.trim() ? Redacted.make(text.trim()) : secret
}

/**
 * A key from a secret, without the white space around it. Nothing is checked here: a pool refuses keys that no HTTP header can
 * carry, and those with a weight or limit that makes no sense.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (value: string | Redacted.Redacted<string>, options: Options = {}): ApiKey => {
  const secret = trimmed(Redacted.isRedacted(value) ? value : Redacted.make(value))
  return { ...options, id: options.id ?? fingerprint(secret), value: secret, weight: options.weight ?? 1 }
}
