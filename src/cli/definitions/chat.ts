/** What `effect-llm chat` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const load = Options.text("load").pipe(
  Options.withPseudoName("file"),
  Options.withDescription("Continue a conversation that was saved with /save."),
  Options.optional
)

const options = {
  ...Shared.source,
  ...Shared.request,
  system: Shared.system,
  load,
  showReasoning: Shared.showReasoning,
  noStream: Shared.noStream,
  quiet: Shared.quiet
}

export const command = Command.make("chat", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary = "Starts an interactive conversation with a model. /help lists its commands."

export const examples = [
  "effect-llm chat",
  "effect-llm chat --model anthropic/claude-sonnet-4-5 --system 'Answer in one sentence.'",
  "effect-llm chat --load yesterday.json"
]
