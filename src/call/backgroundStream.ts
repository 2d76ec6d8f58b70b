/**
 * Streams that a background fiber opens and reads, so that another fiber can end them early, for a time limit or a shutdown of the
 * gateway. Much cheaper than a race for each chunk.
 */
import type { Cause, Chunk } from "effect"
import { Effect, Exit, Option } from "effect"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Finalizers from "./finalizers.js"
import type { Open, OpenStream, Pull } from "./openStream.js"
import type { Signal } from "./timeout.js"
import { awaitSignalWithin } from "./timeout.js"
import * as Fibers from "../internal/fibers.js"

type PullExit = Exit.Exit<Chunk.Chunk<ChatEvent>, Option.Option<LLMError>>

/** A buffer of one chunk between two fibers: the producer waits until the consumer has taken it. */
const makeHandover = () => {
  let ready: PullExit | undefined
  let isOver = false
  let consumer: ((pullExit: PullExit) => void) | undefined
  let producer: (() => void) | undefined

  const give = (pullExit: PullExit): void => {
    if (isOver) return
    isOver = Exit.isFailure(pullExit)
    const resume = consumer
    consumer = undefined
    // The end stays: every later pull gets it again.
    if (isOver || resume === undefined) ready = pullExit
    resume?.(pullExit)
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
    const pullExit = ready
    if (!isOver) ready = undefined
    const more = producer
    producer = undefined
    resume(pullExit)
    more?.()
  })

  return { give, room, take, isOver: () => isOver, hasRoom: () => ready === undefined }
}

/** A value that is set once. Listeners get it when it is set, or at once when it is set already. */
const makeOneTimeSignal = <A>() => {
  const listeners = new Set<(value: A) => void>()
  let emitted: { readonly value: A } | undefined
  const signal: Signal<A> = (listener) => {
    if (emitted === undefined) listeners.add(listener)
    else listener(emitted.value)
    return () => void listeners.delete(listener)
  }
  const emit = (value: A): void => {
    if (emitted !== undefined) return
    emitted = { value }
    for (const listener of listeners) listener(value)
    listeners.clear()
  }
  return { signal, emit }
}

/** Called when the provider is asked for more events, and when events arrive. */
export interface Observer {
  readonly onPull: () => void
  readonly onEvents: (events: Chunk.Chunk<ChatEvent>) => void
}

export interface BackgroundStream {
  /** Waits for the exit of the opening; undefined when it takes longer than `millis`. */
  readonly begun: (millis: number) => Effect.Effect<Exit.Exit<OpenStream, LLMError> | undefined>
  /** Fails the pending pull and all later ones with this cause, unless the stream has ended before. */
  readonly end: (cause: Cause.Cause<Option.Option<LLMError>>) => void
  readonly isOver: () => boolean
  /**
   * Interrupts the stream and releases its resources; a pending pull ends. It waits for the interruption of the opening, so that
   * nothing is acquired afterwards. Repeated calls have no effect.
   */
  readonly close: Effect.Effect<void>
}

const ended: PullExit = Exit.fail(Option.none())

/**
 * Starts to open a stream in the background and reads at most one chunk ahead of its consumer. Must be called uninterruptibly by a
 * caller that closes the stream. The fiber inherits the context of the call, such as its labels, request id and span.
 */
export const begin = (open: Open, outer: Finalizers.Finalizers, observer?: Observer): Effect.Effect<BackgroundStream> =>
  Effect.suspend(() => {
    const finalizers = Finalizers.make(outer)
    const { signal, emit } = makeOneTimeSignal<Exit.Exit<OpenStream, LLMError>>()
    const { give, hasRoom, isOver, room, take } = makeHandover()

    const readFrom = (pull: Pull): Effect.Effect<void> => {
      const observedPull =
        observer === undefined
          ? pull
          : Effect.suspend(() => {
              observer.onPull()
              return pull
            })
      const next: Effect.Effect<void> = Effect.flatMap(Effect.exit(observedPull), (pullExit) => {
        if (Exit.isSuccess(pullExit)) observer?.onEvents(pullExit.value)
        give(pullExit)
        if (isOver()) return Effect.void
        return hasRoom() ? next : Effect.zipRight(room, next)
      })
      return next
    }

    const opening = Effect.flatMap(Effect.exit(Effect.suspend(() => open(finalizers))), (exit) => {
      if (Exit.isFailure(exit)) {
        emit(exit)
        return Effect.void
      }
      outer.readOn = finalizers.readOn
      observer?.onEvents(exit.value.first)
      emit(Exit.succeed({ first: exit.value.first, pull: take }))
      return readFrom(exit.value.pull)
    })

    return Effect.map(Effect.forkDaemon(Effect.interruptible(opening)), (fiber): BackgroundStream => ({
      begun: (millis) => awaitSignalWithin(signal, millis),
      end: (cause) => give(Exit.failCause(cause)),
      isOver,
      close: Effect.zipRight(
        Fibers.interrupt(fiber),
        Effect.suspend(() => {
          give(ended)
          emit(Exit.interrupt(fiber.id()))
          return finalizers.close(Exit.void)
        })
      )
    }))
  })
