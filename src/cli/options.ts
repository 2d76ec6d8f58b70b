/** Options that several commands share. */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import { Option } from "effect"
import type { RequestOptions } from "../programs/Conversation.js"
import type { ModelSelection } from "./config/loadModels.js"

const config = Options.text("config").pipe(
  Options.withAlias("c"),
  Options.withPseudoName("file"),
  Options.withDescription(
    "The model file, in JSON or YAML. Default: EFFECT_LLM_CONFIG, provider.json or provider.yaml, else the keys in the " +
      "environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY …)."
  ),
  Options.optional
)

const model = Options.text("model").pipe(
  Options.withAlias("m"),
  Options.withPseudoName("name"),
  Options.withDescription(
    "The model: provider/model, an alias of the file, or a bare name. Default: the default model."
  ),
  Options.optional
)

/** The option of commands that use all models of a configuration. */
export const configFile = { config }

/** The options of commands that use one model. */
export const source: { readonly [Key in keyof ModelSelection]: Options.Options<ModelSelection[Key]> } = {
  config,
  model
}

export const json = Options.boolean("json").pipe(Options.withDescription("Print JSON instead of human-readable text."))

const temperature = Options.float("temperature").pipe(
  Options.withAlias("t"),
  Options.withDescription("The sampling temperature: 0 for the least random answer."),
  Options.optional
)

const maxTokens = Options.integer("max-tokens").pipe(
  Options.withDescription("The maximum number of tokens of the answer."),
  Options.optional
)

const effort = Options.choice("reasoning", ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const).pipe(
  Options.withDescription("The reasoning effort, for models that can reason."),
  Options.optional
)

/** The options of a request besides its messages. */
export const request = { temperature, maxTokens, effort }

interface Requested {
  readonly temperature: Option.Option<number>
  readonly maxTokens: Option.Option<number>
  readonly effort: Option.Option<"none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max">
}

export const requestOf = ({ effort, maxTokens, temperature }: Requested): RequestOptions => ({
  ...Option.match(temperature, { onNone: () => ({}), onSome: (temperature) => ({ temperature }) }),
  ...Option.match(maxTokens, { onNone: () => ({}), onSome: (maxTokens) => ({ maxTokens }) }),
  ...Option.match(effort, { onNone: () => ({}), onSome: (effort) => ({ reasoning: { effort } }) })
})

export const system = Options.text("system").pipe(
  Options.withAlias("s"),
  Options.withDescription("The system message."),
  Options.optional
)

export const files = Options.text("file").pipe(
  Options.withAlias("f"),
  Options.withPseudoName("path"),
  Options.withDescription("A file to send with the question: text, an image, a PDF or audio. May be repeated."),
  Options.repeated
)

export const showReasoning = Options.boolean("thoughts").pipe(
  Options.withDescription("Print the model's reasoning, if the provider returns it, to standard error.")
)

export const noStream = Options.boolean("no-stream").pipe(
  Options.withDescription("Print the whole answer at once instead of streaming it.")
)

/** A repeated argument, so that a text needs no quotes. */
export const words = (name: string, description: string): Args.Args<ReadonlyArray<string>> =>
  Args.text({ name }).pipe(Args.withDescription(description), Args.repeated)

export const quiet = Options.boolean("quiet").pipe(
  Options.withAlias("q"),
  Options.withDescription("Show no progress on the terminal while the answer is awaited.")
)
