/** What `effect-llm config check` accepts, and its help. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Shared from "../options.js"

const options = {
  path: Args.text({ name: "file" }).pipe(Args.withDescription("The file, in JSON or YAML."), Args.optional),
  ...Shared.configFile,
  json: Shared.json
}

export const command = Command.make("check", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Checks a configuration file and prints all its errors, each with its line and column and without secrets."

export const examples = ["effect-llm config check", "effect-llm config check provider.yaml --json"]
