/** The contract of the connection to Redis: its service, options and errors. */
import type { Redacted, Stream, Duration, Effect, ParseResult } from "effect"
import { Context, Schema } from "effect"
import type { RedisOptions } from "ioredis"
import * as Sha from "./shared/sha.js"

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
 * A step in Lua, and what it replies. It must take the time from `redis.call("TIME")` alone, and write to `KEYS` alone.
 *
 * @since 0.1.0
 * @category model
 */
export interface Script<A> {
  readonly name: string
  readonly lua: string
  /** Under which Redis has it, once it has been run. */
  readonly sha: string
  readonly decode: (reply: unknown) => Effect.Effect<A, ParseResult.ParseError>
}

/**
 * Make it once, where the module is loaded.
 *
 * @since 0.1.0
 * @category constructors
 */
export const script = <A, I>(options: {
  readonly name: string
  readonly lua: string
  /** What Redis replies: numbers are whole, tables arrays, and `nil` is `null`. */
  readonly reply: Schema.Schema<A, I>
}): Script<A> => ({
  name: options.name,
  lua: options.lua,
  sha: Sha.sha1(options.lua),
  decode: Schema.decodeUnknown(options.reply)
})

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
