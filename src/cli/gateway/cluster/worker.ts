/** One of several workers: the gateway program, connected to the primary process. */
import type { FileSystem, HttpClient } from "@effect/platform"
import { Config, Effect, Either, Layer, Option, Ref, Schedule, Schema } from "effect"
import { AccessStore } from "../../../gateway/AccessStore.js"
import { History } from "../../../gateway/dashboard/history/model.js"
import { Report } from "../../../gateway/dashboard/report.js"
import { Bodies } from "../../../gateway/dashboard/bodyLog.js"
import { LoggedRequest } from "../../../gateway/dashboard/requestLog.js"
import { DashboardHistory } from "../../../gateway/DashboardHistory.js"
import type { AdminPath, Service as PeersService } from "../../../gateway/workers/peers.js"
import { Peers } from "../../../gateway/workers/peers.js"
import { snapshot } from "../../../telemetry/series.js"
import type { Share } from "../../../gateway/workers/share.js"
import { CurrentShare } from "../../../gateway/workers/share.js"
import { now as monotonicNow } from "../../../internal/clock.js"
import { RateLimiterFactory, makeEmptySince } from "../../../rateLimiter/factory.js"
import type { Options as RateLimiterOptions } from "../../../rateLimiter/model.js"
import { CliFailure } from "../../failure.js"
import type { Host } from "../host.js"
import * as Signals from "../signals.js"
import * as Gateway from "../program.js"
import type { Options } from "../settings.js"
import * as Departure from "./departure.js"
import * as Division from "./division.js"
import * as KeyStore from "./keyStore.js"
import type { Link } from "./link.js"
import * as WorkerLink from "./link.js"
import type { Question } from "./protocol.js"
import { Answers, Measurements } from "./protocol.js"

const decodeMeasurements = Schema.decodeUnknown(Measurements)
const decodeAnswers = Schema.decodeUnknown(Answers)
const decodeReport = Schema.decodeUnknownOption(Report)
const decodeBodies = Schema.decodeUnknownOption(Bodies)
const decodeRequests = Schema.decodeUnknownOption(Schema.Array(LoggedRequest))

/** How this worker answers the others; set when the parts of the gateway that can answer have been made. */
interface Responders {
  readonly report: (since: number) => Effect.Effect<unknown>
  readonly requests: (after: number) => ReadonlyArray<LoggedRequest>
  readonly bodies: (requestId: string) => Bodies | undefined
  readonly perform: (path: AdminPath, body: unknown) => Effect.Effect<void>
}

const makePeers = (
  link: Link,
  responders: Ref.Ref<Responders>,
  { graceLeft, leaving, left }: Departure.Departure,
  divided: boolean
): PeersService => {
  const askOthers = (question: Question): Effect.Effect<ReadonlyArray<unknown>> =>
    link
      .ask((id) => ({ _tag: "AskOthers", id, question }))
      .pipe(
        Effect.flatMap(Option.match({ onNone: () => Effect.succeed([]), onSome: decodeAnswers })),
        Effect.orElseSucceed(() => [])
      )
  return {
    metrics: link
      .ask((id) => ({ _tag: "AskMetrics", id }))
      .pipe(
        Effect.flatMap(Effect.flatMap(decodeMeasurements)),
        // Without the primary, this worker is the only one that it knows.
        Effect.orElse(() => snapshot)
      ),
    reports: (since) =>
      Effect.map(askOthers({ _tag: "Report", since }), (answers) =>
        answers.flatMap((answer) => Option.toArray(decodeReport(answer)))
      ),
    onReport: (report) => Ref.update(responders, (all) => ({ ...all, report })),
    requests: (after) =>
      Effect.map(askOthers({ _tag: "Requests", after }), (answers) =>
        answers.flatMap((answer) => Option.getOrElse(decodeRequests(answer), () => []))
      ),
    onRequests: (requests) => Ref.update(responders, (all) => ({ ...all, requests })),
    bodies: (requestId) =>
      Effect.map(askOthers({ _tag: "Bodies", requestId }), (answers) =>
        Option.firstSomeOf(answers.map((answer) => decodeBodies(answer)))
      ),
    onBodies: (bodies) => Ref.update(responders, (all) => ({ ...all, bodies })),
    perform: (path, body) => Effect.asVoid(askOthers({ _tag: "Perform", path, body })),
    onPerform: (perform) => Ref.update(responders, (all) => ({ ...all, perform })),
    divided,
    leaving: leaving.await,
    left: Effect.asVoid(left.open),
    graceLeft
  }
}

const decodeHistory = Schema.decodeUnknownOption(History)

/** The history that the primary process keeps for all workers. */
const historyOf = (link: Link) =>
  Layer.succeed(DashboardHistory, {
    add: (lines) => (lines.length === 0 ? Effect.void : link.send({ _tag: "Recorded", lines })),
    query: (from, to) =>
      link
        .ask((id) => ({ _tag: "AskHistory", id, from, to }))
        .pipe(
          Effect.map(Option.flatMap(decodeHistory)),
          // A primary that does not answer has no figures.
          Effect.map(Option.getOrElse((): History => ({ from, to, step: to - from, buckets: [], models: [] })))
        )
  })

