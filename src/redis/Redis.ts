/**
 * The connection to Redis, on which the pools, limits and budgets of `effect-llm/redis` are built.
 *
 * Runs Lua scripts, which are atomic and use Redis's clock. A Redis that cannot be reached does not block calls: the first
 * command fails within `timeout`, from then on the availability is `"away"` and every command fails at once, until a background
 * probe succeeds.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Redis, RedisKeyPool } from "effect-llm/redis"
 *
 * const keys = RedisKeyPool.layer({ provider: "openai", keys: [{ key: "sk-one", maxConcurrency: 8 }] }).pipe(
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { ConfigError, Redacted, Scope } from "effect"
import { Config, Duration, Effect, Layer, Option, Schema } from "effect"
import type { Cluster, Redis as Client } from "ioredis"
import * as MonotonicClock from "../internal/clock.js"
import type { CommonOptions, Options, Script, Service } from "./model.js"
import { Redis, RedisError, script } from "./model.js"
import * as AvailabilityMonitor from "./shared/availability.js"
import * as Connection from "./shared/connection.js"
import * as Faults from "../internal/faults.js"

export type { Availability, CommonOptions, Options, Script, Service } from "./model.js"
export { Redis, RedisError, script } from "./model.js"

const millis = (timeout: Duration.DurationInput = "1 second"): number =>
  Math.min(Duration.toMillis(timeout), MonotonicClock.longestTimer)

const writeProbe = script({
  name: "probe",
  // The probe writes, because a Redis that accepts no writes cannot be used.
  lua: `redis.call("SET", KEYS[1], "1", "PX", 1000) return 1`,
  reply: Schema.Literal(1)
})

/**
 * Percent-encodes braces, which would end a hash tag, and `%`, so that different texts stay different. Escapes unpaired
 * surrogates too, because they have no UTF-8 encoding: all of them would be sent as the same replacement character.
 */
const escaped = (text: string): string =>
  text.replace(/[%{}]|\p{Surrogate}/gu, (character) => `%${character.charCodeAt(0).toString(16)}`)

const makeService = (
  connection: Connection.Connection,
  options: CommonOptions
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { prefix = "effect-llm:", probeInterval = "1 second" } = options
    const timeout = millis(options.timeout)
    const key: Service["key"] = (kind, name, part) =>
      `${prefix}{${escaped(kind).replaceAll(":", "%3a")}:${escaped(name)}}:${escaped(part)}`

    const pending: Connection.PendingCommands = new Set()

    const send = <A>(script: Script<A>, keys: ReadonlyArray<string>, args: ReadonlyArray<string | number>) => {
      const evaluate = (isCached: boolean) =>
        Connection.awaitReply(
          () => connection.evaluate(isCached ? script.sha : script.lua, isCached, keys, args),
          timeout,
          pending
        )
      const replied = Effect.catchIf(
        evaluate(true),
        ({ code }) => code === "NOSCRIPT",
        () => evaluate(false)
      )
      return replied.pipe(
        Effect.mapError(({ detail, reason }) => {
          const explanation = reason === "connection" ? (connection.refusal() ?? detail) : detail
          return new RedisError({ reason, script: script.name, detail: connection.masked(explanation) })
        }),
        Effect.flatMap((reply) =>
          Effect.mapError(
            script.decode(reply),
            (error) =>
              new RedisError({
                reason: "script",
                script: script.name,
                detail: Faults.treeOf(error)
              })
          )
        )
      )
    }

    const availability = yield* AvailabilityMonitor.make({
      probe: send(writeProbe, [key("probe", "0", "written")], []),
      lost: connection.lost,
      refusal: connection.refusal,
      probeInterval: Duration.decode(probeInterval)
    })

    return {
      key,
      status: availability.status,
      changes: availability.changes,
      run: (script, keys, args) =>
        Effect.flatMap(availability.status, (status) =>
          status === "away"
            ? Effect.fail(
                new RedisError({
                  reason: "connection",
                  script: script.name,
                  detail: connection.refusal() ?? "Redis is away"
                })
              )
            : Effect.tapError(send(script, keys, args), (error) =>
                error.reason === "script" ? Effect.void : availability.reportFailure(error)
              )
        )
    }
  })

/**
 * Opens a connection, which is closed with the scope. Waits for Redis for at most `timeout`; without a connection by then the
 * availability is `"away"` until there is one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.flatMap(Connection.open(options.url, options.ioredis ?? {}, millis(options.timeout)), (connection) =>
    makeService(connection, options)
  )

/**
 * Uses an existing client, which is not closed. Set `enableOfflineQueue: false`, `maxRetriesPerRequest: 0` and
 * `autoResendUnfulfilledCommands: false` on it: otherwise a script can run twice, or long after its call has failed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromClient = (
  client: Client | Cluster,
  options: CommonOptions = {}
): Effect.Effect<Service, never, Scope.Scope> => Effect.suspend(() => makeService(Connection.borrow(client), options))

/**
 * Provides a connection that is closed with the layer. Building never fails: while Redis cannot be reached, commands fail with `RedisError`, and
 * the services on it use their local share or fail with `SharedStateError`, by their options.
 *
 * @example
 * ```ts
 * import { Redis } from "effect-llm/redis"
 *
 * const Connection = Redis.layer({ url: "redis://localhost:6379" })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Redis> => Layer.scoped(Redis, make(options))

/**
 * Like `layer`, with the URL from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Omit<Options, "url"> & {
    /** @default `REDIS_URL`; the default of `ioredis` when it is not set */
    readonly url?: Config.Config<Redacted.Redacted<string>>
  } = {}
): Layer.Layer<Redis, ConfigError.ConfigError> =>
  Layer.scoped(
    Redis,
    Effect.flatMap(Config.option(options.url ?? Config.redacted("REDIS_URL")), (url) => {
      const { url: _, ...rest } = options
      return make(Option.match(url, { onNone: () => rest, onSome: (url) => ({ ...rest, url }) }))
    })
  )
