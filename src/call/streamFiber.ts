/** Streams of a client's effects, reported like those of a direct client: a fiber of their own reads them. */
import { Chunk, Effect, Option } from "effect"
import type { Exit } from "effect"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { AnswerSoFar } from "./collector.js"
import * as Collector from "./collector.js"
import type { DirectStream } from "./directClient.js"
import * as HandledFiber from "./handledFiber.js"
import * as Finalizers from "./finalizers.js"
import type { Open, OpenStream } from "./openStream.js"
import * as Fibers from "../internal/fibers.js"

/** What a stream reports. Nothing is reported after `onExit` or `abort`. */
interface Sink {
  /** The events of one pull; never empty. */
  readonly onEvents: (events: ReadonlyArray<ChatEvent>, answer: AnswerSoFar) => void
  /** The stream has ended or failed, and released everything. */
  readonly onExit: (exit: Exit.Exit<void, LLMError>) => void
}

export interface FiberStream extends DirectStream {
  /** Waits until the stream has released everything. */
  readonly closed: Effect.Effect<void>
}

/**
 * Opens and reads a stream in the background. The fiber inherits the context of the call, such as its labels, limits and span. Must be
 * called uninterruptibly by a caller that aborts the stream.
 */
export const start = (open: Open, sink: Sink): Effect.Effect<FiberStream> => {
  let isAborted = false
  let isPaused = false
  let proceed: (() => void) | undefined

  const untilResumed = Effect.async<void>((resume) => {
    if (!isPaused) return resume(Effect.void)
    proceed = () => resume(Effect.void)
    return Effect.sync(() => {
      proceed = undefined
    })
  })

  const read = ({ answer, first, pull }: OpenStream): Effect.Effect<void, LLMError> => {
    const collector = Collector.make()
    const soFar = answer ?? collector
    const report = (chunk: Chunk.Chunk<ChatEvent>): Effect.Effect<void, LLMError> => {
      const events = Chunk.toReadonlyArray(chunk)
      if (answer === undefined) for (const event of events) collector.add(event)
      if (events.length > 0 && !isAborted) sink.onEvents(events, soFar)
      return isPaused ? Effect.zipRight(untilResumed, next) : next
    }
    const next: Effect.Effect<void, LLMError> = Effect.matchEffect(pull, {
      onSuccess: report,
      onFailure: Option.match({ onNone: () => Effect.void, onSome: Effect.fail })
    })
    return report(first)
  }

  const reading = Finalizers.scoped((finalizers) => Effect.flatMap(open(finalizers), read))
  return Effect.map(HandledFiber.fork(Effect.interruptible(reading)), (fiber) => {
    HandledFiber.observe(fiber, (exit) => {
      if (!isAborted) sink.onExit(exit)
    })
    return {
      abort: () => {
        isAborted = true
        Fibers.unsafeInterrupt(fiber)
      },
      pause: () => {
        isPaused = true
      },
      resume: () => {
        isPaused = false
        const resume = proceed
        proceed = undefined
        resume?.()
      },
      closed: Effect.asVoid(Fibers.awaitExit(fiber))
    }
  })
}
