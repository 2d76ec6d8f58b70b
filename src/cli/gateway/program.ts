/**
 * A gateway as a program of its own: models that follow their file, keys from the environment, metrics, traces and a log, until a
 * signal ends it. It speaks for the whole process.
 *
 * | signal | what it does |
 * | --- | --- |
 * | SIGTERM, SIGINT | No new requests; what is under way ends, or is told at the end of the grace. The program ends well, two seconds after the grace at the latest. |
 * | SIGHUP | The file of models and that of keys are read again. A faulty one changes nothing, and is told in the log. |
 */
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import type { FileSystem, HttpClient, HttpServerError } from "@effect/platform"
import type { ConfigError, Duration, Scope } from "effect"
import { Config, Effect, Fiber, FiberRef, HashSet, Layer, Logger, Option, Queue, Redacted } from "effect"
import * as AccessLog from "../../telemetry/AccessLog.js"
import type { ReloadError } from "../../models/model.js"
import * as Models from "../../models/Models.js"
import * as Redis from "../../redis/Redis.js"
import * as RedisAccessStore from "../../redis/RedisAccessStore.js"
import * as RedisSharing from "../../redis/RedisSharing.js"
import type { InvalidAccessError } from "../../gateway/auth/model.js"
import * as Access from "../../gateway/Access.js"
import type { AccessStoreError } from "../../gateway/AccessStore.js"
import * as Dashboard from "../../gateway/dashboard/Dashboard.js"
import * as Gateway from "../../gateway/Gateway.js"
import type { InsecureAddressError } from "../../gateway/GatewayServer.js"
import * as GatewayServer from "../../gateway/GatewayServer.js"
import * as Pricing from "../../accounting/Pricing.js"
import { parseFile } from "../config/configuration.js"
import * as Prices from "../config/prices.js"
import { parsePriced } from "./requiredPrices.js"
import { exitCodes } from "../failure.js"
import * as ForcedExit from "./forcedExit.js"
import type { Options, Settings, Traces } from "./settings.js"
import * as GatewaySettings from "./settings.js"

export type { Options } from "./settings.js"

type SharingError = Layer.Layer.Error<ReturnType<typeof RedisSharing.layer>> | ConfigError.ConfigError

/** Why it does not serve. */
export type ServeError =
  | ConfigError.ConfigError
  | ReloadError
  | InvalidAccessError
  | SharingError
  | AccessStoreError
  | InsecureAddressError
  | HttpServerError.ServeError

// -------------------------------------------------------------------------------------
// signals
// -------------------------------------------------------------------------------------

type Signal = "SIGTERM" | "SIGINT" | "SIGHUP"

/** The signals of these names that the process is sent until the scope closes, from the moment on that this succeeds. */
const signals = (...names: ReadonlyArray<Signal>): Effect.Effect<Queue.Dequeue<Signal>, never, Scope.Scope> =>
  Effect.flatMap(Queue.unbounded<Signal>(), (queue) => {
    const onSignal = (name: Signal): void => {
      queue.unsafeOffer(name)
    }
    return Effect.as(
      Effect.acquireRelease(
        Effect.sync(() => names.forEach((name) => process.on(name, onSignal))),
        () => Effect.sync(() => names.forEach((name) => process.off(name, onSignal)))
      ),
      queue
    )
  })

/**
 * Waits for the first signal to stop. Those after it change nothing: wrappers send them twice, the grace has an end, and SIGKILL
 * waits for nobody.
 */
const waitForStopSignal = (grace: Duration.Duration): Effect.Effect<Fiber.Fiber<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const first = yield* Effect.makeLatch()
    const startForcedExit = yield* ForcedExit.make(
      grace,
      Effect.sync(() => process.exit(exitCodes.ok))
    )
    yield* Effect.fork(Effect.zipRight(first.await, startForcedExit))
    const received = yield* signals("SIGTERM", "SIGINT")
    yield* Queue.take(received).pipe(
      Effect.flatMap((name) => Effect.zipRight(Effect.logInfo(`${name}: shutting down`), first.open)),
      Effect.forever,
      Effect.forkScoped
    )
    return yield* Effect.fork(first.await)
  })

const reloadOnSignal: Effect.Effect<void, never, Models.Reloading | Scope.Scope> = Effect.gen(function* () {
  const keys = yield* Effect.serviceOption(Access.Reloading)
  // What came of it is in the log already.
  const reload = Effect.zipRight(
    Effect.ignore(Models.reload),
    Option.match(keys, { onNone: () => Effect.void, onSome: ({ reload }) => Effect.ignore(reload) })
  )
  const received = yield* signals("SIGHUP")
  yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Queue.take(received), reload)))
})

