/**
 * The attempts of a call: one entry for each request to a provider, on responses and on errors.
 */
import { Schema } from "effect"

/**
 * One request to one provider with one key.
 *
 * @since 0.1.0
 * @category model
 */
export interface Attempt extends Schema.Schema.Type<typeof attemptSchema> {}

const attemptSchema = Schema.Struct({
  provider: Schema.String,
  model: Schema.String,
  /** The id (never the secret) of the key; empty when the call failed before it had one. */
  keyId: Schema.String,
  /** The `_tag` of the error; absent when the attempt succeeded. */
  error: Schema.optionalWith(Schema.String, { exact: true }),
  /** The HTTP status; absent when there was no HTTP response. */
  status: Schema.optionalWith(Schema.Number, { exact: true }),
  /** Duration of the attempt, in milliseconds. */
  duration: Schema.Number
}).annotations({ identifier: "Attempt" })

/**
 * @since 0.1.0
 * @category model
 */
export const Attempt: Schema.Schema<Attempt> = attemptSchema

/**
 * The maximum number of attempts in a list that `concat` returns: the last ones are kept, so that a call that tries many keys
 * does not grow without bound.
 *
 * @since 0.1.0
 * @category model
 */
export const maxRecorded = 64

/**
 * Concatenates two lists of attempts and keeps the last `maxRecorded` of them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const concat = (first: ReadonlyArray<Attempt>, next: ReadonlyArray<Attempt>): ReadonlyArray<Attempt> =>
  first.length === 0 ? next : next.length === 0 ? first : [...first, ...next].slice(-maxRecorded)

/**
 * Puts earlier attempts before those of a response.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withEarlier = <A extends { readonly attempts: ReadonlyArray<Attempt> }>(
  response: A,
  earlier: ReadonlyArray<Attempt>
): A => (earlier.length === 0 ? response : { ...response, attempts: concat(earlier, response.attempts) })
