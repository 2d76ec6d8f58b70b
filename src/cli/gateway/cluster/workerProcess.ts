/** A worker process, seen from the primary: its life, and its answers. */
import type { Scope } from "effect"
import { Data, Deferred, Effect, FiberSet, Option, Queue, Ref } from "effect"
import type { Worker } from "node:cluster"
import cluster from "node:cluster"
import type { Service as History } from "../../../gateway/DashboardHistory.js"
import type { Series } from "../../../gateway/workers/series.js"
import { CliFailure, operationFailure } from "../../failure.js"
import type { FromPrimary, FromWorker, Question } from "./protocol.js"
import * as Protocol from "./protocol.js"
import * as Questions from "./questions.js"

/** Why a worker serves no longer. */
export type End = Data.TaggedEnum<{
  /** It ends because of a signal of its own, and completes its requests. */
  Leaving: {}
  Exited: { readonly how: string }
}>
export const End = Data.taggedEnum<End>()

export interface WorkerProcess {
  /** From 0. */
  readonly index: number
  readonly pid: number
  /** Succeeds when the worker serves; fails with the reason why it cannot. */
  readonly started: Effect.Effect<void, CliFailure>
  /** Succeeds when the worker serves no longer. */
  readonly ended: Effect.Effect<End>
  /** Succeeds when the process has exited. */
  readonly exited: Effect.Effect<void>
  /** Whether the process serves, or completes its requests. */
  readonly isAnswering: Effect.Effect<boolean>
  readonly hasEnded: Effect.Effect<boolean>
  /** Waits until the worker reads messages, or has exited. */
  readonly send: (message: FromPrimary) => Effect.Effect<void>
  /** None if the worker does not answer in time, or ends. */
  readonly ask: (question: Question) => Effect.Effect<Option.Option<unknown>>
  /** The last metrics that the worker has sent. */
  readonly series: Effect.Effect<ReadonlyArray<Series>>
  readonly remember: (series: ReadonlyArray<Series>) => Effect.Effect<void>
  readonly kill: Effect.Effect<void>
}

/** A question of a worker to the primary. */
export type Request = Extract<FromWorker, { readonly _tag: `Ask${string}` }>

const howItExited = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal === null ? `with code ${code ?? "unknown"}` : `by ${signal}`

type Event =
  | { readonly _tag: "Message"; readonly message: FromWorker }
  | { readonly _tag: "Exit"; readonly how: string }

/** Offers what happens to the process, the exit last: the messages of a process can arrive after its exit. */
const watch = (worker: Worker, offer: (event: Event) => void): void => {
  let how: string | undefined
  let isDisconnected = false
  const end = (): void => {
    if (how !== undefined && isDisconnected) offer({ _tag: "Exit", how })
  }
  worker.process.on("message", (input: unknown) => {
    const message = Protocol.readFromWorker(input)
    if (Option.isSome(message)) offer({ _tag: "Message", message: message.value })
  })
  worker.process.once("exit", (code, signal) => {
    how = howItExited(code, signal)
    end()
  })
  worker.process.once("disconnect", () => {
    isDisconnected = true
    end()
  })
  worker.process.on("error", (error) => {
    // A process that was never there does not exit.
    if (worker.process.pid !== undefined) return
    how = `(${error.message})`
    isDisconnected = true
    end()
  })
}

const environmentName = "EFFECT_LLM_WORKER"

const replacementName = "EFFECT_LLM_WORKER_REPLACES"

/** Whether this process replaces another worker, rather than being one of the first. */
export const isReplacement = (): boolean => process.env[replacementName] === "true"

/** The index of this process, if it is a worker of this command. */
export const ownIndex = (): number | undefined => {
  const index = process.env[environmentName]
  return cluster.isWorker && index !== undefined ? Number(index) : undefined
}

const startFailure = (cause: unknown): CliFailure =>
  operationFailure(`A worker process cannot be started: ${cause instanceof Error ? cause.message : String(cause)}`)

