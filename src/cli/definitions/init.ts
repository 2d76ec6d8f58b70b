/** What `effect-llm init` accepts, and its help. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"

const options = {
  path: Args.text({ name: "file" }).pipe(
    Args.withDescription("The file to write, in YAML. Default: provider.yaml."),
    Args.withDefault("provider.yaml")
  ),
  force: Options.boolean("force").pipe(Options.withDescription("Overwrite the file if it exists."))
}

export const command = Command.make("init", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Writes a model file with comments for the providers whose keys are in the environment. The file names the variables and contains no key."

export const examples = ["effect-llm init", "effect-llm init models.yaml --force"]
