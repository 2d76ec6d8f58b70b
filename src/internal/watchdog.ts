/**
 * Time limits of a stream that is open. One fiber pulls and one keeps the time, whatever the number of events: racing every
 * pull against a timer costs ten times as much as the pull itself.
 */
import { Chunk, Clock, Effect, Exit, Option } from "effect"
import type { Scope } from "effect"
import * as Events from "../ChatEvent.js"
import type { LLMError } from "../LLMError.js"
import type { OpenStream, Pull } from "./openStream.js"

export interface Watch {
  /** The longest wait for the next event, in milliseconds. The time that the consumer takes does not count. */
  readonly idle: number
  /** When the stream is given up whatever it does, in milliseconds since the epoch. */
  readonly deadline: number
  readonly expired: (phase: "idle" | "total", said: Events.Collected) => LLMError
}

type Pulled = Exit.Exit<Chunk.Chunk<Events.ChatEvent>, Option.Option<LLMError>>

/** Pulls ahead of the consumer by one chunk at the most, and fails the stream when a limit runs out. */
export const watched = (opened: OpenStream, watch: Watch): Effect.Effect<OpenStream, never, Scope.Scope> =>
  Effect.flatMap(Clock.clockWith(Effect.succeed), (clock) => {
    let said = Chunk.reduce(opened.first, Events.nothing, Events.append)
    let ready: Pulled | undefined
    let over = false
    /** Since when the provider is waited for; undefined while it is the consumer who takes his time. */
    let waitingSince: number | undefined
    let consumer: ((pulled: Pulled) => void) | undefined
    let producer: (() => void) | undefined

    const deliver = (pulled: Pulled): void => {
      waitingSince = undefined
      if (over) return
      over = Exit.isFailure(pulled)
      const resume = consumer
      consumer = undefined
      // The end stays ready: whoever pulls again is told again.
      if (over || resume === undefined) ready = pulled
      resume?.(pulled)
    }

    const room = Effect.async<void>((resume) => {
      if (ready === undefined) {
        resume(Effect.void)
        return
      }
      producer = () => resume(Effect.void)
      return Effect.sync(() => {
        producer = undefined
      })
    })

    const produce = Effect.flatMap(
      Effect.exit(
        Effect.suspend(() => {
          waitingSince = clock.unsafeCurrentTimeMillis()
          return opened.pull
        })
      ),
      (pulled) => {
        if (Exit.isSuccess(pulled)) said = Chunk.reduce(pulled.value, said, Events.append)
        deliver(pulled)
        return Exit.isFailure(pulled) ? Effect.fail(undefined) : ready === undefined ? Effect.void : room
      }
    )

    const keepTime = Effect.suspend(() => {
      const now = clock.unsafeCurrentTimeMillis()
      const idleUntil = waitingSince === undefined ? now + watch.idle : waitingSince + watch.idle
      if (now >= watch.deadline) return expire("total")
      if (now >= idleUntil) return expire("idle")
      return Effect.sleep(Math.min(idleUntil, watch.deadline) - now)
    })

    const expire = (phase: "idle" | "total") => {
      deliver(Exit.fail(Option.some(watch.expired(phase, said))))
      return Effect.fail(undefined)
    }

    const pull: Pull = Effect.async((resume) => {
      if (ready !== undefined) {
        const pulled = ready
        if (!over) ready = undefined
        producer?.()
        producer = undefined
        resume(pulled)
        return
      }
      consumer = resume
      return Effect.sync(() => {
        consumer = undefined
      })
    })

    return Effect.as(
      Effect.zipRight(
        Effect.forkScoped(Effect.ignore(Effect.forever(produce))),
        Effect.forkScoped(Effect.ignore(Effect.forever(keepTime)))
      ),
      { first: opened.first, pull }
    )
  })
