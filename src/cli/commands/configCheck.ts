/** `effect-llm config check`: all that is wrong with a file, each fault with its line and column. */
import { Args, Command } from "@effect/cli"
import { Effect, Option } from "effect"
import * as Configuration from "../config/configuration.js"
import { CliFailure, exitCodes, unusable } from "../failure.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { printJson } from "../output.js"
import { Screen } from "../terminal/screen.js"
import { findFile } from "../config/loadModels.js"
import { harmless, ofOutput } from "../terminal/style.js"

const options = {
  path: Args.text({ name: "file" }).pipe(Args.withDescription("The file, in JSON or YAML."), Args.optional),
  ...Shared.configFile,
  json: Shared.json
}

const summary =
  "Checks a configuration file and tells all faults at once, each with its line and column, none with a secret."

const check = Command.make("check", options, ({ config, json, path }) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const style = ofOutput(screen)
    const found = yield* findFile(Option.orElse(path, () => config))
    if (Option.isNone(found))
      return yield* unusable("There is no file to check. Try: effect-llm config check provider.json")
    const { faults, file, warnings } = yield* Configuration.load(found.value)
    if (json) {
      yield* printJson({ file: found.value, ok: faults.length === 0, faults, warnings })
    } else {
      const lines = [
        ...faults.map((fault) => ({ fault, word: style("error", "red") })),
        ...warnings.map((fault) => ({ fault, word: style("warning", "yellow") }))
      ].map(({ fault, word }) => `${word} ${harmless(Configuration.lineOf(found.value, fault))}\n`)
      yield* screen.write(lines.join(""))
      if (file !== undefined) {
        const { length } = file.models
        yield* screen.write(`${style("ok", "green")} ${found.value}: ${length} model${length === 1 ? "" : "s"}\n`)
      }
    }
    if (faults.length > 0) return yield* new CliFailure({ exitCode: exitCodes.unusable, message: "" })
  })
).pipe(Command.withDescription(summary))

export const page = Help.page(["config", "check"], summary, check, [
  "effect-llm config check",
  "effect-llm config check provider.yaml --json"
])

export const config = Command.make("config").pipe(
  Command.withDescription("Checks configuration files."),
  Command.withSubcommands([check])
)
