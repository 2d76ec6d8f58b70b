/**
 * The gateway as a program: models and keys that are reloaded from their files, keys from the environment, metrics, traces and a
 * log, until a signal stops it. It handles the signals and the log of the whole process.
 *
 * | signal | effect |
 * | --- | --- |
 * | SIGTERM, SIGINT | Rejects new requests. Running requests complete, or end with an error at the end of the grace period. The program exits with 0 within two seconds after it. |
 * | SIGHUP | Reloads the model file and the key file. An invalid file changes nothing and is logged. |
 */
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import type { FileSystem, HttpClient } from "@effect/platform"
import type { ConfigError, Duration, Scope } from "effect"
import { Clock, Config, Effect, Fiber, FiberRef, HashSet, Layer, Logger, Option, Queue, Redacted } from "effect"
import * as AccessLog from "../../telemetry/AccessLog.js"
import type { ModelEntry, ProviderFile } from "../../models/fileModel.js"
import { ProviderFileError } from "../../models/fileModel.js"
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
import type { InsecureAddressError, ListenError } from "../../gateway/GatewayServer.js"
import * as GatewayServer from "../../gateway/GatewayServer.js"
import * as Pricing from "../../accounting/Pricing.js"
import { parseFile } from "../config/configuration.js"
import * as Prices from "../config/prices.js"
import { exitCodes } from "../failure.js"
import * as ForcedExit from "./forcedExit.js"
import type { Options, Settings, Traces } from "./settings.js"
import * as GatewaySettings from "./settings.js"

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

type Signal = "SIGTERM" | "SIGINT" | "SIGHUP"

/** A queue of the process's signals with these names. The listeners are added before it succeeds and removed with the scope. */
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
 * Waits for the first stop signal. Further ones are ignored: wrappers send them twice, and the grace period is limited.
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
  // The outcome has already been logged.
  const reload = Effect.zipRight(
    Effect.ignore(Models.reload),
    Option.match(keys, { onNone: () => Effect.void, onSome: ({ reload }) => Effect.ignore(reload) })
  )
  const received = yield* signals("SIGHUP")
  yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Queue.take(received), reload)))
})

// -------------------------------------------------------------------------------------
// required prices
// -------------------------------------------------------------------------------------

const missingPrice =
  'is missing, and the price of this model is not known: set it in dollars per million tokens, such as { "input": 2.5, "output": 10 }, ' +
  "or set EFFECT_LLM_REQUIRE_PRICES to false"

/** Pairs each model with the path of its price, such as `openai[0].price`. */
const pathsOf = (models: ReadonlyArray<ModelEntry>): ReadonlyArray<readonly [string, ModelEntry]> => {
  const counts = new Map<string, number>()
  return models.map((entry) => {
    const index = counts.get(entry.provider) ?? 0
    counts.set(entry.provider, index + 1)
    return [`${entry.provider}[${index}].price`, entry]
  })
}

/** Parses like `parseFile`, and fails if a model has no price in the file and none in the `Pricing` of the context. */
const parsePriced = (text: string, path: string): Effect.Effect<ProviderFile, ProviderFileError> =>
  Effect.flatMap(
    Effect.all([parseFile(text, path), Pricing.Pricing, Clock.currentTimeMillis]),
    ([file, prices, at]) => {
      const isPriced = ({ model, price, provider }: ModelEntry): boolean =>
        price !== undefined || Option.isSome(prices.priceOf({ provider, model, at }))
      const faults = pathsOf(file.models).flatMap(([path, entry]) =>
        isPriced(entry) ? [] : [{ path, message: missingPrice }]
      )
      return faults.length === 0
        ? Effect.succeed(file)
        : Effect.fail(new ProviderFileError({ file: path, faults, warnings: file.warnings }))
    }
  )

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
  // Adds the cost of a call to the access log.
  around: Pricing.middleware(),
  ...(settings.accessLog ? { observe: AccessLog.middleware() } : {}),
  ...(settings.corsOrigins.length === 0
    ? {}
    : { cors: { allowedOrigins: settings.corsOrigins, exposedHeaders: ["x-request-id", "retry-after"] } })
})

/**
 * State shared by several gateways: keys, limits, health, budgets, and client keys if an admin token allows to create and
 * revoke them.
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

/** The parser of the model file, which rejects models without a price if prices are required. */
const parseOf = ({ requirePrices }: Settings): typeof parseFile => (requirePrices ? parsePriced : parseFile)

/** The keys of the file and of the environment. */
const accessOf = ({ keys, reloadInterval }: Settings) =>
  keys === undefined ? Access.layerConfig() : Access.layerReloading(keys, { interval: reloadInterval })

/** Where the build puts the page, relative to `dist/cli/parts`. */
const page = new URL("../../gateway/dashboard/page/", import.meta.url)

const gatewayLayer = (settings: Settings) => {
  const { config, host, port, redis, reloadInterval, traces } = settings
  return Gateway.layer(optionsOf(settings)).pipe(
    // Listens for SIGHUP before the gateway serves, because an unhandled SIGHUP ends the process.
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

/** Serves until a stop signal, and succeeds when the shutdown is complete. */
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
      // The output of a server is its log.
      Effect.locally(FiberRef.currentLoggers, HashSet.make(loggers[settings.logFormat])),
      Effect.provide(Logger.minimumLogLevel(settings.logLevel))
    )
  )
