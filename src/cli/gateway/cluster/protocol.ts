/**
 * The messages between the primary process and its workers.
 *
 * A worker that replaces another one can be of a newer version of this package, so every message has a version, and one of another
 * version is not read.
 */
import { Option, Schema } from "effect"
import { VirtualKey } from "../../../gateway/VirtualKey.js"
import { Series } from "../../../gateway/workers/series.js"

/** Raise it with every change of a message that the other side would misread. */
const version = 1

/** Correlates a question with its answer; unique for its sender. */
const Id = Schema.Int

/** A client key that was made or revoked at run time. */
export const KeyChange = Schema.Struct({ key: VirtualKey, removed: Schema.Boolean })
export interface KeyChange extends Schema.Schema.Type<typeof KeyChange> {}

/** What a worker is asked, by the primary or by another worker through the primary. */
export const Question = Schema.Union(
  /** Answered with `Measurements`. */
  Schema.TaggedStruct("Measure", {}),
  /** Answered with a `Report` of the dashboard. */
  Schema.TaggedStruct("Report", { since: Schema.Number }),
  /** Answered with an array of `LoggedRequest`. */
  Schema.TaggedStruct("Requests", { after: Schema.Number }),
  /** Answered with `Bodies`, or `null`. */
  Schema.TaggedStruct("Bodies", { requestId: Schema.String }),
  /** A request to the administration that another worker has performed. */
  Schema.TaggedStruct("Perform", { path: Schema.TemplateLiteral("/admin/", Schema.String), body: Schema.Unknown }),
  /** A change of the client keys that another worker has made. */
  Schema.TaggedStruct("ChangeKey", { change: KeyChange })
)
export type Question = typeof Question.Type

export const Measurements = Schema.Array(Series)

export const KeyChanges = Schema.Array(KeyChange)

/** The answers of the workers that answered. */
export const Answers = Schema.Array(Schema.Unknown)

export const FromWorker = Schema.Union(
  /** The worker reads messages. Node discards those that are sent before. */
  Schema.TaggedStruct("Connected", {}),
  /** The worker serves. */
  Schema.TaggedStruct("Serving", {}),
  /** The worker cannot start, and exits. */
  Schema.TaggedStruct("Failed", { exitCode: Schema.Literal(1, 2), message: Schema.String }),
  /** The worker ends because of a signal of its own: it is to be replaced. */
  Schema.TaggedStruct("Leaving", {}),
  /** The metrics of the worker, every few seconds and at its end, which outlive it. */
  Schema.TaggedStruct("Measured", { series: Measurements }),
  /** What the worker has counted for the history since it last sent it. */
  Schema.TaggedStruct("Recorded", { lines: Schema.Array(Schema.String) }),
  /** Asks for a part of the history: answered with a `History`. */
  Schema.TaggedStruct("AskHistory", { id: Id, from: Schema.Number, to: Schema.Number }),
  /** Asks for the metrics of all workers: answered with `Measurements`. */
  Schema.TaggedStruct("AskMetrics", { id: Id }),
  /** Asks for the client keys that were made and revoked at run time: answered with `KeyChanges`. */
  Schema.TaggedStruct("AskKeys", { id: Id }),
  /** Asks all other workers: answered with `Answers`. */
  Schema.TaggedStruct("AskOthers", { id: Id, question: Question }),
  Schema.TaggedStruct("Answer", { id: Id, answer: Schema.Unknown })
)
export type FromWorker = typeof FromWorker.Type

export const FromPrimary = Schema.Union(
  /** The whole gateway ends. */
  Schema.TaggedStruct("Stop", {}),
  /** Another worker has replaced one that is leaving, which can end now. */
  Schema.TaggedStruct("Leave", {}),
  /** Reload the files, as at SIGHUP. */
  Schema.TaggedStruct("Reload", {}),
  Schema.TaggedStruct("Ask", { id: Id, question: Question }),
  Schema.TaggedStruct("Answer", { id: Id, answer: Schema.Unknown })
)
export type FromPrimary = typeof FromPrimary.Type

const envelope = <A, I>(message: Schema.Schema<A, I>) => Schema.Struct({ effectLlm: Schema.Literal(version), message })

const FromWorkerEnvelope = envelope(FromWorker)
const FromPrimaryEnvelope = envelope(FromPrimary)

const encodeFromWorker = Schema.encodeSync(FromWorkerEnvelope)
const encodeFromPrimary = Schema.encodeSync(FromPrimaryEnvelope)
const decodeFromWorker = Schema.decodeUnknownOption(FromWorkerEnvelope)
const decodeFromPrimary = Schema.decodeUnknownOption(FromPrimaryEnvelope)

/** A message to the primary, as plain data. */
export const toPrimary = (message: FromWorker) => encodeFromWorker({ effectLlm: version, message })

/** A message to a worker, as plain data. */
export const toWorker = (message: FromPrimary) => encodeFromPrimary({ effectLlm: version, message })

export const readFromWorker = (input: unknown): Option.Option<FromWorker> =>
  Option.map(decodeFromWorker(input), ({ message }) => message)

export const readFromPrimary = (input: unknown): Option.Option<FromPrimary> =>
  Option.map(decodeFromPrimary(input), ({ message }) => message)

/** Milliseconds within which a worker answers a question. One that does not is left out. */
export const answerTimeout = 2000
