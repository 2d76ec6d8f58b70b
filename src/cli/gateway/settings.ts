/** The settings of the gateway program, from the command line, else from the environment, else the defaults. */
import { Config, ConfigError, Duration, Effect, Either, LogLevel, Option, Redacted } from "effect"
import { availableParallelism } from "node:os"
import type { ProviderFile } from "../../models/fileModel.js"

/** Options in code or on the command line, which override the environment. */
export interface Options {
  /** The model file, in JSON or YAML. `EFFECT_LLM_CONFIG` @default "provider.json" */
  readonly config?: string
  /** The models that are served instead of those of a file. They are never reloaded. @default those of the file */
  readonly models?: ProviderFile
  /** The file of the clients' keys. `EFFECT_LLM_KEYS_FILE` @default none */
  readonly keys?: string
  /** The file of the dashboard's history. `EFFECT_LLM_HISTORY_FILE` @default none, which keeps an hour in memory */
  readonly history?: string
  /** Whether the dashboard shows the bodies of requests and answers. `EFFECT_LLM_LOG_BODIES` @default false */
  readonly logBodies?: boolean
  /** The address to listen on. `EFFECT_LLM_HOST` @default "127.0.0.1" */
  readonly host?: string
  /** 0 for any free port. `EFFECT_LLM_PORT` @default 8080 */
  readonly port?: number
  /** How long running requests can continue during a shutdown. `EFFECT_LLM_GRACE` @default "30 seconds" */
  readonly grace?: Duration.DurationInput
  /**
   * How often the model file and the key file are checked for changes; `false`: only at SIGHUP. `EFFECT_LLM_RELOAD_INTERVAL`, or
   * `never` @default "1 second"
   */
  readonly reloadInterval?: Duration.DurationInput | false
  /** The origins of web pages that can send requests, or `*`. `EFFECT_LLM_CORS_ORIGINS`, separated by commas @default none */
  readonly corsOrigins?: ReadonlyArray<string>
  /** From where `/metrics` can be read without a token. `EFFECT_LLM_METRICS` @default "loopback" */
  readonly metrics?: "loopback" | "everyone" | "off"
  /** Whether to log a line for each call. `EFFECT_LLM_ACCESS_LOG` @default true */
  readonly accessLog?: boolean
  /** `EFFECT_LLM_LOG_FORMAT` @default "pretty" on a terminal, else "json" */
  readonly logFormat?: "json" | "text" | "pretty"
  /** `EFFECT_LLM_LOG_LEVEL`, else `LLM_ROUTER_LOG_LEVEL` @default information */
  readonly logLevel?: LogLevel.LogLevel
  /** Whether `/llm` lists models and keys to the admin token. `EFFECT_LLM_DETAILS` @default false */
  readonly details?: boolean
  /** The model of `/llm` requests that name none. `EFFECT_LLM_SIMPLE_MODEL` @default that of the file, else all */
  readonly simpleModel?: string
  /**
   * Whether every model must have a known price. If so, a file with an unpriced model is rejected, at the start and at a reload.
   * Otherwise a call to an unpriced model fails for keys with a budget in dollars. `EFFECT_LLM_REQUIRE_PRICES` @default false
   */
  readonly requirePrices?: boolean
  /** How many processes serve; `"auto"`: one for each processor that this process may use. `EFFECT_LLM_WORKERS` @default 1 */
  readonly workers?: number | "auto"
  /**
   * Whether several workers without Redis divide the limits. Otherwise they do not start. `EFFECT_LLM_SPLIT_LIMITS`
   * @default false
   */
  readonly splitLimits?: boolean
}

/** Where traces are sent, by the environment variables of OpenTelemetry ("OpenTelemetry Protocol Exporter"). */
export interface Traces {
  readonly url: string
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  readonly serviceName: string
}

