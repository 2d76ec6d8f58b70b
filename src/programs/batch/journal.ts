/**
 * The journal of a batch: one line of JSON for the batch, and one for each finished request. A failed request can have another
 * line later, which replaces the first. Lines are only appended, and each is on the disk before the batch continues, so a killed
 * process leaves a valid journal and at most one unfinished line.
 */
import type { Error as PlatformError, FileSystem } from "@effect/platform"
import type { ParseResult, Scope } from "effect"
import { Effect, Exit, Option, Schema } from "effect"
import { isNotFound } from "../../internal/platformErrors.js"
import * as Format1 from "../format1.js"
import type { Codec } from "./exitCodec.js"

/**
 * The error of a journal that cannot be used:
 * - `OtherBatch`: it belongs to other requests, or to another task.
 * - `OtherVersion`: a version of the library with another format wrote it; `detail` contains both versions of the format.
 * - `Corrupt`: a finished line is not a valid journal line.
 * - `Unusable`: the file cannot be read or written, or a request cannot be identified.
 * - `Unwritable`: a result or an error does not fit its schema.
 *
 * @since 0.1.0
 * @category errors
 */
export class JournalError extends Schema.TaggedError<JournalError>()("BatchJournalError", {
  path: Schema.String,
  reason: Schema.Literal("OtherBatch", "OtherVersion", "Corrupt", "Unusable", "Unwritable"),
  detail: Schema.String
}) {
  override get message(): string {
    return `The journal ${this.path} cannot be used: ${this.detail}`
  }
}

export interface Recorded<A, E> {
  /** The digest of the request. */
  readonly request: string
  readonly exit: Exit.Exit<A, E>
}

export interface Journal<A, E> {
  /** Recorded results by the index of their request. */
  readonly recorded: ReadonlyMap<number, Recorded<A, E>>
  /** Ends when the line is on the disk. Uninterruptible, since a line after half a line would corrupt the journal. */
  readonly record: (index: number, entry: Recorded<A, E>) => Effect.Effect<void, JournalError>
}

/**
 * The version of the journal format, in the first line of every journal.
 *
 * Raise it when the fields of a line change, their meaning, the text that identifies a request, or the schema of a response or an
 * error. Releases: 1 in 0.1.0, whose responses had no `content`; 2 since 0.2.0.
 *
 * A journal of version 1 is resumed: its results are converted (`format1.ts`), and new lines are those of version 2 under its first
 * line, which 0.1.0 refuses as corrupt. A journal of any other version is refused, and so is one of version 1 with a result that
 * cannot be converted, such as a tool call in the result of a custom task.
 */
export const version = 2

const Version = Schema.parseJson(Schema.Struct({ version: Schema.Int }))

const Header = Schema.parseJson(Schema.Struct({ batch: Schema.String, version: Schema.Literal(1, version) }))

const Line = Schema.parseJson(
  Schema.Struct({ index: Schema.NonNegativeInt, request: Schema.String, exit: Schema.Unknown })
)

const decodeVersion = Schema.decodeUnknown(Version)
const encodeHeader = Schema.encode(Header)
const decodeHeader = Schema.decodeUnknown(Header)
const encodeLine = Schema.encode(Line)
const decodeLine = Schema.decodeUnknown(Line)

const newline = 10

/** The finished lines of a file, without one that was being written when the process was killed. */
const finishedLines = (bytes: Uint8Array): { readonly lines: ReadonlyArray<Uint8Array>; readonly length: number } => {
  const lines: Array<Uint8Array> = []
  let length = 0
  for (;;) {
    const end = bytes.indexOf(newline, length)
    if (end === -1) return { lines, length }
    lines.push(bytes.subarray(length, end))
    length = end + 1
  }
}

/**
 * Opens or creates the journal of the batch with the name `batch`. Fails on a corrupt journal and on that of another batch or
 * version, and leaves it unchanged.
 */
