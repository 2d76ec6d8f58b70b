/** `effect-llm serve`: runs the gateway until a signal stops it, in this process or in several workers. */
import { Effect, Option } from "effect"
import { setFlagsFromString } from "node:v8"
import type { ServeError } from "../gateway/program.js"
import type { CliFailure } from "../failure.js"
import { configurationFailure, usageFailure } from "../failure.js"
import { environmentModels, findFile } from "../config/loadModels.js"
import type { Arguments } from "../definitions/serve.js"
import type { Options } from "../gateway/settings.js"
import * as GatewaySettings from "../gateway/settings.js"

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

/**
 * V8 puts what survives for the time of a request, such as the stacks of fibers, into its old generation once many requests are in
 * flight. Without that a request takes about a sixth less CPU and less memory stays in use.
 */
const keepRequestsYoung = Effect.sync(() => setFlagsFromString("--no-allocation-site-pretenuring"))

/** The gateway is loaded by the processes that serve: the primary process of several workers does not need it. */
const loadGateway = Effect.zipRight(
  keepRequestsYoung,
  Effect.promise(() => import("../gateway/program.js"))
)

const serveAlone = (options: Options) =>
  Effect.flatMap(loadGateway, (Gateway) => Effect.mapError(Gateway.run(options), serveFailure))

const serveInWorkers = (options: Options, settings: GatewaySettings.Settings) =>
  Effect.gen(function* () {
    const Workers = yield* Effect.promise(() => import("../gateway/cluster/workers.js"))
    const role = yield* Workers.role(settings)
    if (role._tag === "Primary") return yield* Workers.runPrimary(settings)
    yield* keepRequestsYoung
    const Worker = yield* Effect.promise(() => import("../gateway/cluster/worker.js"))
    yield* Worker.run({
      options,
      share: role.share,
      divided: role.divided,
      replaces: role.replaces,
      failureOf: serveFailure
    })
  })

export const run = ({ config, history, host, keys, logBodies, port, splitLimits, workers }: Arguments) =>
  Effect.gen(function* () {
    const path = yield* findFile(config)
    const options: Options = {
      ...(Option.isSome(path) ? { config: path.value } : { models: yield* environmentModels }),
      ...(Option.isSome(keys) ? { keys: keys.value } : {}),
      ...(Option.isSome(history) ? { history: history.value } : {}),
      ...(logBodies ? { logBodies } : {}),
      ...(Option.isSome(host) ? { host: host.value } : {}),
      ...(Option.isSome(port) ? { port: port.value } : {}),
      ...(Option.isSome(workers) ? { workers: workers.value } : {}),
      ...(splitLimits ? { splitLimits } : {})
    }
    const settings = yield* Effect.mapError(
      GatewaySettings.read(options, process.stdout.isTTY === true),
      configurationFailure
    )
    yield* settings.workers === 1 ? serveAlone(options) : serveInWorkers(options, settings)
  })
