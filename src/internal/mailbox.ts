/** Queues with an end: one module, since those of Effect 4 are others. */
import type { Effect } from "effect"
import { Mailbox } from "effect"

/** A queue that takes values of `A`, and ends, or fails with `E`. */
export type Of<A, E = never> = Mailbox.Mailbox<A, E>

export const make = Mailbox.make

/** Runs an effect, whose end or failure is that of the mailbox. */
export const into = Mailbox.into

/** The values as a stream. */
export const toStream = Mailbox.toStream

export const offer = <A, E>(mailbox: Of<A, E>, value: A): Effect.Effect<boolean> => mailbox.offer(value)

export const offerAll = <A, E>(mailbox: Of<A, E>, values: Iterable<A>): Effect.Effect<unknown> =>
  mailbox.offerAll(values)

/** Adds a value from plain code; false when there is no room. */
export const unsafeOffer = <A, E>(mailbox: Of<A, E>, value: A): boolean => mailbox.unsafeOffer(value)

/** Takes the next value, and waits for it. */
export const take = <A, E>(mailbox: Of<A, E>) => mailbox.take

/** Ends the mailbox after the values that it has. */
export const end = <A, E>(mailbox: Of<A, E>): Effect.Effect<boolean> => mailbox.end
