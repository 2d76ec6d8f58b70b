/** The standard streams and the keyboard of this process. */
import { Error as PlatformError } from "@effect/platform"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Layer, Option, Queue, Stream } from "effect"
import { fstatSync } from "node:fs"
import { createInterface } from "node:readline"
import { Terminal } from "./terminal.js"
import { Line, Stdin } from "./stdin.js"

/** Ends when the text is on its way. Where nobody reads any more, the program is over. */
const writeTo = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    stream.write(text, (error) => resume(error ? Effect.interrupt : Effect.void))
  })

/** Whether something was put into the standard input. What is neither a pipe nor a file, such as /dev/null, holds nothing. */
const hasInput = Effect.try(() => fstatSync(0)).pipe(
  Effect.map((stats) => stats.isFIFO() || stats.isFile() || stats.isSocket()),
  // A process may be started without a standard input.
  Effect.orElseSucceed(() => false)
)

export const layer: Layer.Layer<Terminal> = Layer.scoped(
  Terminal,
  Effect.gen(function* () {
    const { stderr, stdin, stdout } = process
    // A closed pipe is told at the write that meets it; unheard, the event of the same would be a crash.
    const ignoreError = () => {}
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        stdout.on("error", ignoreError)
        stderr.on("error", ignoreError)
      }),
      () =>
        Effect.sync(() => {
          stdout.off("error", ignoreError)
          stderr.off("error", ignoreError)
        })
    )
    return {
      write: (text) => writeTo(stdout, text),
      writeError: (text) => writeTo(stderr, text),
      outputIsTerminal: stdout.isTTY === true,
      errorIsTerminal: stderr.isTTY === true,
      inputIsTerminal: stdin.isTTY === true,
      wantsColour: (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb",
      columns: Effect.sync(() => stdout.columns ?? stderr.columns ?? 80),
      input: Stream.unwrap(
        Effect.map(hasInput, (holds) =>
          stdin.isTTY === true || !holds
            ? Stream.empty
            : NodeStream.fromReadable<PlatformError.PlatformError, Uint8Array>(
                () => stdin,
                (cause) =>
                  new PlatformError.SystemError({
                    reason: "Unknown",
                    module: "Stream",
                    method: "stdin",
                    description: cause instanceof Error ? cause.message : "it broke"
                  })
              )
        )
      )
    }
  })
)

/** The next SIGINT. While it is waited for, it has no other effect: see {@link isClaimed}. */
const interruption: Effect.Effect<void> = Effect.async((resume) => {
  const onSignal = () => resume(Effect.void)
  process.once("SIGINT", onSignal)
  return Effect.sync(() => process.off("SIGINT", onSignal))
})

/** Whether somebody else than the program itself waits for the signal. */
export const isClaimed = (signal: "SIGINT" | "SIGTERM"): boolean => process.listenerCount(signal) > 1

/**
 * One reader for the whole life of the program, lest lines that were typed or pasted ahead be lost. Between two prompts the
 * terminal is as the shell left it, so that Ctrl-C is a signal and what is typed is echoed.
 */
export const layerStdin: Layer.Layer<Stdin> = Layer.succeed(
  Stdin,
  Effect.gen(function* () {
    const { stdin, stdout } = process
    const isTerminal = stdin.isTTY === true && stdout.isTTY === true
    const lines = yield* Queue.unbounded<Line>()
    const offer = (line: Line) => lines.unsafeOffer(line)
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const reader = createInterface({ input: stdin, historySize: 1000, ...(isTerminal ? { output: stdout } : {}) })
        reader.on("line", (text) => offer(Line.Typed({ text })))
        reader.on("close", () => offer(Line.Ended()))
        reader.on("SIGINT", () => offer(Line.Interrupted()))
        reader.pause()
        if (isTerminal) stdin.setRawMode(false)
        return reader
      }),
      (reader) => Effect.sync(() => reader.close())
    )
    const startReading = (prompt: string) =>
      Effect.sync(() => {
        if (!isTerminal) return reader.resume()
        stdin.setRawMode(true)
        reader.setPrompt(prompt)
        return reader.prompt()
      })
    const stopReading = Effect.sync(() => {
      reader.pause()
      if (isTerminal) stdin.setRawMode(false)
    })
    const next = (prompt: string): Effect.Effect<Line> =>
      Effect.ensuring(Effect.zipRight(startReading(prompt), lines.take), stopReading)
    const isClosed = Effect.sync(() => "closed" in reader && reader.closed === true)
    return {
      line: (prompt) =>
        Effect.flatMap(
          Queue.poll(lines),
          Option.match({
            onSome: (line) => Effect.succeed(line),
            onNone: () =>
              Effect.if(isClosed, { onTrue: () => Effect.succeed(Line.Ended()), onFalse: () => next(prompt) })
          })
        ),
      interruption
    }
  })
)
