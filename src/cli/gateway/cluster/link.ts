/** A worker's side of the channel to the primary process. */
import type { Scope } from "effect"
import { Deferred, Effect, FiberSet, Option, Queue } from "effect"
import cluster from "node:cluster"
import type { FromPrimary, FromWorker, Question } from "./protocol.js"
import * as Protocol from "./protocol.js"
import * as Questions from "./questions.js"

export interface Link {
  /** Succeeds when the message has been handed to the channel, or the primary has ended. */
  readonly send: (message: FromWorker) => Effect.Effect<void>
  /** Asks the primary; none if it does not answer in time. */
  readonly ask: (question: (id: number) => FromWorker) => Effect.Effect<Option.Option<unknown>>
  /** Succeeds when the primary stops the gateway, or has ended, with the reason. */
  readonly stopped: Effect.Effect<string>
  /** Succeeds when another worker has replaced this one. */
  readonly replaced: Effect.Effect<void>
  /** Succeeds when the primary has ended. */
  readonly orphaned: Effect.Effect<void>
  /** Succeeds at each request to reload. */
  readonly reloadRequested: Effect.Effect<void>
}

const send = (message: FromWorker): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (process.send === undefined || !process.connected) return resume(Effect.void)
    // An error means that the primary has just ended, which `disconnect` reports.
    process.send(Protocol.toPrimary(message), undefined, undefined, () => resume(Effect.void))
  })

/** A primary that is busy must not delay an answer much longer than the workers that it asks. */
const timeout = Protocol.answerTimeout + 500

/** Reads the messages of the primary. `answer` answers the questions of the primary and of other workers, with plain data. */
export const make = (answer: (question: Question) => Effect.Effect<unknown>): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.gen(function* () {
    const messages = yield* Queue.unbounded<FromPrimary>()
    const stopped = yield* Deferred.make<string>()
    const replaced = yield* Deferred.make<void>()
    const orphaned = yield* Deferred.make<void>()
    const reloads = yield* Queue.unbounded<void>()
    const questions = yield* Questions.make
    const answering = yield* FiberSet.make<void>()

    const handle = (message: FromPrimary): Effect.Effect<void> => {
      switch (message._tag) {
        case "Stop":
          return Effect.asVoid(Deferred.succeed(stopped, "The primary process stops the gateway"))
        case "Leave":
          return Effect.asVoid(Deferred.succeed(replaced, undefined))
        case "Reload":
          return Effect.asVoid(Queue.offer(reloads, undefined))
        case "Answer":
          return questions.answer(message.id, message.answer)
        case "Ask":
          return Effect.asVoid(
            FiberSet.run(
              answering,
              Effect.flatMap(answer(message.question), (answer) => send({ _tag: "Answer", id: message.id, answer }))
            )
          )
      }
    }

    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const onMessage = (input: unknown): void => {
          const message = Protocol.readFromPrimary(input)
          if (Option.isSome(message)) messages.unsafeOffer(message.value)
        }
        const onDisconnect = (): void => {
          // Without this, Node ends a worker at once when its primary has ended.
          if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
          Deferred.unsafeDone(orphaned, Effect.void)
          Deferred.unsafeDone(stopped, Effect.succeed("The primary process has ended"))
        }
        process.on("message", onMessage)
        cluster.worker?.on("disconnect", onDisconnect)
        return { onMessage, onDisconnect }
      }),
      ({ onDisconnect, onMessage }) =>
        Effect.sync(() => {
          process.off("message", onMessage)
          cluster.worker?.off("disconnect", onDisconnect)
        })
    )
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(messages), handle)))
    yield* send({ _tag: "Connected" })

    return {
      send,
      ask: (question) => questions.ask((id) => send(question(id)), timeout),
      stopped: Deferred.await(stopped),
      replaced: Deferred.await(replaced),
      orphaned: Deferred.await(orphaned),
      reloadRequested: Queue.take(reloads)
    }
  })
