/** `effect-llm serve`: runs the gateway until a signal stops it. */
import { Effect, Option } from "effect"
import type { ServeError } from "../gateway/program.js"
import * as Gateway from "../gateway/program.js"
import type { CliFailure } from "../failure.js"
import { configurationFailure, usageFailure } from "../failure.js"
import { findFile } from "../config/loadModels.js"
import type { Arguments } from "../definitions/serve.js"

const serveFailure = (error: ServeError): CliFailure => {
  switch (error._tag) {
    case "ListenError":
      return usageFailure(
        error.reason === "in-use" ? `${error.message} --port or EFFECT_LLM_PORT sets the port.` : error.message
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

export const run = ({ config, host, keys, port }: Arguments) =>
  Effect.gen(function* () {
    const path = yield* findFile(config)
    if (Option.isNone(path)) {
      return yield* usageFailure(
        "There is no provider.json or provider.yaml here. Name a file with --config, or in EFFECT_LLM_CONFIG."
      )
    }
    yield* Effect.mapError(
      Gateway.run({
        config: path.value,
        ...(Option.isSome(keys) ? { keys: keys.value } : {}),
        ...(Option.isSome(host) ? { host: host.value } : {}),
        ...(Option.isSome(port) ? { port: port.value } : {})
      }),
      serveFailure
    )
  })
