/** The connection to Redis: service, options and errors. */
import type { Duration, Effect, Redacted, Stream } from "effect"
import { Context, Schema } from "effect"
import type { RedisOptions } from "ioredis"
import type { Script } from "./shared/script.js"

export type { Script } from "./shared/script.js"
export { script } from "./shared/script.js"

/**
 * Whether Redis executes commands.
 *
 * @since 0.1.0
 * @category model
 */
export type Availability = "up" | "away"

/**
 * A command that failed, or whose result is unknown.
 *
 * - `connection`: Redis cannot be reached, refuses the login, or accepts no writes now (loading, a replica, out of memory, no
 *   permission).
 * - `timeout`: Redis did not reply in time. It may have executed the command nevertheless.
 * - `script`: the script failed, or its reply does not match the schema.
 *
 * @since 0.1.0
 * @category errors
 */
export class RedisError extends Schema.TaggedError<RedisError>()("RedisError", {
  reason: Schema.Literal("connection", "timeout", "script"),
  /** The name of the script. */
  script: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `Redis (${this.reason}, script "${this.script}"): ${this.detail}`
  }
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /**
   * Runs a script in one round trip. Fails within the timeout, and at once while Redis is away. Can be used in an uninterruptible
   * region.
   */
  readonly run: <A>(
    script: Script<A>,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>
  ) => Effect.Effect<A, RedisError>
  /**
   * Builds the name of a key, such as `effect-llm:{pool:openai}:leases`. The hash tag in braces (`kind` and `name`) selects the
   * node of a cluster, so that one script can use all parts of one name. Different arguments give different keys: `{`, `}` and
   * `%` are escaped as `%7b`, `%7d` and `%25`, and `:` in `kind` as `%3a`.
   */
  readonly key: (kind: string, name: string, part: string) => string
  readonly status: Effect.Effect<Availability>
  /** The current availability, and then every change. */
  readonly changes: Stream.Stream<Availability>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Redis extends Context.Tag("effect-llm/redis/Redis")<Redis, Service>() {}

/**
 * @since 0.1.0
 * @category model
 */
export interface CommonOptions {
  /** The prefix of all key names. @default "effect-llm:" */
  readonly prefix?: string
  /** The time limit of a command. @default "1 second" */
  readonly timeout?: Duration.DurationInput
  /** The longest interval between two probes while Redis is away; the first interval is a tenth of it. @default "1 second" */
  readonly probeInterval?: Duration.DurationInput
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Options extends CommonOptions {
  /** For example `redis://:password@host:6379/0`, or `rediss://` with TLS. @default that of `ioredis`: localhost, 6379 */
  readonly url?: string | Redacted.Redacted<string>
  /**
   * Further options of `ioredis`. Those that queue commands behind a lost connection or send commands twice are fixed and cannot
   * be changed. @default those of `ioredis`
   */
  readonly ioredis?: RedisOptions
}
