/** Streams of an `LLM` that are opened and read in the background, so that something else can be told meanwhile. */
import type { Chunk, Scope as Scopes, Stream } from "effect"
import { Deferred, Effect, Exit, Fiber, Option, Scope } from "effect"
import type { ChatEvent } from "../ChatEvent.js"
import type { OpenStream, Pull } from "../internal/openStream.js"
import { fromStream } from "../internal/openStream.js"
import type { LLMError } from "../LLMError.js"

export interface Opening {
  /** How the opening ended; waits for it. */
  readonly await: Effect.Effect<Exit.Exit<OpenStream, LLMError>>
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

/**
 * Begins to open a stream. It is closed with the scope, whether it was open by then or not; its opening is waited for before what
 * it holds is given back, lest something be taken after that. What the call was begun with (its label, the id of its request, its
 * span) holds for all of it.
 */
export const begin = (stream: Stream.Stream<ChatEvent, LLMError>): Effect.Effect<Opening, never, Scopes.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const inner = yield* Scope.make()
      const begun = yield* Deferred.make<Exit.Exit<OpenStream, LLMError>>()
      const { give, room, take } = handover()
      const read = (pull: Pull): Effect.Effect<void> =>
        Effect.flatMap(Effect.exit(pull), (pulled) => {
          give(pulled)
          return Exit.isFailure(pulled) ? Effect.void : Effect.flatMap(room, () => read(pull))
        })
      const open = Effect.flatMap(Effect.exit(Scope.extend(fromStream(stream), inner)), (exit) =>
        Effect.zipRight(
          Deferred.succeed(
            begun,
            Exit.map(exit, ({ first }) => ({ first, pull: take }))
          ),
          Exit.isSuccess(exit) ? read(exit.value.pull) : Effect.void
        )
      )
      const fiber = yield* Effect.forkDaemon(Effect.interruptible(open))
      return {
        await: Deferred.await(begun),
        close: Fiber.interrupt(fiber).pipe(
          Effect.zipRight(Effect.sync(() => give(over))),
          Effect.zipRight(Deferred.succeed(begun, Exit.interrupt(fiber.id()))),
          Effect.zipRight(Scope.close(inner, Exit.void))
        )
      }
    }),
    ({ close }) => close
  )
