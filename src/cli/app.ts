/** The command `effect-llm` with all its subcommands, as an effect that gives the exit code. */
import { CliConfig, Command, Usage, ValidationError } from "@effect/cli"
import type { CliApp } from "@effect/cli"
import type { HttpClient } from "@effect/platform"
import { Cause, Console, Effect, Exit, Layer, Option } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import { ask } from "./ask.js"
import { batch } from "./batch.js"
import { bench } from "./bench.js"
import { chat } from "./chat.js"
import { config } from "./configCheck.js"
import { embed } from "./embed.js"
import { CliFailure, exitCodes } from "./failure.js"
import { keys } from "./keysCheck.js"
import { models } from "./models.js"
import { Screen } from "./Screen.js"
import { simulate } from "./simulate.js"
import { harmless, ofError, withoutStyle } from "./style.js"
import type { Typist } from "./Typist.js"

const root = Command.make("effect-llm").pipe(
  Command.withDescription("Large language models from the terminal."),
  Command.withSubcommands([ask, chat, embed, batch, bench, models, keys, config, simulate])
)

const cli = Command.run(root, { name: "effect-llm", version: packageJson.version, executable: "effect-llm" })

export type Environment = Screen | Typist | HttpClient.HttpClient | CliApp.CliApp.Environment

/** What the parser of the command line prints goes the way of everything else, and without colours where none are wanted. */
const throughScreen = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Screen> =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const console = yield* Effect.console
    const lines = (shown: ReadonlyArray<unknown>, isStyled: boolean): string => {
      const text = shown.map(String).join(" ").trimEnd()
      return `${isStyled ? text : withoutStyle(text)}\n`
    }
    return yield* Effect.withConsole(effect, {
      ...console,
      log: (...shown) => screen.write(lines(shown, screen.outputIsTerminal && screen.wantsColour)),
      error: (...shown) => screen.tell(lines(shown, screen.errorIsTerminal && screen.wantsColour))
    })
  })

/** The one sentence, or the lines, of why it did not work. */
const complain = (message: string): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(Screen, (screen) => {
    if (message === "") return Effect.void
    const style = ofError(screen)
    return screen.tell(`${style("effect-llm:", "bold", "red")} ${harmless(message)}\n`)
  })

/** Runs a command line, `process.argv` or alike, and gives its exit code. Only an interruption is none. */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<number, never, Environment> =>
  cli(argv).pipe(
    throughScreen,
    Effect.provide(CliConfig.layer({ showBuiltIns: false })),
    Effect.as(exitCodes.ok),
    Effect.catchAll((error) =>
      error instanceof CliFailure
        ? Effect.as(complain(error.message), error.exitCode)
        : // The parser has told what it does not understand.
          Effect.succeed(ValidationError.isValidationError(error) ? exitCodes.unusable : exitCodes.failed)
    ),
    Effect.catchAllDefect((defect) =>
      Effect.as(
        complain(`This should not happen, please report it: ${defect instanceof Error ? defect.message : "no error"}`),
        exitCodes.failed
      )
    )
  )
export { Usage, Cause, Console, Exit, Layer, Option }
