/**
 * The history in a file: a first line with the version, and one line of JSON for each model and minute. Lines are appended; when the
 * file has doubled, it is replaced by the slots in memory, so its size is bounded by theirs, and by 64 MiB.
 *
 * Nothing here fails. What cannot be written waits in memory, and the first of several failures is logged.
 */
import { FileSystem } from "@effect/platform"
import type { Error as PlatformError } from "@effect/platform"
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import { isNotFound } from "../../../internal/platformErrors.js"
import type { Service } from "./model.js"
import type { Row } from "./row.js"
import * as Rows from "./row.js"
import * as Slots from "./slots.js"

const header = `${JSON.stringify({ format: "effect-llm dashboard history", version: 1 })}\n`

/** The largest file that is read and written, in bytes. */
const maxBytes = 64 * 1024 * 1024

/** A smaller file is not replaced, in bytes. */
const minReplaced = 1024 * 1024

/** The largest text that replaces a file, and the size at which a file is replaced even if it has not doubled. */
const maxReplacement = 0.75 * maxBytes
const mustReplace = 0.875 * maxBytes

/** How long after a failure the file is not replaced, in milliseconds. */
const replaceDelay = 3_600_000

/** The most rows that wait to be written; the oldest are dropped. */
const maxWaiting = 10_000

const minute = 60_000

/** How long after its end the last figures of a minute can come, in milliseconds. */
const lateness = 10_000

const writeInterval = "15 seconds"

/** How many lines are read or written at a time. */
const linesPerTurn = 1000

const byteLength = (text: string): number => new TextEncoder().encode(text).length

interface Stored {
  readonly size: number
  /** The size that the file would have if the slots in memory replaced it. */
  readonly baseSize: number
  /** Whether the last line has no end, because its write was cut off. */
  readonly isTorn: boolean
  /** Why the file must not be written; absent if it can be. */
  readonly problem?: string
}

const isAbsent = (error: PlatformError.PlatformError): boolean => isNotFound(error)

/** A file that is not there. */
const absent: Stored = { size: 0, baseSize: 0, isTorn: false }

