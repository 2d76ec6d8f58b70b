/** Streams of an `LLM` that are opened and read in the background, so that something else can be told meanwhile. */
import type { Chunk, Scope as Scopes } from "effect"
import { Effect, Exit, Fiber, Option, Scope } from "effect"
import type { ChatEvent } from "../ChatEvent.js"
import type { Open, OpenStream, Pull } from "../internal/openStream.js"
import type { Signal } from "../internal/timeLimit.js"
import { heardWithin } from "../internal/timeLimit.js"
import type { LLMError } from "../LLMError.js"

export interface Opening {
  /** How the opening ended; undefined where it takes longer than so many milliseconds. */
  readonly begun: (millis: number) => Effect.Effect<Exit.Exit<OpenStream, LLMError> | undefined>
  /** Ends the stream, whatever it is doing. Whoever waits for it is told that it has ended. */
  readonly close: Effect.Effect<void>
}

type Pulled = Exit.Exit<Chunk.Chunk<ChatEvent>, Option.Option<LLMError>>

/**
 * Hands over from one fiber to another, one chunk at a time: what is ready is taken before more is read. Much cheaper than a race
 * for each chunk, and whoever waits can be told something else.
 */
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

  return { give, room, take }
}

const over: Pulled = Exit.fail(Option.none())

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

/**
 * Begins to open a stream. It is closed with the scope, whether it was open by then or not; its opening is waited for before what
 * it holds is given back, lest something be taken after that. What the call was begun with (its label, the id of its request, its
 * span) holds for all of it.
 */
export const begin = (open: Open): Effect.Effect<Opening, never, Scopes.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const inner = yield* Scope.make()
      const { signal, tell } = announcement<Exit.Exit<OpenStream, LLMError>>()
      const { give, room, take } = handover()
      const read = (pull: Pull): Effect.Effect<void> =>
        Effect.flatMap(Effect.exit(pull), (pulled) => {
          give(pulled)
          return Exit.isFailure(pulled) ? Effect.void : Effect.flatMap(room, () => read(pull))
        })
      const opening = Effect.flatMap(Effect.exit(Scope.extend(open, inner)), (exit) => {
        tell(Exit.map(exit, ({ first }) => ({ first, pull: take })))
        return Exit.isSuccess(exit) ? read(exit.value.pull) : Effect.void
      })
      const fiber = yield* Effect.forkDaemon(Effect.interruptible(opening))
      return {
        begun: (millis) => heardWithin(signal, millis),
        close: Effect.zipRight(
          Fiber.interrupt(fiber),
          Effect.suspend(() => {
            give(over)
            tell(Exit.interrupt(fiber.id()))
            return Scope.close(inner, Exit.void)
          })
        )
      }
    }),
    ({ close }) => close
  )
