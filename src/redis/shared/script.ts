/** Lua scripts, and the clock that they use. */
import { createHash } from "node:crypto"
import type { Effect, ParseResult } from "effect"
import { Schema } from "effect"

/** SHA-1 hex digest, by which Redis identifies a script. */
const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex")

/** The time as Redis has it, in milliseconds since the epoch with fractions: the only clock that all processes share. */
export const redisTime = `
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
`

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
  sha: sha1(options.lua),
  decode: Schema.decodeUnknown(options.reply)
})
