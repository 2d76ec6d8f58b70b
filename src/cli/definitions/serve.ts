/** What `effect-llm serve` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Schema } from "effect"

const workersMessage = () => "--workers must be a number of at least 1, or auto"

const Workers = Schema.Union(
  Schema.Literal("auto"),
  Schema.NumberFromString.pipe(Schema.int(), Schema.positive())
).annotations({ message: () => ({ message: workersMessage(), override: true }) })

const options = {
  config: Options.text("config").pipe(
    Options.withAlias("c"),
    Options.withPseudoName("file"),
    Options.withDescription(
      "The model file, in JSON or YAML; it is reloaded when it changes. Default: EFFECT_LLM_CONFIG, " +
        "provider.json or provider.yaml, else the keys in the environment."
    ),
    Options.optional
  ),
  keys: Options.text("keys").pipe(
    Options.withPseudoName("file"),
    Options.withDescription(
      "The file of the clients' keys, in JSON, with the models, limits and expiry of each; it is reloaded when it changes. " +
        "Default: EFFECT_LLM_KEYS_FILE."
    ),
    Options.optional
  ),
  history: Options.text("history").pipe(
    Options.withPseudoName("file"),
    Options.withDescription(
      "The file that keeps the figures of the dashboard for 30 days; without one they are of the last hour. " +
        "Default: EFFECT_LLM_HISTORY_FILE."
    ),
    Options.optional
  ),
  logBodies: Options.boolean("log-bodies").pipe(
    Options.withDescription(
      "Shows the bodies of the last requests and answers on the dashboard. Default: EFFECT_LLM_LOG_BODIES, or false."
    )
  ),
  host: Options.text("host").pipe(
    Options.withDescription("The address to listen on. Default: EFFECT_LLM_HOST, or 127.0.0.1."),
    Options.optional
  ),
  port: Options.integer("port").pipe(
    Options.withAlias("p"),
    Options.withDescription("The port; 0 for any free port. Default: EFFECT_LLM_PORT, or 8080."),
    Options.optional
  ),
  workers: Options.text("workers").pipe(
    Options.withPseudoName("number|auto"),
    Options.withSchema(Workers),
    Options.withDescription(
      "How many processes serve the port; auto for one for each processor. They share keys, limits and budgets through REDIS_URL. " +
        "Default: EFFECT_LLM_WORKERS, or 1."
    ),
    Options.optional
  ),
  splitLimits: Options.boolean("split-limits").pipe(
    Options.withDescription(
      "Without REDIS_URL, each worker applies its part of every limit and budget. Default: EFFECT_LLM_SPLIT_LIMITS, or false."
    )
  )
}

export const command = Command.make("serve", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Serves the models over HTTP with the APIs of OpenAI and Anthropic. EFFECT_LLM_GATEWAY_KEYS sets the clients' keys and " +
  "EFFECT_LLM_MASTER_KEY the admin token; without any key it answers only this machine."

export const examples = [
  "effect-llm serve --config provider.json --port 8080",
  "EFFECT_LLM_GATEWAY_KEYS=team-a=sk-a,team-b=sk-b effect-llm serve --host 0.0.0.0",
  "REDIS_URL=redis://127.0.0.1:6379 effect-llm serve --workers auto",
  "kill -HUP <pid>   # reads the files again"
]
