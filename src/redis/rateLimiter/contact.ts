/** What a process knows of the state that it shares, and what it still has to tell Redis. */
import type { Scope } from "effect"
import { Duration, Effect, HashMap, Ref, Stream } from "effect"
import * as Outbox from "../outbox.js"
import type * as Redis from "../Redis.js"
import type { Amount, Epoch, Held, Steps } from "./steps.js"

interface Known {
  readonly epoch: Epoch
  readonly pace: number
  /** Of how many processes it is one; absent where that was never heard. */
  readonly processes: number | undefined
}

export interface Contact {
  readonly known: Effect.Effect<Known>
  /** Takes note of what a reply says. */
  readonly learn: (reply: { readonly epoch: Epoch; readonly pace: number }) => Effect.Effect<void>
  readonly hold: (held: Held) => Effect.Effect<void>
  readonly release: (id: string) => Effect.Effect<void>
  /** The calls in flight of this process. */
  readonly inFlight: Effect.Effect<number>
  /** Tells something, and where Redis is away, tells it later. */
  readonly tell: (message: Message) => Effect.Effect<void>
  /** Something may have been done whose reply is lost. */
  readonly later: (message: Message) => Effect.Effect<void>
  /** A call was let through that Redis does not know of. */
  readonly missed: (amount: Amount) => Effect.Effect<void>
}

export type Message = (epoch: Epoch) => Effect.Effect<unknown, Redis.RedisError>

const nothing: Amount = { requests: 0, tokens: 0 }

const plus = (self: Amount, that: Amount): Amount => ({
  requests: self.requests + that.requests,
  tokens: self.tokens + that.tokens
})

export const make = (
  redis: Redis.Service,
  steps: Steps,
  leaseTime: number
): Effect.Effect<Contact, never, Scope.Scope> =>
  Effect.gen(function* () {
    const known = yield* Ref.make<Known>({ epoch: "", pace: 1, processes: undefined })
    const held = yield* Ref.make(HashMap.empty<string, Held>())
    const outbox = yield* Outbox.make("A rate limiter")
    const missed = yield* Ref.make(nothing)
    const bell = yield* Effect.makeLatch(true)

    const learn: Contact["learn"] = ({ epoch, pace }) =>
      Effect.flatMap(
        Ref.modify(known, (before) => [
          before.epoch !== "" && before.epoch !== epoch,
          before.epoch === epoch && before.pace === pace ? before : { ...before, epoch, pace }
        ]),
        // It has forgotten which calls are in flight.
        (isNew) => (isNew ? bell.open : Effect.void)
      )

    const sent = (message: Message) => Effect.flatMap(Ref.get(known), ({ epoch }) => message(epoch))

    const renew = Effect.flatMap(Effect.all([Ref.get(known), Ref.get(held), Ref.getAndSet(missed, nothing)]), (all) => {
      const [{ epoch }, leases, amount] = all
      return Effect.flatMap(
        Effect.tapError(steps.renew(epoch, Array.from(HashMap.values(leases)), amount), (error) =>
          // What timed out may have been done, and is not done twice: the next who come pay for it at most.
          error.reason === "timeout" ? Effect.void : Ref.update(missed, (more) => plus(amount, more))
        ),
        (reply) =>
          Effect.zipRight(
            Ref.update(known, (before) => ({ ...before, processes: reply.processes })),
            learn(reply)
          )
      )
    })

    const beat = Effect.uninterruptible(
      Effect.zipRight(bell.close, Effect.ignore(Effect.zipRight(renew, outbox.flush)))
    )

    yield* beat
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(Effect.all([Ref.get(known), Ref.get(held)]), ([{ epoch }, leases]) =>
        Effect.ignore(Effect.zipRight(outbox.flush, steps.leave(epoch, Array.from(HashMap.values(leases)))))
      )
    )
    yield* Effect.forkScoped(
      Effect.forever(Effect.zipRight(Effect.timeoutOption(bell.await, Duration.millis(leaseTime / 3)), beat))
    )
    // As soon as Redis is back.
    yield* Effect.forkScoped(
      Stream.runForEach(Stream.changes(redis.changes), (availability) =>
        availability === "up" ? bell.open : Effect.void
      )
    )

    return {
      known: Ref.get(known),
      learn,
      hold: (lease) => Ref.update(held, HashMap.set(lease.id, lease)),
      release: (id) => Ref.update(held, HashMap.remove(id)),
      inFlight: Effect.map(Ref.get(held), HashMap.size),
      tell: (message) => outbox.tell(sent(message)),
      later: (message) => outbox.later(sent(message)),
      missed: (amount) => Ref.update(missed, (before) => plus(before, amount))
    }
  })
