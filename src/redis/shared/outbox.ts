/** What a process still has to tell Redis: in its order, and later where Redis is away. */
import { Chunk, Effect, Ref } from "effect"
import type { RedisError } from "../model.js"

export type Message = Effect.Effect<unknown, RedisError>

export interface Outbox {
  /** Tells something now, and where that cannot be done, later. */
  readonly tell: (message: Message) => Effect.Effect<void>
  /** Tells something when it is next flushed. */
  readonly later: (message: Message) => Effect.Effect<void>
  /** Tells what is still to be told, as far as it can. */
  readonly flush: Effect.Effect<void, RedisError>
}

/** The most that is remembered while Redis is away. */
const memory = 10_000

/** `whose` is who tells, for the log. */
export const make = (whose: string): Effect.Effect<Outbox> =>
  Effect.map(Ref.make(Chunk.empty<Message>()), (untold): Outbox => {
    const later: Outbox["later"] = (message) =>
      Effect.flatMap(
        Ref.modify(untold, (messages) => {
          const all = Chunk.append(messages, message)
          return [Chunk.size(all) > memory, Chunk.takeRight(all, memory)]
        }),
        (isTooMuch) =>
          isTooMuch
            ? Effect.logWarning(`${whose}: Redis is away, and what it was to be told first is forgotten.`)
            : Effect.void
      )

    // What Redis refuses now it refuses later too.
    const refused = (error: RedisError) =>
      Effect.logWarning(`${whose}: Redis could not be told something. ${error.message}`)

    const flush: Outbox["flush"] = Effect.flatMap(
      Ref.modify(untold, (messages) => [Chunk.head(messages), Chunk.drop(messages, 1)]),
      (message) =>
        message._tag === "None"
          ? Effect.void
          : Effect.matchEffect(message.value, {
              onSuccess: () => flush,
              onFailure: (error) =>
                error.reason === "script"
                  ? Effect.zipRight(refused(error), flush)
                  : Effect.zipRight(Ref.update(untold, Chunk.prepend(message.value)), Effect.fail(error))
            })
    )

    return {
      flush: Effect.uninterruptible(flush),
      later,
      tell: (message) =>
        Effect.catchAll(Effect.asVoid(message), (error) =>
          error.reason === "script" ? refused(error) : later(message)
        )
    }
  })
