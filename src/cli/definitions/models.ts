/** What `effect-llm models` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const options = {
  ...Shared.configFile,
  remote: Options.boolean("remote").pipe(
    Options.withDescription(
      "List the models that the providers offer, with one request to each, instead of the configured models."
    )
  ),
  json: Shared.json
}

export const command = Command.make("models", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary = "Lists the configured models with their aliases, or the models that the providers offer."

export const examples = ["effect-llm models", "effect-llm models --remote --json"]
