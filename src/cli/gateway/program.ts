/**
 * The gateway as a program: models and keys that are reloaded from their files, keys from the environment, metrics, traces and a
 * log, until a signal stops it. It handles the signals and the log of the whole process.
 *
 * | signal | effect |
 * | --- | --- |
 * | SIGTERM, SIGINT | Rejects new requests. Running requests complete, or end with an error at the end of the grace period. The program exits with 0 within two seconds after it. A second signal, at least a second after the first, ends it at once. |
 * | SIGHUP | Reloads the model file and the key file. An invalid file changes nothing and is logged. |
 */
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import type { FileSystem, HttpClient } from "@effect/platform"
import type { ConfigError, Duration, Scope } from "effect"
import { Clock, Config, Effect, Fiber, Layer, Option, Queue, Redacted } from "effect"
import * as AccessLog from "../../telemetry/AccessLog.js"
import type { ModelEntry } from "../../models/fileModel.js"
import { ProviderFileError } from "../../models/fileModel.js"
import type { ReloadError } from "../../models/model.js"
import * as Models from "../../models/Models.js"
import * as Redis from "../../redis/Redis.js"
import * as RedisAccessStore from "../../redis/RedisAccessStore.js"
import * as RedisResponseStore from "../../redis/RedisResponseStore.js"
import * as RedisSharing from "../../redis/RedisSharing.js"
import type { InvalidAccessError } from "../../gateway/auth/model.js"
import * as Access from "../../gateway/Access.js"
import type { AccessStoreError } from "../../gateway/AccessStore.js"
import * as Dashboard from "../../gateway/dashboard/Dashboard.js"
import * as Gateway from "../../gateway/Gateway.js"
import type { InsecureAddressError, ListenError } from "../../gateway/GatewayServer.js"
import * as GatewayServer from "../../gateway/GatewayServer.js"
import * as Pricing from "../../accounting/Pricing.js"
import * as Announcement from "./announcement.js"
import { parseFile } from "../config/configuration.js"
import { noticeOf } from "../config/defaultLimits.js"
import * as Prices from "../config/prices.js"
import { exitCodes } from "../failure.js"
import * as ForcedExit from "./forcedExit.js"
import type { Host, Parse } from "./host.js"
import * as Hosts from "./host.js"
import * as GatewayLog from "./log.js"
import * as ModelPaths from "./modelPaths.js"
import type { Options, Settings, Traces } from "./settings.js"
import * as GatewaySettings from "./settings.js"
import * as Signals from "./signals.js"

export type { Options } from "./settings.js"

type SharingError = Layer.Layer.Error<ReturnType<typeof RedisSharing.layer>> | ConfigError.ConfigError

export type ServeError =
  | ConfigError.ConfigError
  | ReloadError
  | InvalidAccessError
  | SharingError
  | AccessStoreError
  | InsecureAddressError
  | ListenError

// -------------------------------------------------------------------------------------
// signals
// -------------------------------------------------------------------------------------

/** Waits for the first stop signal, or until the host stops the program. */
const waitForStop = (
  grace: Duration.Duration,
  { onStopSignal, stopSignals, stopped }: Host
): Effect.Effect<Fiber.Fiber<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const first = yield* Effect.makeLatch()
    const startForcedExit = yield* ForcedExit.make(
      grace,
      Effect.sync(() => process.exit(exitCodes.ok))
    )
    yield* Effect.fork(Effect.zipRight(first.await, startForcedExit))
    yield* Signals.onStop(stopSignals, (name) =>
      Effect.logInfo(`${name}: shutting down`).pipe(Effect.zipRight(onStopSignal(grace)), Effect.zipRight(first.open))
    )
    yield* stopped.pipe(
      Effect.flatMap((reason) => Effect.zipRight(Effect.logInfo(`${reason}: shutting down`), first.open)),
      Effect.forkScoped
    )
    return yield* Effect.fork(first.await)
  })

const reloadOnSignal = ({ reloadRequested }: Host): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const models = yield* Effect.serviceOption(Models.Reloading)
    const keys = yield* Effect.serviceOption(Access.Reloading)
    // The outcome has already been logged.
    const reload = Effect.zipRight(
      Option.match(models, { onNone: () => Effect.void, onSome: ({ reload }) => Effect.ignore(reload) }),
      Option.match(keys, { onNone: () => Effect.void, onSome: ({ reload }) => Effect.ignore(reload) })
    )
    const received = yield* Signals.queue("SIGHUP")
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Queue.take(received), reload)))
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(reloadRequested, reload)))
  })

// -------------------------------------------------------------------------------------
// required prices
// -------------------------------------------------------------------------------------

const missingPrice =
  'is missing, and the price of this model is not known: set it in dollars per million tokens, such as { "input": 2.5, "output": 10 }, ' +
  "or set EFFECT_LLM_REQUIRE_PRICES to false"

