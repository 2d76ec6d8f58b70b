/** The command `effect-llm` with all its subcommands, as an effect that succeeds with the exit code. */
import type { CliApp } from "@effect/cli"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import type { HttpClient } from "@effect/platform"
import type { QuitException } from "@effect/platform/Terminal"
import { Effect, FiberSet, Layer, Logger } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import * as Ask from "./definitions/ask.js"
import * as Batch from "./definitions/batch.js"
import * as Bench from "./definitions/bench.js"
import * as Chat from "./definitions/chat.js"
import * as ConfigCheck from "./definitions/configCheck.js"
import * as Embed from "./definitions/embed.js"
import * as Init from "./definitions/init.js"
import * as KeysCheck from "./definitions/keysCheck.js"
import * as Models from "./definitions/models.js"
import * as Serve from "./definitions/serve.js"
import * as Simulate from "./definitions/simulate.js"
import * as SimulateLoad from "./definitions/simulateLoad.js"
import { CliFailure, exitCodes, usageFailure } from "./failure.js"
import * as Help from "./help.js"
import type { Service } from "./terminal/terminal.js"
import { Terminal } from "./terminal/terminal.js"
import { sanitize, errorStyle, stripStyle } from "./terminal/style.js"
import type { Stdin } from "./terminal/stdin.js"

interface Definition<Name extends string, Arguments> {
  readonly command: Command.Command<Name, never, never, Arguments>
  readonly summary: string
  readonly examples: ReadonlyArray<string>
}

interface Handler<Arguments, E, R> {
  readonly run: (args: Arguments) => Effect.Effect<void, E, R>
}

/**
 * A command with its handler, and the page of its help. The handler is loaded when the command runs, so that the help and the other
 * commands start without it.
 */
const define = <Name extends string, Arguments, E, R>(
  path: ReadonlyArray<string>,
  { command, examples, summary }: Definition<Name, Arguments>,
  load: () => Promise<Handler<Arguments, E, R>>
) => ({
  command: command.pipe(
    Command.withHandler((args) => Effect.flatMap(Effect.promise(load), ({ run }) => run(args))),
    Command.withDescription(summary)
  ),
  page: Help.page(path, summary, command, examples)
})

/** Loads the HTTP client together with a handler that sends requests. */
const withHttp =
  <Arguments, E, R>(load: () => Promise<Handler<Arguments, E, R>>) =>
  async (): Promise<Handler<Arguments, E, Exclude<R, HttpClient.HttpClient>>> => {
    const [{ run }, { layerUndici }] = await Promise.all([load(), import("../node/NodeTransport.js")])
    return { run: (args) => Effect.provide(run(args), layerUndici) }
  }

const ask = define(
  ["ask"],
  Ask,
  withHttp(() => import("./commands/ask.js"))
)
const chat = define(
  ["chat"],
  Chat,
  withHttp(() => import("./commands/chat.js"))
)
const batch = define(
  ["batch"],
  Batch,
  withHttp(() => import("./commands/batch.js"))
)
const embed = define(
  ["embed"],
  Embed,
  withHttp(() => import("./commands/embed.js"))
)
const models = define(
  ["models"],
  Models,
  withHttp(() => import("./commands/models.js"))
)
const keysCheck = define(
  ["keys", "check"],
  KeysCheck,
  withHttp(() => import("./commands/keysCheck.js"))
)
const init = define(["init"], Init, () => import("./commands/init.js"))
const configCheck = define(["config", "check"], ConfigCheck, () => import("./commands/configCheck.js"))
const bench = define(
  ["bench"],
  Bench,
  withHttp(() => import("./commands/bench.js"))
)
const serve = define(
  ["serve"],
  Serve,
  withHttp(() => import("./commands/serve.js"))
)
const simulate = define(["simulate"], Simulate, () => import("./commands/simulate.js"))
const simulateLoad = define(["simulate-load"], SimulateLoad, () => import("./commands/simulateLoad.js"))

const root = Command.make("effect-llm").pipe(
  Command.withSubcommands([
    ask.command,
    chat.command,
    batch.command,
    embed.command,
    models.command,
    init.command,
    Command.make("keys").pipe(Command.withDescription("Checks keys."), Command.withSubcommands([keysCheck.command])),
    Command.make("config").pipe(
      Command.withDescription("Checks configuration files."),
      Command.withSubcommands([configCheck.command])
    ),
    bench.command,
    serve.command,
    simulate.command,
    simulateLoad.command
  ])
)

const pages = [ask, chat, batch, embed, models, init, keysCheck, configCheck, bench, serve, simulate, simulateLoad].map(
  ({ page }) => page
)

const cli = Command.run(root, { name: "effect-llm", version: packageJson.version, executable: "effect-llm" })

export type Environment = Terminal | Stdin | CliApp.CliApp.Environment

const writeFailure = (terminal: Service, message: string): Effect.Effect<void> =>
  message === ""
    ? Effect.void
    : terminal.writeError(`${errorStyle(terminal)("effect-llm:", "bold", "red")} ${sanitize(message)}\n`)

const reportFailure = (message: string): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(Terminal, (terminal) => writeFailure(terminal, message))

/** Redirects the console output of the command-line parser to the `Terminal`, without styles unless colours are enabled. */
const withTerminalConsole = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const console = yield* Effect.console
    const lines = (values: ReadonlyArray<unknown>, keepsStyle: boolean): string => {
      const text = values.map(String).join(" ").trimEnd()
      return `${keepsStyle ? text : stripStyle(text)}\n`
    }
    return yield* Effect.withConsole(effect, {
      ...console,
      log: (...values) => terminal.write(lines(values, terminal.outputIsTerminal && terminal.wantsColour)),
      error: (...values) => writeFailure(terminal, lines(values, false).trimEnd())
    })
  })

