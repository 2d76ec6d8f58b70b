/** `effect-llm config check`: prints all faults of a configuration file with their lines and columns. */
import { Args, Command } from "@effect/cli"
import { Effect, Option } from "effect"
import * as Configuration from "../config/configuration.js"
import { CliFailure, exitCodes, usageFailure } from "../failure.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { printJson } from "../output.js"
import { Terminal } from "../terminal/terminal.js"
import { findFile } from "../config/loadModels.js"
import { sanitize, outputStyle } from "../terminal/style.js"

const options = {
  path: Args.text({ name: "file" }).pipe(Args.withDescription("The file, in JSON or YAML."), Args.optional),
  ...Shared.configFile,
  json: Shared.json
}

const summary =
  "Checks a configuration file and prints all its errors, each with its line and column and without secrets."

const check = Command.make("check", options, ({ config, json, path }) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const style = outputStyle(terminal)
    const checked = yield* findFile(Option.orElse(path, () => config))
    if (Option.isNone(checked))
      return yield* usageFailure("There is no file to check. Try: effect-llm config check provider.json")
    const { faults, file, warnings } = yield* Configuration.load(checked.value)
    if (json) {
      yield* printJson({ file: checked.value, ok: faults.length === 0, faults, warnings })
    } else {
      const lines = [
        ...faults.map((fault) => ({ fault, label: style("error", "red") })),
        ...warnings.map((fault) => ({ fault, label: style("warning", "yellow") }))
      ].map(({ fault, label }) => `${label} ${sanitize(Configuration.formatFault(checked.value, fault))}\n`)
      yield* terminal.write(lines.join(""))
      if (file !== undefined) {
        const { length } = file.models
        yield* terminal.write(`${style("ok", "green")} ${checked.value}: ${length} model${length === 1 ? "" : "s"}\n`)
      }
    }
    if (faults.length > 0) return yield* new CliFailure({ exitCode: exitCodes.usage, message: "" })
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