export interface Settings {
  readonly config: string
  readonly models: ProviderFile | undefined
  readonly keys: string | undefined
  readonly history: string | undefined
  readonly logBodies: boolean
  readonly host: string
  readonly port: number
  readonly grace: Duration.Duration
  readonly reloadInterval: Duration.Duration | false
  readonly corsOrigins: ReadonlyArray<string>
  readonly metrics: "loopback" | "everyone" | "off"
  readonly metricsToken: Redacted.Redacted<string> | undefined
  readonly accessLog: boolean
  readonly logFormat: "json" | "text" | "pretty"
  readonly logLevel: LogLevel.LogLevel
  readonly details: boolean
  readonly simpleModel: string | undefined
  readonly requirePrices: boolean
  readonly traces: Traces | undefined
  /** The Redis that several gateways share. `REDIS_URL` @default none */
  readonly redis: Redacted.Redacted<string> | undefined
  readonly workers: number
  readonly splitLimits: boolean
}

const list = (name: string): Config.Config<ReadonlyArray<string>> =>
  Config.map(Config.withDefault(Config.string(name), ""), (text) =>
    text
      .split(",")
      .map((each) => each.trim())
      .filter((each) => each !== "")
  )

const optional = <A>(config: Config.Config<A>): Config.Config<A | undefined> =>
  Config.map(Config.option(config), Option.getOrUndefined)

/** A port that, unlike `Config.port`, can be 0. */
const port = (name: string): Config.Config<number> =>
  Config.validate(Config.integer(name), {
    message: "Expected a port, from 0 to 65535",
    validation: (number) => number >= 0 && number <= 65_535
  })

const workersOrAuto = (name: string): Config.Config<number | "auto"> =>
  Config.literal("auto")(name).pipe(
    Config.map((): number | "auto" => "auto"),
    Config.orElse(() =>
      Config.validate(Config.integer(name), {
        message: 'Expected the number of workers, at least 1, or "auto"',
        validation: (number) => number >= 1
      })
    )
  )

const intervalOrNever = (name: string): Config.Config<Duration.Duration | false> =>
  Config.literal("never")(name).pipe(
    Config.map((): Duration.Duration | false => false),
    Config.orElse(() => Config.duration(name))
  )

/** Parses `name=value` pairs separated by commas, as in W3C Baggage. */
const headersIn = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split(",").flatMap((entry) => {
      const [, name, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(entry) ?? []
      return name === undefined || value === undefined ? [] : [[name.toLowerCase(), value]]
    })
  )

const traces: Config.Config<Traces | undefined> = Config.map(
  Config.all({
    disabled: Config.withDefault(Config.boolean("OTEL_SDK_DISABLED"), false),
    endpoint: optional(Config.nonEmptyString("OTEL_EXPORTER_OTLP_ENDPOINT")),
    tracesEndpoint: optional(Config.nonEmptyString("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")),
    headers: Config.withDefault(Config.redacted("OTEL_EXPORTER_OTLP_HEADERS"), Redacted.make("")),
    serviceName: Config.withDefault(Config.nonEmptyString("OTEL_SERVICE_NAME"), "effect-llm")
  }),
  ({ endpoint, disabled, headers, tracesEndpoint, serviceName }) => {
    const url = tracesEndpoint ?? (endpoint === undefined ? undefined : `${endpoint.replace(/\/$/, "")}/v1/traces`)
    return disabled || url === undefined
      ? undefined
      : { url, headers: Redacted.make(headersIn(Redacted.value(headers))), serviceName }
  }
)

/** A level by its name or its label in the log, in any case; `critical` as in Python. */
const logLevel = (name: string): Config.Config<LogLevel.LogLevel> =>
  Config.mapOrFail(Config.string(name), (text) => {
    const lower = text.trim().toLowerCase()
    const level = LogLevel.allLevels.find(({ _tag, label }) =>
      [_tag.toLowerCase(), label.toLowerCase()].includes(lower)
    )
    return Either.fromNullable(lower === "critical" ? LogLevel.Fatal : level, () =>
      ConfigError.InvalidData([], `Expected one of ${LogLevel.allLevels.map(({ _tag }) => _tag).join(", ")}`)
    )
  })

