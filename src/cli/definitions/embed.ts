/** What `effect-llm embed` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const options = {
  texts: Shared.words("text", "The texts, each in quotes. Default: the lines of the piped input."),
  ...Shared.source,
  dimensions: Options.integer("dimensions").pipe(
    Options.withDescription("The length of the vectors, for models that can shorten them."),
    Options.optional
  ),
  purpose: Options.choice("purpose", ["query", "document", "similarity", "classification", "clustering"] as const).pipe(
    Options.withDescription("The purpose of the vectors, for models that distinguish purposes."),
    Options.optional
  ),
  json: Shared.json
}

export const command = Command.make("embed", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Converts texts to vectors. Into a pipe, or with --json, it prints one JSON object with all numbers."

export const examples = [
  'effect-llm embed --model openai/text-embedding-3-small "A text" "Another text"',
  "cut -f2 titles.tsv | effect-llm embed -m openai/text-embedding-3-small > vectors.json"
]
