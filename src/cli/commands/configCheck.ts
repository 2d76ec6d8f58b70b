/** `effect-llm config check`: prints all faults of a configuration file with their lines and columns. */
import { Effect, Option } from "effect"
import * as Configuration from "../config/configuration.js"
import { noticeOf } from "../config/defaultLimits.js"
import { formatFault } from "../config/document.js"
import { CliFailure, exitCodes, usageFailure } from "../failure.js"
import { printJson } from "../output.js"
import { Terminal } from "../terminal/terminal.js"
import { findFile } from "../config/loadModels.js"
import { sanitize, outputStyle } from "../terminal/style.js"
import type { Arguments } from "../definitions/configCheck.js"

export const run = ({ config, json, path }: Arguments) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const style = outputStyle(terminal)
    const checked = yield* findFile(Option.orElse(path, () => config))
    if (Option.isNone(checked))
      return yield* usageFailure("There is no file to check. Try: effect-llm config check provider.json")
    const { faults, file, warnings } = yield* Configuration.load(checked.value)
    const notice = file === undefined ? undefined : noticeOf(file)
    if (json) {
      yield* printJson({
        file: checked.value,
        ok: faults.length === 0,
        faults,
        warnings,
        notices: notice === undefined ? [] : [notice]
      })
    } else {
      const lines = [
        ...faults.map((fault) => ({ fault, label: style("error", "red") })),
        ...warnings.map((fault) => ({ fault, label: style("warning", "yellow") }))
      ].map(({ fault, label }) => `${label} ${sanitize(formatFault(checked.value, fault))}\n`)
      yield* terminal.write(lines.join(""))
      if (notice !== undefined) yield* terminal.write(`${style("note", "cyan")} ${sanitize(notice)}\n`)
      if (file !== undefined) {
        const { length } = file.models
        yield* terminal.write(`${style("ok", "green")} ${checked.value}: ${length} model${length === 1 ? "" : "s"}\n`)
      }
    }
    if (faults.length > 0) return yield* new CliFailure({ exitCode: exitCodes.usage, message: "" })
  })
