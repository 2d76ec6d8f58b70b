/** The contract of the connection to Redis: its service, options and errors. */
import type { Duration, Effect, Redacted, Stream } from "effect"
import { Context, Schema } from "effect"
import type { RedisOptions } from "ioredis"
import type { Script } from "./shared/script.js"

export type { Script } from "./shared/script.js"
export { script } from "./shared/script.js"

/**
 * Whether Redis does what it is asked.
 *
 * @since 0.1.0
 * @category model
 */
export type Availability = "up" | "away"

/**
 * A command that Redis did not do, or of which that is not known.
 *
 * - `connection`: it cannot be reached, refuses the login, or takes no writes now (loading, a replica, out of memory, no permission).
 * - `timeout`: it did not answer in time. What was asked may be done nevertheless.
 * - `script`: the script failed, or its reply has another shape than it should.
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
   * Runs a script, in one round trip. It fails within the timeout, and at once while Redis is away. It may be part of what
   * cannot be interrupted.
   */
  readonly run: <A>(
    script: Script<A>,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>
  ) => Effect.Effect<A, RedisError>
  /**
   * The name of a key: `effect-llm:{pool:openai}:leases`. What is in braces (`kind` and `name`) decides on which node of a
   * cluster the key is, so that all parts of one thing may be used by one script. Different arguments give different keys: `{`,
   * `}` and `%` in them are escaped as `%7b`, `%7d` and `%25`, and so is `:` in `kind` as `%3a`.
   */
  readonly key: (kind: string, name: string, part: string) => string
  readonly status: Effect.Effect<Availability>
  /** How it stands, and then every change. */
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
  /** What the names of all keys begin with. @default "effect-llm:" */
  readonly prefix?: string
  /** How long a command may take. @default "1 second" */
  readonly timeout?: Duration.DurationInput
  /** The longest time between two probes while Redis is away; the first comes after a tenth of it. @default "1 second" */
  readonly probeInterval?: Duration.DurationInput
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Options extends CommonOptions {
  /** Such as `redis://:password@host:6379/0`, or `rediss://` with TLS. @default that of `ioredis`: localhost, 6379 */
  readonly url?: string | Redacted.Redacted<string>
  /**
   * What else `ioredis` is to know. That nothing waits for a lost connection, and that nothing is sent twice, is decided here
   * and cannot be changed.
   */
  readonly ioredis?: RedisOptions
}
