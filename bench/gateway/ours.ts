/**
 * The gateway in a usual configuration: a client key with limits, a model with three keys and a limiter at each of two providers, and
 * the default telemetry. With `operated` it also writes an access log and renders its metrics every second.
 */
import { HttpServer } from "@effect/platform"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Logger, Schedule } from "effect"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import { Access, Gateway, GatewayServer } from "../../src/gateway/index.js"
import * as Models from "../../src/models/Models.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import { models, secret } from "./scenario.js"
import { NodeTransport } from "../../src/node/index.js"

const [, , upstream = "", mode] = process.argv
const operated = mode === "operated"

/** High enough to reject nothing. */
const unlimited = 1_000_000_000

const served = (model: string) => ({
  model_name: model,
  api_keys: ["key-one", "key-two", "key-three"],
  base_url: upstream,
  rate_limit_capacity: unlimited,
  rate_limit_refill_rate: unlimited
})

const file = Models.parseFile(
  JSON.stringify({ openai: [served(models.openai)], anthropic: [served(models.anthropic)] })
)

const Ready = Layer.effectDiscard(
  HttpServer.addressWith((address) =>
    Effect.sync(() => process.send?.(address._tag === "TcpAddress" ? address.port : 0))
  )
)

const Scraped = Layer.scopedDiscard(Effect.forkScoped(Effect.repeat(Prometheus.text, Schedule.spaced("1 second"))))

const Live = Layer.mergeAll(
  Gateway.layer(operated ? { observe: AccessLog.middleware() } : {}),
  Ready,
  operated ? Scraped : Layer.empty
).pipe(
  Layer.provide(GatewayServer.layer({ port: 0 })),
  Layer.provide(
    Access.layer({
      keys: [
        {
          key: secret,
          label: "team",
          models: [models.openai, models.anthropic],
          rateLimit: { requestsPerMinute: unlimited, maxConcurrency: 10_000 }
        }
      ]
    })
  ),
  Layer.provide(Layer.unwrapEffect(Effect.map(file, (file) => Models.layer(file)))),
  Layer.provide(NodeTransport.layerUndici),
  Layer.provide(Logger.json)
)

NodeRuntime.runMain(Layer.launch(Live), { disablePrettyLogger: true })
