/** What `effect-llm keys check` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const options = {
  ...Shared.configFile,
  ask: Options.boolean("ask").pipe(
    Options.withDescription(
      "Request a few tokens from each model with each key: only this check detects missing credit."
    )
  ),
  json: Shared.json
}

export const command = Command.make("check", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Checks every key and prints ids and states, never keys. The exit code is 1 if a key does not work."

export const examples = ["effect-llm keys check", "effect-llm keys check --ask --json"]