export const make = (
  path: string,
  maxAge: number
): Effect.Effect<Service, never, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const clock = yield* Effect.clock
    const slots = Slots.unsafeMake(maxAge)
    /** Rows that are not in the file, by their time and model. */
    let waiting = new Map<string, Row>()
    let size = 0
    /** The size of the file when it was last replaced. */
    let baseSize = 0
    let replaceAfter = 0
    let isTorn = false
    let isFailing = false
    /** Whether another process writes the file, too. */
    let isForeign = false

    const keep = (row: Row): void => {
      const key = JSON.stringify([row.at, row.model])
      const before = waiting.get(key)
      waiting.set(key, before === undefined ? row : { ...row, ...Rows.add(before, row) })
      for (const [oldest] of waiting) {
        if (waiting.size <= maxWaiting) return
        waiting.delete(oldest)
      }
    }

    const warn = (message: string, error: PlatformError.PlatformError) =>
      Effect.suspend(() => {
        if (isFailing) return Effect.void
        isFailing = true
        return Effect.logWarning(`${message} ${path}: ${error.message}. The gateway goes on, and tries it again.`)
      })

    // ---- reading ----

    const read: Effect.Effect<Stored> = Effect.gen(function* () {
      const info = yield* files.stat(path)
      if (Number(info.size) > maxBytes) return { ...absent, problem: `it has more than ${maxBytes} bytes` }
      const bytes = yield* files.readFile(path)
      const text = new TextDecoder().decode(bytes)
      // A first write that was cut off.
      if (header.startsWith(text)) return { ...absent, size: bytes.length }
      if (!text.startsWith(header)) return { ...absent, problem: "it is not a history of this version" }
      const now = clock.unsafeCurrentTimeMillis()
      let unreadable = 0
      let count = 0
      for (let start = header.length; start < text.length;) {
        const end = text.indexOf("\n", start)
        const line = text.slice(start, end === -1 ? text.length : end)
        start = end === -1 ? text.length : end + 1
        const row = Rows.decode(line)
        if (row !== undefined) slots.unsafeAdd(row, now)
        else if (line !== "") unreadable += 1
        if (++count % linesPerTurn === 0) yield* Slots.nextTurn
      }
      if (unreadable > 0) {
        yield* Effect.logWarning(`Lines of the history ${path} that cannot be read and are left out: ${unreadable}.`)
      }
      const baseSize = (bytes.length * slots.unsafeRows().length) / Math.max(1, count)
      return { size: bytes.length, baseSize, isTorn: !text.endsWith("\n") }
    }).pipe(
      Effect.catchAll((error) =>
        Effect.succeed<Stored>(isAbsent(error) ? absent : { ...absent, problem: error.message })
      )
    )

    // ---- writing ----

    const currentSize = files.stat(path).pipe(
      Effect.map((info) => Number(info.size)),
      Effect.catchIf(isAbsent, () => Effect.succeed(0))
    )

    /** Removes what a failed write has left. Whether the rows can be written again without being there twice. */
    const undo = (before: number): Effect.Effect<boolean> =>
      files.truncate(path, before).pipe(
        Effect.as(before),
        Effect.orElse(() => currentSize),
        Effect.match({
          onFailure: () => true,
          onSuccess: (after) => {
            size = after
            isTorn = isTorn || after !== before
            return after === before
          }
        })
      )

    const append = (rows: ReadonlyArray<Row>): Effect.Effect<void> =>
      Effect.gen(function* () {
        const before = yield* Effect.tapError(currentSize, () => Effect.sync(() => rows.forEach(keep)))
        if (before !== size && before !== 0 && !isForeign) {
          isForeign = true
          yield* Effect.logWarning(
            `Another process writes the history ${path}. Each gateway needs a file of its own; this one only appends to it.`
          )
        }
        if (before === 0) isTorn = false
        const text = [
          isTorn ? "\n" : "",
          before < header.length ? header.slice(before) : "",
          ...rows.map((row) => `${Rows.encode(row)}\n`)
        ].join("")
        if (text === "") return
        if (before + text.length > maxBytes) {
          if (!isFailing)
            yield* Effect.logWarning(`The history ${path} is full (${maxBytes} bytes). Later figures are not in it.`)
          isFailing = true
          return
        }
        yield* Effect.onError(files.writeFileString(path, text, { flag: "a" }), () =>
          Effect.flatMap(undo(before), (isUndone) => Effect.sync(() => isUndone && rows.forEach(keep)))
        )
        size = before + byteLength(text)
        isTorn = false
        isFailing = false
      }).pipe(Effect.catchAll((error) => warn("Cannot write the history", error)))

    /** Replaces the file by the slots in memory, which include the rows that wait. */
    const replace: Effect.Effect<void> = Effect.gen(function* () {
      slots.unsafeAge(clock.unsafeCurrentTimeMillis())
      const rows = slots.unsafeRows()
      const included = waiting
      waiting = new Map()
      // From the newest to the oldest, as many as the file can have.
      const lines: Array<string> = []
      let length = header.length
      for (const [index, row] of rows.toReversed().entries()) {
        const line = `${Rows.encode(row)}\n`
        length += line.length
        if (length > maxReplacement) break
        lines.push(line)
        if (index % linesPerTurn === linesPerTurn - 1) yield* Slots.nextTurn
      }
      const text = [header, ...lines.reverse()].join("")
      const temporary = `${path}.tmp`
      yield* files.writeFileString(temporary, text).pipe(
        Effect.zipRight(files.rename(temporary, path)),
        Effect.tapError(() => {
          const added = waiting
          waiting = included
          for (const row of added.values()) keep(row)
          replaceAfter = clock.unsafeCurrentTimeMillis() + replaceDelay
          return Effect.ignore(files.remove(temporary))
        })
      )
      size = byteLength(text)
      baseSize = size
      isTorn = false
      isFailing = false
    }).pipe(Effect.catchAll((error) => warn("Cannot replace the history", error)))

    /** Writes the rows of the minutes that have ended before `until`. */
    const write = (until: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        slots.unsafeAge(clock.unsafeCurrentTimeMillis())
        const ended = [...waiting].filter(([, { at }]) => at + minute <= until)
        for (const [key] of ended) waiting.delete(key)
        yield* append(ended.map(([, row]) => row))
        const isLarge = size > Math.min(mustReplace, Math.max(minReplaced, 2 * baseSize))
        if (isLarge && !isForeign && clock.unsafeCurrentTimeMillis() >= replaceAfter) yield* replace
      })

    const stored = yield* read
    size = stored.size
    baseSize = stored.baseSize
    isTorn = stored.isTorn
    if (stored.problem === undefined) {
      yield* write(0)
      // Runs when the fiber below has ended.
      yield* Effect.addFinalizer(() => write(Infinity))
      const writeEnded = Effect.suspend(() => write(clock.unsafeCurrentTimeMillis() - lateness))
      yield* Effect.forkScoped(Effect.schedule(Effect.uninterruptible(writeEnded), Schedule.spaced(writeInterval)))
    } else {
      yield* Effect.logWarning(
        `The history ${path} cannot be used: ${stored.problem}. It is left as it is, and the gateway keeps its history in memory.`
      )
    }

    return {
      add: (lines) =>
        Effect.sync(() => {
          const now = clock.unsafeCurrentTimeMillis()
          for (const line of lines) {
            const row = Rows.decode(line)
            if (row === undefined) continue
            slots.unsafeAdd(row, now)
            if (stored.problem === undefined) keep(row)
          }
        }),
      query: (from, to) => Effect.suspend(() => slots.query(from, to, clock.unsafeCurrentTimeMillis()))
    }
  })
