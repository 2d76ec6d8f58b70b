/**
 * What several processes share, held in Redis: the foundation of the pools, limits and budgets of `effect-llm/redis`.
 *
 * It runs Lua scripts, each of which is one step that nobody comes between, and by Redis's clock. A Redis that cannot be
 * reached never holds a call up: its first command fails within `timeout`, from then on the availability is `"away"` and every
 * command fails at once, and a probe in the background finds out when it is back.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Redis, RedisKeyPool } from "effect-llm/redis"
 *
 * const keys = RedisKeyPool.layer({ providerId: "openai", keys: [{ key: "sk-one", maxConcurrency: 8 }] }).pipe(
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { ConfigError, Redacted, Scope } from "effect"
import { Config, Duration, Effect, Layer, Option, ParseResult, Schema } from "effect"
import type { Cluster, Redis as Client } from "ioredis"
import type { CommonOptions, Options, Script, Service } from "./model.js"
import { Redis, RedisError, script } from "./model.js"
import * as Availabilities from "./shared/availability.js"
import * as Connection from "./shared/connection.js"

export type { Availability, CommonOptions, Options, Script, Service } from "./model.js"
export { Redis, RedisError, script } from "./model.js"

/** A timer that was set to more than this would go off at once. */
const longestTimer = 2 ** 31 - 1

const millis = (timeout: Duration.DurationInput = "1 second"): number =>
  Math.min(Duration.toMillis(timeout), longestTimer)

const writes = script({
  name: "probe",
  // A Redis that cannot write is of no use.
  lua: `redis.call("SET", KEYS[1], "1", "PX", 1000) return 1`,
  reply: Schema.Literal(1)
})

/**
 * Keeps different texts different, and leaves no brace in them that would end a hash tag. Unpaired surrogates are escaped too, because
 * they have no UTF-8 encoding: all of them would be sent as the same replacement character.
 */
const escaped = (text: string): string =>
  text.replace(/[%{}]|\p{Surrogate}/gu, (character) => `%${character.charCodeAt(0).toString(16)}`)

const over = (connection: Connection.Connection, options: CommonOptions): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { prefix = "effect-llm:", probeInterval = "1 second" } = options
    const timeout = millis(options.timeout)
    const key: Service["key"] = (kind, name, part) =>
      `${prefix}{${escaped(kind).replaceAll(":", "%3a")}:${escaped(name)}}:${escaped(part)}`

    const send = <A>(script: Script<A>, keys: ReadonlyArray<string>, args: ReadonlyArray<string | number>) => {
      const evaluated = (known: boolean) =>
        Connection.reply(() => connection.evaluate(known ? script.sha : script.lua, known, keys, args), timeout)
      const replied = Effect.catchIf(
        evaluated(true),
        ({ code }) => code === "NOSCRIPT",
        () => evaluated(false)
      )
      return replied.pipe(
        Effect.mapError(({ detail, reason }) => {
          const why = reason === "connection" ? (connection.refusal() ?? detail) : detail
          return new RedisError({ reason, script: script.name, detail: connection.masked(why) })
        }),
        Effect.flatMap((reply) =>
          Effect.mapError(
            script.decode(reply),
            (error) =>
              new RedisError({
                reason: "script",
                script: script.name,
                detail: ParseResult.TreeFormatter.formatErrorSync(error)
              })
          )
        )
      )
    }

    const availability = yield* Availabilities.make({
      probe: send(writes, [key("probe", "0", "written")], []),
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
                  detail: connection.refusal() ?? "it is away"
                })
              )
            : Effect.tapError(send(script, keys, args), (error) =>
                error.reason === "script" ? Effect.void : availability.failed(error)
              )
        )
    }
  })

/**
 * A connection of its own, which is closed with the scope. It waits for Redis for `timeout` at most: where Redis is not there
 * yet, it is `"away"` until it is.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.flatMap(Connection.open(options.url, options.ioredis ?? {}, millis(options.timeout)), (connection) =>
    over(connection, options)
  )

/**
 * Over a client of your own, which is not closed. Give it `enableOfflineQueue: false`, `maxRetriesPerRequest: 0` and
 * `autoResendUnfulfilledCommands: false`, lest a step be taken long after its call has given up, or twice.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromClient = (
  client: Client | Cluster,
  options: CommonOptions = {}
): Effect.Effect<Service, never, Scope.Scope> => Effect.suspend(() => over(Connection.borrow(client), options))

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Redis> => Layer.scoped(Redis, make(options))

/**
 * As `layer`, with the URL from a variable.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Omit<Options, "url"> & {
    /** @default `REDIS_URL`; where it is not set, what `ioredis` takes by default */
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
