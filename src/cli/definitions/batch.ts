/** What `effect-llm batch` accepts, and its help. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Schema } from "effect"
import * as Shared from "../options.js"

const options = {
  input: Args.text({ name: "in.jsonl" }).pipe(
    Args.withDescription(
      'One request per line: a string, {"prompt", "system"?}, {"messages"} with the other fields of a request, or a line ' +
        "of OpenAI's Batch API."
    )
  ),
  output: Args.text({ name: "out.jsonl" }).pipe(
    Args.withDescription("One result per line, in the order of the requests.")
  ),
  ...Shared.source,
  ...Shared.request,
  concurrency: Options.integer("concurrency").pipe(
    Options.withAlias("j"),
    Options.withDescription("The maximum number of concurrent requests. Default: 8."),
    Options.withSchema(Schema.Number.pipe(Schema.positive({ message: () => "--concurrency must be at least 1" }))),
    Options.withDefault(8)
  ),
  journal: Options.text("journal").pipe(
    Options.withPseudoName("file"),
    Options.withDescription("Where results are kept until all requests are answered. Default: out.jsonl.journal."),
    Options.optional
  ),
  retryFailed: Options.boolean("retry-failed").pipe(
    Options.withDescription("Send the requests again that failed according to the journal.")
  ),
  overwrite: Options.boolean("overwrite").pipe(
    Options.withDescription("Overwrite an output file that exists without a journal.")
  ),
  json: Shared.json
}

export const command = Command.make("batch", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Sends every line of a file as a request and writes an answer, vectors or an error for each, in their order. The same command resumes a batch that was stopped or killed."

export const examples = [
  "effect-llm batch questions.jsonl answers.jsonl --concurrency 16",
  "effect-llm batch questions.jsonl answers.jsonl --retry-failed"
]
