/** What `effect-llm bench` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const options = {
  ...Shared.configFile,
  models: Options.text("model").pipe(
    Options.withAlias("m"),
    Options.withPseudoName("name"),
    Options.withDescription(
      "The model: provider/model, an alias of the file, or a bare name. Default: the default model. May be repeated, to compare " +
        "models in one table."
    ),
    Options.repeated
  ),
  ...Shared.request,
  requests: Options.integer("requests").pipe(
    Options.withAlias("n"),
    Options.withDescription("The number of requests. Default: 20."),
    Options.withDefault(20)
  ),
  concurrency: Options.integer("concurrency").pipe(
    Options.withAlias("j"),
    Options.withDescription("The maximum number of concurrent requests. Default: 4."),
    Options.withDefault(4)
  ),
  prompt: Options.text("prompt").pipe(
    Options.withDescription('The question to send. Default: "Count from 1 to 20, in words."'),
    Options.withDefault("Count from 1 to 20, in words.")
  ),
  noStream: Options.boolean("no-stream").pipe(
    Options.withDescription("Request whole answers; the time to the first token is then not measured.")
  ),
  unlimited: Options.boolean("unlimited").pipe(
    Options.withDescription("Ignore the limits of the file, to measure the provider alone.")
  ),
  json: Shared.json
}

export const command = Command.make("bench", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Measures a model, or compares several: requests per second, percentiles of the time to the whole answer and to the first token, tokens per second, and errors by class. The requests are charged as usual."

export const examples = [
  "effect-llm bench --model openai/gpt-4o-mini --requests 50 --concurrency 8",
  "effect-llm bench --model openai/gpt-4o-mini --model mistral/mistral-small-latest",
  "effect-llm bench --unlimited --json > before.json"
]
