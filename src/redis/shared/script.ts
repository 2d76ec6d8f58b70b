/** Lua scripts, and the clock that they use. */
import { createHash } from "node:crypto"
import type { Effect, ParseResult } from "effect"
import { Schema } from "effect"

/** SHA-1 hex digest, by which Redis identifies a script. */
const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex")

/**
 * Lua that sets `now` to the time of Redis, in milliseconds since the epoch with fractions: the one clock that all processes
 * share.
 */
export const redisTime = `
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
`

/**
 * A Lua script and the schema of its reply. A script must take the time from `redis.call("TIME")` and write only to `KEYS`.
 *
 * @since 0.1.0
 * @category model
 */
export interface Script<A> {
  readonly name: string
  readonly lua: string
  /** The hash by which Redis identifies the script once it has run. */
  readonly sha: string
  readonly decode: (reply: unknown) => Effect.Effect<A, ParseResult.ParseError>
}

/**
 * Makes a script. Make it once, when the module is loaded, because it hashes the text.
 *
 * @since 0.1.0
 * @category constructors
 */
export const script = <A, I>(options: {
  readonly name: string
  readonly lua: string
  /** The reply of Redis: numbers are integers, tables are arrays, and `nil` is `null`. */
  readonly reply: Schema.Schema<A, I>
}): Script<A> => ({
  name: options.name,
  lua: options.lua,
  sha: sha1(options.lua),
  decode: Schema.decodeUnknown(options.reply)
})

/** The time in which the processes send the calls that they have in flight after the loss of a state, in milliseconds. */
export const recovery = 1500