// -------------------------------------------------------------------------------------
// checks that the parser does not make
// -------------------------------------------------------------------------------------

/** The options that every command accepts. */
const globalOptions: ReadonlySet<string> = new Set(["--help", "--version", "--completions", "--log-level", "--wizard"])

const startsWith = (words: ReadonlyArray<string>, path: ReadonlyArray<string>): boolean =>
  path.every((word, index) => words[index] === word)

/** Prints the help page of the command or of all commands; `undefined` when the words request no help. */
const requestedHelp = (words: ReadonlyArray<string>): Effect.Effect<void, never, Terminal> | undefined => {
  const wantsHelp = words.includes("--help") || words.includes("-h")
  const page = pages.find(({ path }) => startsWith(words, path))
  const group = pages.filter(({ path }) => path.length > 1 && path[0] === words[0])
  if (page !== undefined) return wantsHelp ? Help.show(page) : undefined
  if (group.length > 0) return words.length === 1 || wantsHelp ? Help.showAll(group) : undefined
  return words.length === 0 || wantsHelp ? Help.showAll(pages) : undefined
}

/** A word that is none of the candidates. */
interface Unknown {
  readonly word: string
  readonly candidates: ReadonlyArray<string>
  /** The sentences before and after the candidate that was probably meant. */
  readonly problem: string
  readonly advice: string
}

/** The parser reads an unknown option as a word of the text. */
const unknownOption = (words: ReadonlyArray<string>): Unknown | undefined => {
  const page = pages.find(({ path }) => startsWith(words, path))
  if (page === undefined) return undefined
  const known = page.optionNames()
  for (const word of words) {
    const [name = ""] = word.split("=")
    if (!/^-(?:-.+|[a-z])$/i.test(name) || known.has(name) || globalOptions.has(name)) continue
    const command = ["effect-llm", ...page.path].join(" ")
    return {
      word: name,
      candidates: [...known, ...globalOptions].filter((option) => option.startsWith("--")),
      problem: `${command} has no option ${name}.`,
      advice: `"${command} --help" lists the options. Put a text that begins with a dash after "--".`
    }
  }
  return undefined
}

const noSuchCommand = (word: string, commands: ReadonlyArray<string>): Unknown => ({
  word,
  candidates: commands,
  problem: `There is no command ${word}.`,
  advice: `"effect-llm --help" lists the commands: ${commands.join(", ")}.`
})

/** The parser lists all commands and does not say which one is similar. */
const unknownCommand = (words: ReadonlyArray<string>): Unknown | undefined => {
  const [first = "-", second] = words
  if (first.startsWith("-") || pages.some(({ path }) => startsWith(words, path))) return undefined
  const inGroup = pages.filter(({ path }) => path.length > 1 && path[0] === first)
  if (inGroup.length === 0) return noSuchCommand(first, [...new Set(pages.map(({ path }) => path[0] ?? ""))])
  return second === undefined || second.startsWith("-")
    ? undefined
    : noSuchCommand(
        `${first} ${second}`,
        inGroup.map(({ path }) => path.join(" "))
      )
}

const unknownFailure = ({ advice, candidates, problem, word }: Unknown): Effect.Effect<never, CliFailure> =>
  Effect.flatMap(
    Effect.promise(() => import("../internal/nearest.js")),
    ({ didYouMean }) => Effect.fail(usageFailure(`${problem}${didYouMean(word, candidates)} ${advice}`))
  )

/** Follows the error that the parser has printed. */
const pointToHelp = (words: ReadonlyArray<string>): Effect.Effect<void, never, Terminal> => {
  const path = pages.find(({ path }) => startsWith(words, path))?.path ?? []
  return Effect.flatMap(Terminal, (terminal) =>
    terminal.writeError(`Try: ${["effect-llm", ...path, "--help"].join(" ")}\n`)
  )
}

/** The words before `--`, which ends the options. */
const wordsBeforeDashes = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const words = argv.slice(2)
  const end = words.indexOf("--")
  return end === -1 ? words : words.slice(0, end)
}

/** Logs to the standard error, because the standard output contains only the result. */
const logToStandardError: Layer.Layer<never, never, Terminal> = Layer.unwrapScoped(
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const run = yield* FiberSet.makeRuntime<never>()
    const logger = Logger.map(Logger.stringLogger, (line) => {
      run(
        terminal.writeError(`${sanitize(line)}
`)
      )
    })
    return Logger.replace(Logger.defaultLogger, logger)
  })
)

/** Runs a command line of the form of `process.argv` and succeeds with its exit code; fails only by interruption. */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<number, never, Environment> =>
  Effect.suspend((): Effect.Effect<void, CliFailure | ValidationError.ValidationError | QuitException, Environment> => {
    const words = wordsBeforeDashes(argv)
    const unknown = unknownOption(words) ?? unknownCommand(words)
    return unknown === undefined ? (requestedHelp(words) ?? cli(argv)) : unknownFailure(unknown)
  }).pipe(
    withTerminalConsole,
    Effect.provide(logToStandardError),
    Effect.provide(CliConfig.layer({ showBuiltIns: false })),
    Effect.as(exitCodes.ok),
    Effect.catchAll((error) =>
      error instanceof CliFailure
        ? Effect.as(reportFailure(error.message), error.exitCode)
        : ValidationError.isValidationError(error)
          ? Effect.as(pointToHelp(wordsBeforeDashes(argv)), exitCodes.usage)
          : Effect.succeed(exitCodes.interrupted)
    ),
    Effect.catchAllDefect((defect) =>
      Effect.as(
        reportFailure(`Internal error, please report it: ${defect instanceof Error ? defect.message : "no error"}`),
        exitCodes.failed
      )
    )
  )
