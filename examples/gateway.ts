/**
 * A gateway for the models of a file: `EFFECT_LLM_MASTER_KEY=… npx tsx examples/gateway.ts provider.json`. Ctrl-C or SIGTERM stops
 * it after its running requests.
 */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { AccessLog, Models } from "effect-llm"
import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
import { NodeTransport } from "effect-llm/node"

const settings = Config.all({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080),
  grace: Config.withDefault(Config.duration("GRACE"), "30 seconds")
})

const live = Layer.unwrapEffect(
  Effect.map(settings, ({ grace, host, port }) =>
    Gateway.layer({ grace, observe: AccessLog.middleware() }).pipe(
      Layer.provide(GatewayServer.layer({ host, port })),
      Layer.provide(Access.layerConfig()),
      Layer.provide(Models.layerFile(process.argv[2] ?? "provider.json")),
      Layer.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
    )
  )
)

NodeRuntime.runMain(Layer.launch(live))
