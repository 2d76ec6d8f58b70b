/** Options that several commands share, each said once. */
import { Args, Options } from "@effect/cli"
import { Option } from "effect"
import type { RequestOptions } from "../programs/Conversation.js"
import type { ModelSelection } from "./config/loadModels.js"

const config = Options.text("config").pipe(
  Options.withAlias("c"),
  Options.withPseudoName("file"),
  Options.withDescription(
    "The file of models, in JSON or YAML. Without it: EFFECT_LLM_CONFIG, provider.json, provider.yaml, and where there " +
      "is none of them the keys in the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY …)."
  ),
  Options.optional
)

const model = Options.text("model").pipe(
  Options.withAlias("m"),
  Options.withPseudoName("name"),
  Options.withDescription("The model: provider/model, an alias of the file, or a bare name. Without it: the default."),
  Options.optional
)

/** Which models there are. */
export const configFile = { config }

/** Which model is meant. */
export const source: { readonly [Key in keyof ModelSelection]: Options.Options<ModelSelection[Key]> } = {
  config,
  model
}

export const json = Options.boolean("json").pipe(Options.withDescription("Print JSON instead of text for people."))

const temperature = Options.float("temperature").pipe(
  Options.withAlias("t"),
  Options.withDescription("How freely the model chooses its words: 0 for as little as it can."),
  Options.optional
)

const maxTokens = Options.integer("max-tokens").pipe(
  Options.withDescription("The most tokens that the answer may have."),
  Options.optional
)

const effort = Options.choice("reasoning", ["none", "minimal", "low", "medium", "high", "xhigh"] as const).pipe(
  Options.withDescription("How hard a model that can think should do so."),
  Options.optional
)

/** What a request says beside its messages. */
export const request = { temperature, maxTokens, effort }

interface Requested {
  readonly temperature: Option.Option<number>
  readonly maxTokens: Option.Option<number>
  readonly effort: Option.Option<"none" | "minimal" | "low" | "medium" | "high" | "xhigh">
}

export const requestOf = ({ effort, maxTokens, temperature }: Requested): RequestOptions => ({
  ...Option.match(temperature, { onNone: () => ({}), onSome: (temperature) => ({ temperature }) }),
  ...Option.match(maxTokens, { onNone: () => ({}), onSome: (maxTokens) => ({ maxTokens }) }),
  ...Option.match(effort, { onNone: () => ({}), onSome: (effort) => ({ reasoning: { effort } }) })
})

export const system = Options.text("system").pipe(
  Options.withAlias("s"),
  Options.withDescription("What the model is told beforehand."),
  Options.optional
)

export const files = Options.text("file").pipe(
  Options.withAlias("f"),
  Options.withPseudoName("path"),
  Options.withDescription("A file that goes with the question: text, an image, a PDF or a sound. May be repeated."),
  Options.repeated
)

export const showReasoning = Options.boolean("thoughts").pipe(
  Options.withDescription("Show what the model thinks, as far as the provider tells it, on the standard error.")
)

export const noStream = Options.boolean("no-stream").pipe(
  Options.withDescription("Wait for the whole answer instead of showing it as it is written.")
)

/** Words without quotes are one text. */
export const words = (name: string, description: string): Args.Args<ReadonlyArray<string>> =>
  Args.text({ name }).pipe(Args.withDescription(description), Args.repeated)
