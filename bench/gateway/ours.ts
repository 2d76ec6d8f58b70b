/**
 * Our gateway as one would run it: a key of its own with limits, a model with three keys and a limiter, telemetry as it is by
 * default. With `operated` it also writes an access log and renders its metrics every second.
 */
import { HttpServer } from "@effect/platform"
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Logger, Schedule } from "effect"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import { Access, Gateway, GatewayServer } from "../../src/gateway/index.js"
import * as Models from "../../src/models/Models.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import * as ProviderFile from "../../src/models/ProviderFile.js"
import { secret } from "./scenario.js"

const [, , upstream = "", manner] = process.argv
const operated = manner === "operated"

/** Wide enough to refuse nothing. */
const wide = 1_000_000_000

const file = ProviderFile.parse(
  JSON.stringify({
    openai: [
      {
        model_name: "bench",
        api_keys: ["key-one", "key-two", "key-three"],
        base_url: upstream,
        rate_limit_capacity: wide,
        rate_limit_refill_rate: wide
      }
    ]
  })
)

const Ready = Layer.effectDiscard(
  HttpServer.addressWith((address) =>
    Effect.sync(() => process.send?.(address._tag === "TcpAddress" ? address.port : 0))
  )
)

const Scraped = Layer.scopedDiscard(Effect.forkScoped(Effect.repeat(Prometheus.text, Schedule.spaced("1 second"))))

const Live = Layer.mergeAll(
  Gateway.layer(operated ? { observe: AccessLog.make() } : {}),
  Ready,
  operated ? Scraped : Layer.empty
).pipe(
  Layer.provide(GatewayServer.layer({ port: 0 })),
  Layer.provide(
    Access.layer({
      keys: [
        { key: secret, label: "team", models: ["bench"], rateLimit: { requestsPerMinute: wide, maxConcurrent: 10_000 } }
      ]
    })
  ),
  Layer.provide(Layer.unwrapEffect(Effect.map(file, (file) => Models.layer(file)))),
  Layer.provide(NodeHttpClient.layerUndici),
  Layer.provide(Logger.json)
)

NodeRuntime.runMain(Layer.launch(Live), { disablePrettyLogger: true })
