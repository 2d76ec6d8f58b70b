/** A stream of the events of a program. */
import { Effect, Stream } from "effect"
import * as Mailbox from "../internal/mailbox.js"

/** The maximum number of events that the program runs ahead of its consumer. */
const eventsAhead = 16

/** Runs a program in the background of the stream of its events, and interrupts it when the consumer stops. */
export const eventsOf = <Event, E, R>(
  program: (mailbox: Mailbox.Of<Event, E>) => Effect.Effect<unknown, E, R>
): Stream.Stream<Event, E, R> =>
  Stream.unwrapScopedWith((scope) =>
    Effect.gen(function* () {
      const mailbox = yield* Mailbox.make<Event, E>(eventsAhead)
      yield* Effect.forkIn(Mailbox.into(program(mailbox), mailbox), scope)
      return Mailbox.toStream(mailbox)
    })
  )
