/**
 * Streams that are opened and read by a fiber of their own, so that whoever waits for them can be told something else: that time
 * is up, that the gateway is shutting down. Much cheaper than a race for each chunk.
 */
import type { Cause, Chunk } from "effect"
import { Effect, Exit, Fiber, Option, Scope } from "effect"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Open, OpenStream, Pull } from "./openStream.js"
import type { Signal } from "./timeout.js"
import { heardWithin } from "./timeout.js"

type Pulled = Exit.Exit<Chunk.Chunk<ChatEvent>, Option.Option<LLMError>>

/** Hands over from one fiber to another, one chunk at a time: what is ready is taken before more is read. */
const handover = () => {
  let ready: Pulled | undefined
  let isOver = false
  let consumer: ((pulled: Pulled) => void) | undefined
  let producer: (() => void) | undefined

  const give = (pulled: Pulled): void => {
    if (isOver) return
    isOver = Exit.isFailure(pulled)
    const resume = consumer
    consumer = undefined
    // The end stays ready: whoever pulls again is told again.
    if (isOver || resume === undefined) ready = pulled
    resume?.(pulled)
  }

  const room = Effect.async<void>((resume) => {
    if (ready === undefined) return resume(Effect.void)
    producer = () => resume(Effect.void)
    return Effect.sync(() => {
      producer = undefined
    })
  })

  const take: Pull = Effect.async((resume) => {
    if (ready === undefined) {
      consumer = resume
      return Effect.sync(() => {
        consumer = undefined
      })
    }
    const pulled = ready
    if (!isOver) ready = undefined
    const more = producer
    producer = undefined
    resume(pulled)
    more?.()
  })

  return { give, room, take, isOver: () => isOver, hasRoom: () => ready === undefined }
}

/** Something that is told once, and remembered. */
const announcement = <A>() => {
  const listeners = new Set<(told: A) => void>()
  let said: { readonly told: A } | undefined
  const signal: Signal<A> = (listener) => {
    if (said === undefined) listeners.add(listener)
    else listener(said.told)
    return () => void listeners.delete(listener)
  }
  const tell = (told: A): void => {
    if (said !== undefined) return
    said = { told }
    for (const listener of listeners) listener(told)
    listeners.clear()
  }
  return { signal, tell }
}

/** Looks on: the provider is asked for more, and has said something. */
export interface Observer {
  readonly asks: () => void
  readonly hears: (events: Chunk.Chunk<ChatEvent>) => void
}

export interface BackgroundStream {
  /** How the opening ended; undefined where it takes longer than so many milliseconds. */
  readonly begun: (millis: number) => Effect.Effect<Exit.Exit<OpenStream, LLMError> | undefined>
  /** Whoever waits for more, or asks later, is told this instead, unless the stream has ended before. */
  readonly end: (cause: Cause.Cause<Option.Option<LLMError>>) => void
  readonly isOver: () => boolean
  /**
   * Ends the stream, whatever it is doing, and gives back what it holds. Whoever waits for it is told that it has ended. Its opening
   * is waited for before, lest something be taken after that. Done again to no effect.
   */
  readonly close: Effect.Effect<void>
}

const ended: Pulled = Exit.fail(Option.none())

/**
 * Begins to open a stream, which is read ahead of its consumer by one chunk at the most. To be called where nothing interrupts, by
 * one who sees to it that the stream is closed. What the call was begun with (its label, the id of its request, its span) holds for
 * all of it.
 */
export const begin = (open: Open, observer?: Observer): Effect.Effect<BackgroundStream> =>
  Effect.flatMap(Scope.make(), (scope) => {
    const { signal, tell } = announcement<Exit.Exit<OpenStream, LLMError>>()
    const { give, hasRoom, isOver, room, take } = handover()

    const reading = (pull: Pull): Effect.Effect<void> => {
      const asking =
        observer === undefined
          ? pull
          : Effect.suspend(() => {
              observer.asks()
              return pull
            })
      const next: Effect.Effect<void> = Effect.flatMap(Effect.exit(asking), (pulled) => {
        if (Exit.isSuccess(pulled)) observer?.hears(pulled.value)
        give(pulled)
        if (isOver()) return Effect.void
        return hasRoom() ? next : Effect.zipRight(room, next)
      })
      return next
    }

    const opening = Effect.flatMap(Effect.exit(Scope.extend(open, scope)), (exit) => {
      if (Exit.isFailure(exit)) {
        tell(exit)
        return Effect.void
      }
      observer?.hears(exit.value.first)
      tell(Exit.succeed({ first: exit.value.first, pull: take }))
      return reading(exit.value.pull)
    })

    return Effect.map(Effect.forkDaemon(Effect.interruptible(opening)), (fiber): BackgroundStream => ({
      begun: (millis) => heardWithin(signal, millis),
      end: (cause) => give(Exit.failCause(cause)),
      isOver,
      close: Effect.zipRight(
        Fiber.interrupt(fiber),
        Effect.suspend(() => {
          give(ended)
          tell(Exit.interrupt(fiber.id()))
          return Scope.close(scope, Exit.void)
        })
      )
    }))
  })
