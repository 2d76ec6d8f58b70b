/** A queue of messages to Redis that could not be sent, in order. */
import { Chunk, Effect, Ref } from "effect"
import type { RedisError } from "../model.js"

export type Message = Effect.Effect<unknown, RedisError>

export interface Outbox {
  /** Sends a message now, or enqueues it when Redis is away. */
  readonly send: (message: Message) => Effect.Effect<void>
  /** Enqueues a message for the next flush. */
  readonly enqueue: (message: Message) => Effect.Effect<void>
  /** Sends the pending messages until one fails because there is no connection. */
  readonly flush: Effect.Effect<void, RedisError>
}

/** The greatest number of pending messages; the oldest are dropped beyond it. */
const maxPending = 10_000

/** `owner` names the sender in logs. */
export const make = (owner: string): Effect.Effect<Outbox> =>
  Effect.map(Ref.make(Chunk.empty<Message>()), (pending): Outbox => {
    const enqueue: Outbox["enqueue"] = (message) =>
      Effect.flatMap(
        Ref.modify(pending, (messages) => {
          const all = Chunk.append(messages, message)
          return [Chunk.size(all) > maxPending, Chunk.takeRight(all, maxPending)]
        }),
        (isFull) =>
          isFull
            ? Effect.logWarning(`${owner}: Redis is away and the queue is full; the oldest message was dropped.`)
            : Effect.void
      )

    // A message that Redis rejects once would be rejected again.
    const logRejected = (error: RedisError) =>
      Effect.logWarning(`${owner}: Redis rejected a message, which was dropped. ${error.message}`)

    const flush: Outbox["flush"] = Effect.flatMap(
      Ref.modify(pending, (messages) => [Chunk.head(messages), Chunk.drop(messages, 1)]),
      (message) =>
        message._tag === "None"
          ? Effect.void
          : Effect.matchEffect(message.value, {
              onSuccess: () => flush,
              onFailure: (error) =>
                error.reason === "script"
                  ? Effect.zipRight(logRejected(error), flush)
                  : Effect.zipRight(Ref.update(pending, Chunk.prepend(message.value)), Effect.fail(error))
            })
    )

    return {
      flush: Effect.uninterruptible(flush),
      enqueue,
      send: (message) =>
        Effect.catchAll(Effect.asVoid(message), (error) =>
          error.reason === "script" ? logRejected(error) : enqueue(message)
        )
    }
  })
