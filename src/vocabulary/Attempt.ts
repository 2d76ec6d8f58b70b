/**
 * The receipt of a call: one entry for each time a provider was asked, on answers and on errors alike.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * One request to one provider with one key.
 *
 * @since 0.1.0
 * @category model
 */
export const Attempt = Schema.Struct({
  provider: Schema.String,
  model: Schema.String,
  /** The id (never the secret) of the key that was used; empty where the call failed before it had one. */
  keyId: Schema.String,
  /** The `_tag` of the error it ended with; absent where it succeeded. */
  error: Schema.optionalWith(Schema.String, { exact: true }),
  /** The HTTP status, where there was one. */
  status: Schema.optionalWith(Schema.Number, { exact: true }),
  /** How long the attempt took, in milliseconds. */
  duration: Schema.Number
}).annotations({ identifier: "Attempt" })

/**
 * @since 0.1.0
 * @category model
 */
export type Attempt = typeof Attempt.Type

/**
 * The most entries a receipt keeps. A call that walks a large pool of dead keys forgets its oldest attempts rather than
 * grow without bound.
 *
 * @since 0.1.0
 * @category model
 */
export const maxKept = 64

/**
 * The receipt of what was done first, and then of what was done next.
 *
 * @since 0.1.0
 * @category combinators
 */
export const concat = (first: ReadonlyArray<Attempt>, next: ReadonlyArray<Attempt>): ReadonlyArray<Attempt> =>
  first.length === 0 ? next : next.length === 0 ? first : [...first, ...next].slice(-maxKept)

/**
 * An answer whose receipt also tells of the attempts before it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withEarlier = <A extends { readonly attempts: ReadonlyArray<Attempt> }>(
  answer: A,
  earlier: ReadonlyArray<Attempt>
): A => (earlier.length === 0 ? answer : { ...answer, attempts: concat(earlier, answer.attempts) })