export const open = <A, E>(
  fileSystem: FileSystem.FileSystem,
  path: string,
  batch: string,
  { decode, encode }: Codec<A, E>
): Effect.Effect<Journal<A, E>, JournalError, Scope.Scope> =>
  Effect.gen(function* () {
    const unusable = (error: PlatformError.PlatformError) =>
      new JournalError({ path, reason: "Unusable", detail: error.message })
    const corrupt = (line: number) => (error: ParseResult.ParseError) =>
      new JournalError({ path, reason: "Corrupt", detail: `line ${line}: ${error.message}` })
    const otherBatch = (detail: string) => new JournalError({ path, reason: "OtherBatch", detail })
    const otherVersion = (detail: string) =>
      new JournalError({
        path,
        reason: "OtherVersion",
        detail: `${detail}. Finish the batch with the version of effect-llm that started it, or remove the file to start again`
      })

    const contents = yield* fileSystem.readFile(path).pipe(
      Effect.map(Option.some),
      Effect.catchIf(isNotFound, () => Effect.succeed(Option.none<Uint8Array>())),
      Effect.mapError(unusable)
    )
    const bytes = Option.getOrElse(contents, () => new Uint8Array())
    const { length, lines } = finishedLines(bytes)
    const decoder = new TextDecoder()
    const recorded = new Map<number, Recorded<A, E>>()
    let isVersion1 = false
    for (const [index, line] of lines.entries()) {
      const text = decoder.decode(line)
      if (index === 0) {
        const stored = yield* Effect.mapError(decodeVersion(text), corrupt(1))
        isVersion1 = stored.version === 1
        if (!isVersion1 && stored.version !== version) {
          return yield* otherVersion(
            `its format has version ${stored.version}, and this version of effect-llm reads versions 1 and ${version}`
          )
        }
        const header = yield* Effect.mapError(decodeHeader(text), corrupt(1))
        if (header.batch !== batch) yield* Effect.fail(otherBatch(`it belongs to the batch ${header.batch}`))
        continue
      }
      const entry = yield* Effect.mapError(decodeLine(text), corrupt(index + 1))
      const earlier = recorded.get(entry.index)
      if (earlier !== undefined && (Exit.isSuccess(earlier.exit) || earlier.request !== entry.request)) {
        return yield* Effect.fail(
          new JournalError({
            path,
            reason: "Corrupt",
            detail: `line ${index + 1}: request ${entry.index} has a result already`
          })
        )
      }
      const exit = yield* Effect.mapError(decode(isVersion1 ? Format1.resultOf(entry.exit) : entry.exit), (error) =>
        isVersion1
          ? otherVersion(
              `its format has version 1, and the result in line ${index + 1} cannot be read as version ${version}`
            )
          : corrupt(index + 1)(error)
      )
      recorded.set(entry.index, { request: entry.request, exit })
    }
    if (length < bytes.length) yield* Effect.mapError(fileSystem.truncate(path, length), unusable)

    const file = yield* Effect.mapError(fileSystem.open(path, { flag: "a" }), unusable)
    const writeLock = yield* Effect.makeSemaphore(1)
    const encoder = new TextEncoder()
    const append = (line: string): Effect.Effect<void, JournalError> =>
      Effect.uninterruptible(
        writeLock.withPermits(1)(
          Effect.mapError(Effect.zipRight(file.writeAll(encoder.encode(`${line}\n`)), file.sync), unusable)
        )
      )
    const unwritable = (error: ParseResult.ParseError) =>
      new JournalError({ path, reason: "Unwritable", detail: error.message })

    if (lines.length === 0) {
      yield* Effect.flatMap(Effect.mapError(encodeHeader({ batch, version }), unwritable), append)
    }
    return {
      recorded,
      record: (index, { exit, request }) =>
        encode(exit).pipe(
          Effect.flatMap((encoded) => encodeLine({ index, request, exit: encoded })),
          Effect.mapError(unwritable),
          Effect.flatMap(append)
        )
    }
  })