/** Parses, and fails if a model has no price in the file and none in the `Pricing` of the context. */
const priced =
  (parse: Parse): Parse =>
  (text, path) =>
    Effect.flatMap(Effect.all([parse(text, path), Pricing.Pricing, Clock.currentTimeMillis]), ([file, prices, at]) => {
      const isPriced = ({ model, price, provider }: ModelEntry): boolean =>
        price !== undefined || Option.isSome(prices.priceOf({ provider, model, at }))
      const faults = ModelPaths.of(file.models).flatMap(([path, entry]) =>
        isPriced(entry) ? [] : [{ path: `${path}.price`, message: missingPrice }]
      )
      return faults.length === 0
        ? Effect.succeed(file)
        : Effect.fail(new ProviderFileError({ file: path, faults, warnings: file.warnings }))
    })

// -------------------------------------------------------------------------------------
// layers
// -------------------------------------------------------------------------------------

const exporter = ({ headers, serviceName, url }: Traces): Layer.Layer<never, never, HttpClient.HttpClient> =>
  OtlpTracer.layer({
    url,
    headers: Redacted.value(headers),
    resource: { serviceName },
    // A collector that does not answer must not delay the exit.
    shutdownTimeout: "1 second"
  }).pipe(Layer.provide(OtlpSerialization.layerJson))

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
  // Adds the cost of a call to the access log.
  around: Pricing.middleware(),
  ...(settings.accessLog ? { observe: AccessLog.middleware() } : {}),
  ...(settings.corsOrigins.length === 0
    ? {}
    : { cors: { allowedOrigins: settings.corsOrigins, exposedHeaders: ["x-request-id", "retry-after"] } })
})

const shared = Layer.merge(RedisSharing.layer(), RedisResponseStore.layer({ name: "gateway" }))

/**
 * State shared by several gateways: keys, limits, health, budgets, responses, and client keys if an admin token allows to create and
 * revoke them.
 */
const sharedLayer = (url: Redacted.Redacted<string>): Layer.Layer<never, SharingError> =>
  Layer.unwrapEffect(
    Effect.map(Config.option(Config.redacted("EFFECT_LLM_MASTER_KEY")), (admin) =>
      Layer.provide(
        Option.isSome(admin) ? Layer.merge(shared, RedisAccessStore.layer({ name: "gateway" })) : shared,
        Redis.layer({ url })
      )
    )
  )

/** The parser of the model file, which rejects models without a price if prices are required. */
const parseOf = ({ models, requirePrices }: Settings): Parse => {
  const parse: Parse = models === undefined ? parseFile : () => Effect.succeed(models)
  return requirePrices ? priced(parse) : parse
}

/** Logs once that models have the default limit. */
const withNotice = ({ isFirst }: Host, parse: Parse): Parse => {
  let isPending = isFirst
  return (text, path) =>
    Effect.tap(parse(text, path), (file) => {
      const notice = isPending ? noticeOf(file) : undefined
      isPending = false
      return notice === undefined ? Effect.void : Effect.logWarning(notice)
    })
}

/** The models of the file, which are reloaded, or those of the environment. */
const modelsOf = (settings: Settings, host: Host) => {
  const { config, models, reloadInterval } = settings
  const parse = withNotice(host, host.parse(parseOf(settings)))
  return models === undefined
    ? Models.layerReloading(config, { interval: reloadInterval, parse })
    : Layer.unwrapEffect(Effect.map(parse("", "the environment"), (file) => Models.layer(file)))
}

/** The keys of the file and of the environment. */
const accessOf = ({ keys, reloadInterval }: Settings) =>
  keys === undefined ? Access.layerConfig() : Access.layerReloading(keys, { interval: reloadInterval })

/** Where the build puts the page, relative to `dist/cli/parts`. */
const page = new URL("../../gateway/dashboard/page/", import.meta.url)

const gatewayLayer = (settings: Settings, host: Host) => {
  const { history, logBodies, port, redis, traces } = settings
  const gateway = Gateway.layer(optionsOf(settings))
  return (host.isFirst ? Layer.provide(Announcement.layer, gateway) : gateway).pipe(
    // Listens for SIGHUP before the gateway serves, because an unhandled SIGHUP ends the process.
    Layer.provide(Layer.scopedDiscard(reloadOnSignal(host))),
    Layer.provide(Dashboard.layer({ page, bodies: logBodies })),
    Layer.provide(history === undefined ? Layer.empty : host.history(history)),
    Layer.provide(GatewayServer.layer({ host: settings.host, port })),
    Layer.provide(accessOf(settings)),
    Layer.provide(modelsOf(settings, host)),
    Layer.provide(redis === undefined ? Layer.empty : sharedLayer(redis)),
    Layer.provide(host.layer),
    Layer.provide(Prices.layer),
    Layer.provide(traces === undefined ? Layer.empty : exporter(traces))
  )
}

/** Serves until a stop signal, and succeeds when the shutdown is complete. */
export const run = (
  options: Options = {},
  host: Host = Hosts.alone
): Effect.Effect<void, ServeError, HttpClient.HttpClient | FileSystem.FileSystem> =>
  Effect.flatMap(GatewaySettings.read(options, process.stdout.isTTY === true), (settings) =>
    Effect.scoped(
      Effect.gen(function* () {
        const stopped = yield* waitForStop(settings.grace, host)
        const serve = Layer.build(gatewayLayer(settings, host)).pipe(
          Effect.zipRight(host.onServing),
          Effect.zipRight(Effect.never)
        )
        yield* Effect.raceFirst(serve, Fiber.join(stopped))
      })
    ).pipe(GatewayLog.withLog(settings))
  )