const environment = Config.all({
  config: Config.withDefault(Config.nonEmptyString("EFFECT_LLM_CONFIG"), "provider.json"),
  keys: optional(Config.nonEmptyString("EFFECT_LLM_KEYS_FILE")),
  history: optional(Config.nonEmptyString("EFFECT_LLM_HISTORY_FILE")),
  logBodies: Config.withDefault(Config.boolean("EFFECT_LLM_LOG_BODIES"), false),
  host: Config.withDefault(Config.nonEmptyString("EFFECT_LLM_HOST"), "127.0.0.1"),
  port: Config.withDefault(port("EFFECT_LLM_PORT"), 8080),
  grace: Config.withDefault(Config.duration("EFFECT_LLM_GRACE"), Duration.seconds(30)),
  reloadInterval: Config.withDefault(intervalOrNever("EFFECT_LLM_RELOAD_INTERVAL"), Duration.seconds(1)),
  corsOrigins: list("EFFECT_LLM_CORS_ORIGINS"),
  metrics: Config.withDefault(Config.literal("loopback", "everyone", "off")("EFFECT_LLM_METRICS"), "loopback" as const),
  metricsToken: optional(Config.redacted(Config.nonEmptyString("EFFECT_LLM_METRICS_TOKEN"))),
  accessLog: Config.withDefault(Config.boolean("EFFECT_LLM_ACCESS_LOG"), true),
  logFormat: optional(Config.literal("json", "text", "pretty")("EFFECT_LLM_LOG_FORMAT")),
  logLevel: Config.withDefault(
    Config.orElseIf(logLevel("EFFECT_LLM_LOG_LEVEL"), {
      if: ConfigError.isMissingDataOnly,
      orElse: () => logLevel("LLM_ROUTER_LOG_LEVEL")
    }),
    LogLevel.Info
  ),
  details: Config.withDefault(Config.boolean("EFFECT_LLM_DETAILS"), false),
  simpleModel: optional(Config.nonEmptyString("EFFECT_LLM_SIMPLE_MODEL")),
  requirePrices: Config.withDefault(Config.boolean("EFFECT_LLM_REQUIRE_PRICES"), false),
  redis: optional(Config.redacted(Config.nonEmptyString("REDIS_URL"))),
  workers: Config.withDefault(workersOrAuto("EFFECT_LLM_WORKERS"), 1),
  splitLimits: Config.withDefault(Config.boolean("EFFECT_LLM_SPLIT_LIMITS"), false),
  traces
})

/** Reads the settings. `isTerminal`: whether the log is written to a terminal. */
export const read = (options: Options, isTerminal: boolean): Effect.Effect<Settings, ConfigError.ConfigError> =>
  Effect.map(environment, (env): Settings => {
    const interval = options.reloadInterval ?? env.reloadInterval
    const workers = options.workers ?? env.workers
    return {
      config: options.config ?? env.config,
      models: options.models,
      keys: options.keys ?? env.keys,
      history: options.history ?? env.history,
      logBodies: options.logBodies ?? env.logBodies,
      host: options.host ?? env.host,
      port: options.port ?? env.port,
      grace: Duration.decode(options.grace ?? env.grace),
      reloadInterval: interval === false ? false : Duration.decode(interval),
      corsOrigins: options.corsOrigins ?? env.corsOrigins,
      metrics: options.metrics ?? env.metrics,
      metricsToken: env.metricsToken,
      accessLog: options.accessLog ?? env.accessLog,
      logFormat: options.logFormat ?? env.logFormat ?? (isTerminal ? "pretty" : "json"),
      logLevel: options.logLevel ?? env.logLevel,
      details: options.details ?? env.details,
      simpleModel: options.simpleModel ?? env.simpleModel,
      requirePrices: options.requirePrices ?? env.requirePrices,
      traces: env.traces,
      redis: env.redis,
      workers: workers === "auto" ? availableParallelism() : workers,
      splitLimits: options.splitLimits ?? env.splitLimits
    }
  })
