/** The `Terminal` and the `Stdin` of this process. */
import * as PlatformError from "@effect/platform/Error"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Layer, Option, Queue, Stream } from "effect"
import { fstatSync } from "node:fs"
import { createInterface } from "node:readline"
import type { Complete } from "./completion.js"
import { Terminal } from "./terminal.js"
import { Line, Stdin } from "./stdin.js"

/** Succeeds when the text has been written; interrupts the program when the reader has closed the stream. */
const writeTo = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    stream.write(text, (error) => resume(error ? Effect.interrupt : Effect.void))
  })

/** Whether the standard input is a pipe, a file or a socket; anything else, such as /dev/null, contains nothing. */
const hasInput = Effect.try(() => fstatSync(0)).pipe(
  Effect.map((stats) => stats.isFIFO() || stats.isFile() || stats.isSocket()),
  // A process can be started without a standard input.
  Effect.orElseSucceed(() => false)
)

export const layer: Layer.Layer<Terminal> = Layer.scoped(
  Terminal,
  Effect.gen(function* () {
    const { stderr, stdin, stdout } = process
    // The write to a closed pipe reports the error; without a listener, its error event would crash the process.
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
      wantsLayout: process.env["TERM"] !== "dumb",
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
                    description: cause instanceof Error ? cause.message : "the stream failed"
                  })
              )
        )
      )
    }
  })
)

/** Waits for the next SIGINT, which meanwhile has no other effect: see {@link isClaimed}. */
const interruption: Effect.Effect<void> = Effect.async((resume) => {
  const onSignal = () => resume(Effect.void)
  process.once("SIGINT", onSignal)
  return Effect.sync(() => process.off("SIGINT", onSignal))
})

/** Whether the signal has a listener besides that of the program. */
export const isClaimed = (signal: "SIGINT" | "SIGTERM"): boolean => process.listenerCount(signal) > 1

/**
 * One reader for the lifetime of the program, so that lines typed or pasted ahead are kept. Between two prompts the terminal is
 * not in raw mode, so that Ctrl-C is a signal and the terminal echoes the input.
 */
export const layerStdin: Layer.Layer<Stdin> = Layer.succeed(
  Stdin,
  Effect.gen(function* () {
    const { stdin, stdout } = process
    const isTerminal = stdin.isTTY === true && stdout.isTTY === true
    const lines = yield* Queue.unbounded<Line>()
    const offer = (line: Line) => lines.unsafeOffer(line)
    let completions: Complete = () => []
    const completer = (line: string): [Array<string>, string] => [[...completions(line)], line]
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const reader = createInterface({
          input: stdin,
          historySize: 1000,
          ...(isTerminal ? { output: stdout, completer } : {})
        })
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
      line: (prompt, complete = () => []) => {
        completions = complete
        return Effect.flatMap(
          Queue.poll(lines),
          Option.match({
            onSome: (line) => Effect.succeed(line),
            onNone: () =>
              Effect.if(isClosed, { onTrue: () => Effect.succeed(Line.Ended()), onFalse: () => next(prompt) })
          })
        )
      },
      interruption
    }
  })
)