/** Limiters that have what has been refilled since now: what another process has left of them is not known. */
const limitersSinceNow = Layer.effect(
  RateLimiterFactory,
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      const start = monotonicNow(clock)
      return (_: string, options: RateLimiterOptions) => makeEmptySince(options, start)
    })
  )
)

/** How often the metrics are sent, so that what this worker has counted remains when it is killed. */
const measuringInterval = "5 seconds"

export interface WorkerOptions {
  readonly options: Options
  readonly share: Share
  /** Whether the limits are divided, rather than shared. */
  readonly divided: boolean
  /** Whether it replaces another worker, whose part of the limits can be used up. */
  readonly replaces: boolean
  readonly failureOf: (error: Gateway.ServeError) => CliFailure
}

/** Serves until the primary stops this worker or a signal does. A failure is reported to the primary, which prints it. */
export const run = ({
  divided,
  failureOf,
  options,
  replaces,
  share
}: WorkerOptions): Effect.Effect<void, CliFailure, HttpClient.HttpClient | FileSystem.FileSystem> =>
  Effect.scoped(
    Effect.gen(function* () {
      const keys = yield* KeyStore.make
      const departure = yield* Departure.make
      const responders = yield* Ref.make<Responders>({
        // Left out of the figures until the dashboard has been made.
        report: () => Effect.succeed(null),
        requests: () => [],
        bodies: () => undefined,
        perform: () => Effect.void
      })
      const answer = (question: Question): Effect.Effect<unknown> => {
        switch (question._tag) {
          case "Measure":
            return snapshot
          case "Report":
            return Effect.flatMap(Ref.get(responders), ({ report }) => report(question.since))
          case "Requests":
            return Effect.map(Ref.get(responders), ({ requests }) => requests(question.after))
          case "Bodies":
            return Effect.map(Ref.get(responders), ({ bodies }) => bodies(question.requestId) ?? null)
          case "Perform":
            return Effect.flatMap(Ref.get(responders), ({ perform }) =>
              Effect.as(perform(question.path, question.body), null)
            )
          case "ChangeKey":
            return keys.apply(question.change).pipe(
              Effect.catchAll((error) => Effect.logError("A change of the client keys was not applied", error)),
              Effect.as(null)
            )
        }
      }
      const link = yield* WorkerLink.make(answer)
      const measure = Effect.flatMap(snapshot, (series) => link.send({ _tag: "Measured", series }))
      // The last one follows the last request.
      yield* Effect.addFinalizer(() => measure)
      yield* Effect.forkScoped(Effect.schedule(measure, Schedule.spaced(measuringInterval)))
      // Accepts no connections that its primary does not know, so that the command can be started again at once.
      yield* Effect.forkScoped(Effect.zipRight(link.orphaned, departure.leaving.open))
      // Ctrl-C in a terminal reaches every process; the primary decides.
      yield* Signals.queue("SIGINT")

      const hasAdmin = Effect.map(Config.option(Config.redacted("EFFECT_LLM_MASTER_KEY")), Option.isSome)
      const host: Host = {
        stopSignals: ["SIGTERM"],
        onStopSignal: (grace) =>
          Effect.gen(function* () {
            yield* link.send({ _tag: "Leaving" })
            // Serves until another worker does. One that cannot start does not keep this one forever.
            yield* Effect.timeoutOption(link.replaced, grace)
            yield* departure.begin
            yield* Effect.timeoutOption(departure.left.await, grace)
          }),
        stopped: link.stopped,
        reloadRequested: link.reloadRequested,
        parse: (parse) => (text, path) =>
          Effect.flatMap(parse(text, path), (file) => Division.divide(file, path, share, divided)),
        layer: Layer.mergeAll(
          Layer.succeed(CurrentShare, divided ? share : { index: 0, of: 1 }),
          divided && replaces ? limitersSinceNow : Layer.empty,
          Layer.succeed(Peers, makePeers(link, responders, departure, divided)),
          // A gateway of one process has no store of keys in its context either unless keys can be made.
          Layer.unwrapEffect(
            Effect.map(Effect.either(hasAdmin), (admin) =>
              divided && Either.getOrElse(admin, () => false)
                ? Layer.effect(AccessStore, keys.connect(link))
                : Layer.empty
            )
          )
        ),
        history: () => historyOf(link),
        isFirst: share.index === 0 && !replaces,
        onServing: link.send({ _tag: "Serving" })
      }
      yield* Gateway.run(options, host).pipe(
        Effect.mapError(failureOf),
        Effect.catchAll(({ exitCode, message }) =>
          // The primary prints the message.
          Effect.zipRight(
            link.send({ _tag: "Failed", exitCode, message }),
            Effect.fail(new CliFailure({ exitCode, message: "" }))
          )
        )
      )
    })
  ).pipe(Effect.annotateLogs("worker", share.index + 1))
