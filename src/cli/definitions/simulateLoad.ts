/** What `effect-llm simulate-load` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const text = (name: string, pseudoName: string, description: string) =>
  Options.text(name).pipe(Options.withPseudoName(pseudoName), Options.withDescription(description))

const options = {
  ...Shared.source,
  rate: text("rate", "n/s", "The rate of calls, such as 5/s, 300/min or 2000/h. Default: 1/s.").pipe(
    Options.withDefault("1/s")
  ),
  duration: text("duration", "time", "The time in which calls arrive, such as 90s, 30m, 8h or 1d. Default: 1h.").pipe(
    Options.withDefault("1h")
  ),
  inputTokens: text(
    "input-tokens",
    "n",
    "The input of a call: a number, or median and 95th percentile such as 800/3000. Default: 500."
  ).pipe(Options.withDefault("500")),
  outputTokens: text("output-tokens", "n", "The output of a call, likewise. Default: 200.").pipe(
    Options.withDefault("200")
  ),
  maxTokens: Options.integer("max-tokens").pipe(
    Options.withDescription(
      "The maximum output of each request, which budgets and token limits reserve. Default: none."
    ),
    Options.optional
  ),
  trace: text(
    "trace",
    "file",
    "The calls instead of a rate: JSON lines or CSV with a header, with the fields at (seconds since the start, or a date), " +
      "input_tokens, output_tokens and optionally model and client."
  ).pipe(Options.optional),
  latency: text(
    "latency",
    "time",
    "The duration of an answer: a time, or median and 95th percentile such as 800ms/3s. Default: 1s/3s."
  ).pipe(Options.withDefault("1s/3s")),
  perToken: text("per-token", "time", "What each token of the output adds to the duration, such as 15ms.").pipe(
    Options.optional
  ),
  providerRpm: Options.float("provider-rpm").pipe(
    Options.withDescription(
      "The requests per minute that a provider allows each account with each model, with a 429 beyond."
    ),
    Options.optional
  ),
  providerTpm: Options.float("provider-tpm").pipe(
    Options.withDescription("The tokens per minute that a provider allows each account with each model."),
    Options.optional
  ),
  outage: text(
    "outage",
    "from..to",
    "A time in which a provider fails, such as 10m..12m; 10m..12m@500 sets the status, 10m..12m@503:openai the provider. " +
      "May be repeated."
  ).pipe(Options.repeated),
  budget: Options.float("budget").pipe(
    Options.withPseudoName("dollars"),
    Options.withDescription("A budget of dollars a day, in UTC. It denies calls of models whose price is unknown."),
    Options.optional
  ),
  oneMoreKey: Options.boolean("one-more-key").pipe(
    Options.withDescription("Also simulate one more key for each model, like its first one.")
  ),
  compare: Options.boolean("compare").pipe(
    Options.withDescription("Also simulate one more key, and the file without each of its limits in turn.")
  ),
  seed: Options.integer("seed").pipe(
    Options.withDescription("The seed of all random values: equal seeds give equal reports. Default: 0."),
    Options.withDefault(0)
  ),
  json: Shared.json
}

export const command = Command.make("simulate-load", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Predicts how a configuration carries a load, in virtual time and without a request: throughput, waits, refusals, cost, which limit binds, and what one more key would buy."

export const examples = [
  "effect-llm simulate-load --rate 5/s --duration 1d --input-tokens 800/3000 --provider-rpm 200",
  "effect-llm simulate-load --trace yesterday.jsonl --outage 10m..12m --compare",
  "effect-llm simulate-load --model sturdy --rate 300/min --one-more-key --json > plan.json"
]