/**
 * Starts a worker, which is killed when the scope closes. `replaces`: whether in the place of another one. `answer` answers its questions,
 * with plain data. `record` gets what it has counted for the history.
 */
export const fork = (
  index: number,
  replaces: boolean,
  answer: (asked: WorkerProcess, request: Request) => Effect.Effect<unknown>,
  record: History["add"]
): Effect.Effect<WorkerProcess, CliFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const events = yield* Queue.unbounded<Event>()
    const connected = yield* Deferred.make<void>()
    const started = yield* Deferred.make<void, CliFailure>()
    const ended = yield* Deferred.make<End>()
    const exited = yield* Deferred.make<void>()
    const isServing = yield* Ref.make(false)
    const measured = yield* Ref.make<ReadonlyArray<Series>>([])
    const questions = yield* Questions.make
    const answering = yield* FiberSet.make<void>()
    const worker = yield* Effect.acquireRelease(
      Effect.try({
        try: () => {
          const worker = cluster.fork({ [environmentName]: String(index), [replacementName]: String(replaces) })
          watch(worker, (event) => events.unsafeOffer(event))
          return worker
        },
        catch: startFailure
      }),
      (worker) => Effect.sync(() => worker.process.kill("SIGKILL"))
    )

    const send = (message: FromPrimary): Effect.Effect<void> =>
      Effect.zipRight(
        Deferred.await(connected),
        Effect.async((resume) => {
          if (!worker.isConnected()) return resume(Effect.void)
          // An error means that the worker has just ended, which its exit reports.
          worker.process.send(Protocol.toWorker(message), undefined, undefined, () => resume(Effect.void))
        })
      )

    const self: WorkerProcess = {
      index,
      pid: worker.process.pid ?? 0,
      started: Deferred.await(started),
      ended: Deferred.await(ended),
      exited: Deferred.await(exited),
      isAnswering: Effect.zipWith(
        Ref.get(isServing),
        Deferred.isDone(exited),
        (isServing, hasExited) => isServing && !hasExited
      ),
      hasEnded: Deferred.isDone(ended),
      send,
      ask: (question) =>
        Effect.raceFirst(
          questions.ask((id) => send({ _tag: "Ask", id, question }), Protocol.answerTimeout),
          Effect.as(Deferred.await(exited), Option.none())
        ),
      series: Ref.get(measured),
      remember: (series) => Ref.set(measured, series),
      kill: Effect.sync(() => worker.process.kill("SIGKILL"))
    }

    const handle = (message: FromWorker): Effect.Effect<unknown> => {
      switch (message._tag) {
        case "Connected":
          return Deferred.succeed(connected, undefined)
        case "Serving":
          return Effect.zipRight(Ref.set(isServing, true), Deferred.succeed(started, undefined))
        case "Failed":
          return Deferred.fail(started, new CliFailure({ exitCode: message.exitCode, message: message.message }))
        case "Leaving":
          return Deferred.succeed(ended, End.Leaving())
        case "Measured":
          return Ref.set(measured, message.series)
        case "Recorded":
          return record(message.lines)
        case "Answer":
          return questions.answer(message.id, message.answer)
        case "AskHistory":
        case "AskMetrics":
        case "AskKeys":
        case "AskOthers":
          return FiberSet.run(
            answering,
            Effect.flatMap(answer(self, message), (answer) => send({ _tag: "Answer", id: message.id, answer }))
          )
      }
    }

    const handleNext = Effect.flatMap(Queue.take(events), (event) =>
      event._tag === "Message"
        ? handle(event.message)
        : Effect.all([
            Deferred.succeed(connected, undefined),
            Deferred.fail(started, operationFailure(`A worker exited ${event.how} before it served.`)),
            Deferred.succeed(ended, End.Exited({ how: event.how })),
            Deferred.succeed(exited, undefined)
          ])
    )
    // A fiber inherits whether it can be interrupted, and the time limits of questions need that.
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(handleNext)))
    return self
  })