// -------------------------------------------------------------------------------------
// layers
// -------------------------------------------------------------------------------------

const exporter = ({ headers, serviceName, url }: Traces): Layer.Layer<never, never, HttpClient.HttpClient> =>
  OtlpTracer.layer({
    url,
    headers: Redacted.value(headers),
    resource: { serviceName },
    // A collector that does not answer must not hold up the end of the process.
    shutdownTimeout: "1 second"
  }).pipe(Layer.provide(OtlpSerialization.layerJson))

const loggers = {
  json: Logger.withConsoleLog(Logger.jsonLogger),
  text: Logger.withConsoleLog(Logger.logfmtLogger),
  pretty: Logger.prettyLogger()
} as const

const optionsOf = (settings: Settings): Gateway.Options => ({
  grace: settings.grace,
  simple: {
    details: settings.details,
    ...(settings.simpleModel === undefined ? {} : { model: settings.simpleModel })
  },
  metrics:
    settings.metrics === "off"
      ? false
      : {
          readers: settings.metrics,
          ...(settings.metricsToken === undefined ? {} : { token: settings.metricsToken })
        },
  // So that the access log says what a call has cost.
  around: Pricing.make(),
  ...(settings.accessLog ? { observe: AccessLog.make() } : {}),
  ...(settings.corsOrigins.length === 0
    ? {}
    : { cors: { allowedOrigins: settings.corsOrigins, exposedHeaders: ["x-request-id", "retry-after"] } })
})

/**
 * What several gateways share: keys, limits, health, the books of budgets, and the keys of clients where somebody may make and
 * revoke some.
 */
const sharedLayer = (url: Redacted.Redacted<string>): Layer.Layer<never, SharingError> =>
  Layer.unwrapEffect(
    Effect.map(Config.option(Config.redacted("EFFECT_LLM_MASTER_KEY")), (admin) =>
      Layer.provide(
        Option.isSome(admin)
          ? Layer.merge(RedisSharing.layer(), RedisAccessStore.layer({ name: "gateway" }))
          : RedisSharing.layer(),
        Redis.layer({ url })
      )
    )
  )

/** Reads the file of models, and refuses one with models whose price is not known where all must have one. */
const parseOf = ({ requirePrices }: Settings): typeof parseFile => (requirePrices ? parsePriced : parseFile)

/** Keys of the file and of the environment together. */
const accessOf = ({ keys, reloadInterval }: Settings) =>
  keys === undefined ? Access.layerConfig() : Access.layerReloading(keys, { interval: reloadInterval })

/** Where the build puts it: the program is a part in `dist/cli/parts`. */
const page = new URL("../../gateway/dashboard/page/", import.meta.url)

const gatewayLayer = (settings: Settings) => {
  const { config, host, port, redis, reloadInterval, traces } = settings
  return Gateway.layer(optionsOf(settings)).pipe(
    // A gateway that answers hears SIGHUP already, which would end it otherwise.
    Layer.provide(Layer.scopedDiscard(reloadOnSignal)),
    Layer.provide(Dashboard.layer({ page })),
    Layer.provide(GatewayServer.layer({ host, port })),
    Layer.provide(accessOf(settings)),
    Layer.provide(Models.layerReloading(config, { interval: reloadInterval, parse: parseOf(settings) })),
    Layer.provide(redis === undefined ? Layer.empty : sharedLayer(redis)),
    Layer.provide(Prices.layer),
    Layer.provide(traces === undefined ? Layer.empty : exporter(traces))
  )
}

/** Serves until the process is told to stop, and succeeds when all is over. */
export const run = (
  options: Options = {}
): Effect.Effect<void, ServeError, HttpClient.HttpClient | FileSystem.FileSystem> =>
  Effect.flatMap(GatewaySettings.read(options, process.stdout.isTTY === true), (settings) =>
    Effect.scoped(
      Effect.gen(function* () {
        const stopped = yield* waitForStopSignal(settings.grace)
        yield* Effect.raceFirst(Effect.zipRight(Layer.build(gatewayLayer(settings)), Effect.never), Fiber.join(stopped))
      })
    ).pipe(
      // The log of a program that serves is its output.
      Effect.locally(FiberRef.currentLoggers, HashSet.make(loggers[settings.logFormat])),
      Effect.provide(Logger.minimumLogLevel(settings.logLevel))
    )
  )
