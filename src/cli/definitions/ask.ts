/** What `effect-llm ask` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const schema = Options.text("schema").pipe(
  Options.withPseudoName("file"),
  Options.withDescription("A file with a JSON Schema. The answer is then JSON that is validated against it."),
  Options.optional
)

const options = {
  question: Shared.words(
    "question",
    "The question. The text of a pipe or a file at standard input is added to its end."
  ),
  ...Shared.source,
  ...Shared.request,
  system: Shared.system,
  files: Shared.files,
  schema,
  json: Shared.json,
  showReasoning: Shared.showReasoning,
  noStream: Shared.noStream,
  quiet: Shared.quiet
}

export const command = Command.make("ask", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary = "Sends one question and prints the answer."

export const examples = [
  'effect-llm ask "What is the capital of France?"',
  "git diff | effect-llm ask Write a commit message for this change",
  "effect-llm ask --file report.pdf --file chart.png What changed since last year",
  'effect-llm ask --schema invoice.schema.json --file invoice.txt "Read this invoice" | jq .total'
]
