/** A gateway on a free port of the loopback interface, with the models of a provider file of the test. */
import { HttpServer } from "@effect/platform"
import { Context, Effect, Layer, Logger, LogLevel } from "effect"
import { Access, Gateway, GatewayServer } from "../../../src/gateway/index.js"
import * as Models from "../../../src/models/Models.js"
import { SimulatedProvider } from "../../../src/testing/index.js"
import * as Transports from "../../support/transports.js"

export interface Settings {
  readonly file: (baseUrl: string) => unknown
  readonly provider?: SimulatedProvider.Options
  readonly access?: Access.Options
  readonly gateway?: Gateway.Options
  readonly models?: Models.Options
  /** The logger of the gateway. @default none */
  readonly logger?: Layer.Layer<never>
}

const silent = Logger.minimumLogLevel(LogLevel.None)

export const serve = (settings: Settings) =>
  Effect.gen(function* () {
    const { access = {}, file, gateway = {}, logger = silent, models = { telemetry: false }, provider = {} } = settings
    const simulated = yield* SimulatedProvider.make(provider)
    const read = yield* Models.parseFile(JSON.stringify(file(simulated.baseUrl)), "test.json")
    const live = Gateway.layer(gateway).pipe(
      Layer.provideMerge(GatewayServer.layer({ port: 0 })),
      Layer.provideMerge(Access.layer(access)),
      Layer.provideMerge(Models.layer(read, models)),
      Layer.provide(Transports.direct)
    )
    const context = yield* Layer.build(Layer.provide(live, logger))
    const { address } = Context.get(context, HttpServer.HttpServer)
    const url = address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}` : ""
    return { url, provider: simulated, models: Context.get(context, Models.Models) }
  })
