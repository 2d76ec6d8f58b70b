/** `effect-llm serve`: runs the gateway until a signal stops it. */
import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { ServeError } from "../gateway/program.js"
import type { CliFailure } from "../failure.js"
import { configurationFailure, usageFailure } from "../failure.js"
import * as Help from "../help.js"
import { findFile } from "../config/loadModels.js"

const options = {
  config: Options.text("config").pipe(
    Options.withAlias("c"),
    Options.withPseudoName("file"),
    Options.withDescription(
      "The model file, in JSON or YAML; it is reloaded when it changes. Default: EFFECT_LLM_CONFIG, " +
        "provider.json or provider.yaml."
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
  host: Options.text("host").pipe(
    Options.withDescription("The address to listen on. Default: EFFECT_LLM_HOST, or 127.0.0.1."),
    Options.optional
  ),
  port: Options.integer("port").pipe(
    Options.withAlias("p"),
    Options.withDescription("The port; 0 for any free port. Default: EFFECT_LLM_PORT, or 8080."),
    Options.optional
  )
}

const serveFailure = (error: ServeError): CliFailure => {
  switch (error._tag) {
    case "ServeError":
      return usageFailure(
        `The gateway cannot listen: ${error.message}. If the port is in use, choose another with --port.`
      )
    case "InsecureAddressError":
    case "InvalidAccessError":
    case "InvalidBudgetError":
    case "InvalidDeploymentHealthError":
    case "AccessStoreError":
      return usageFailure(error.message)
    default:
      return configurationFailure(error)
  }
}

const summary =
  "Serves the models over HTTP with the APIs of OpenAI and Anthropic. EFFECT_LLM_GATEWAY_KEYS sets the clients' keys and " +
  "EFFECT_LLM_MASTER_KEY the admin token; without any key it answers only this machine."

export const serve = Command.make("serve", options, ({ config, host, keys, port }) =>
  Effect.gen(function* () {
    const path = yield* findFile(config)
    if (Option.isNone(path)) {
      return yield* usageFailure(
        "There is no provider.json or provider.yaml here. Name a file with --config, or in EFFECT_LLM_CONFIG."
      )
    }
    // Loaded here so that the other commands start without the server.
    const { run } = yield* Effect.promise(() => import("../gateway/program.js"))
    yield* Effect.mapError(
      run({
        config: path.value,
        ...(Option.isSome(keys) ? { keys: keys.value } : {}),
        ...(Option.isSome(host) ? { host: host.value } : {}),
        ...(Option.isSome(port) ? { port: port.value } : {})
      }),
      serveFailure
    )
  })
).pipe(Command.withDescription(summary))

export const page = Help.page(["serve"], summary, serve, [
  "effect-llm serve --config provider.json --port 8080",
  "EFFECT_LLM_GATEWAY_KEYS=team-a=sk-a,team-b=sk-b effect-llm serve --host 0.0.0.0",
  "kill -HUP <pid>   # reads the files again"
])
