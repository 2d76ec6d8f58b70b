/** Redis whose scripts take the time of a test. */
import { Clock, Effect, Stream } from "effect"
import type { Scope } from "effect"
import * as Redis from "../../src/redis/Redis.js"
import { redisTime } from "../../src/redis/shared/script.js"
import type { RedisServer } from "./redisServer.js"

/** The time of Redis when that of the test is zero, in seconds. */
const startOfTime = 1_000_000

const testTime = redisTime.replace('redis.call("TIME")', "{ ARGV[#ARGV - 1], ARGV[#ARGV] }")

const tick = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

export interface RedisInTestTime {
  readonly redis: Redis.Service
  /** Waits until all commands have their replies, and what they lead to as well. */
  readonly idle: Effect.Effect<void>
}

export const redisInTestTime = (server: RedisServer): Effect.Effect<RedisInTestTime, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { key } = yield* Redis.fromClient(server.client, { timeout: "1 minute" })
    let pending = 0
    const run: Redis.Service["run"] = ({ decode, lua, name }, keys, args) =>
      Effect.flatMap(Clock.currentTimeNanos, (nanos) => {
        const time = [startOfTime + Number(nanos / 1_000_000_000n), Number((nanos / 1000n) % 1_000_000n)]
        const fault = (error: unknown) =>
          new Redis.RedisError({ reason: "script", script: name, detail: String(error) })
        pending++
        return Effect.tryPromise({
          try: () => server.client.eval(lua.replace(redisTime, testTime), keys.length, ...keys, ...args, ...time),
          catch: fault
        }).pipe(
          Effect.flatMap((reply) => Effect.mapError(decode(reply), fault)),
          Effect.ensuring(Effect.sync(() => void pending--))
        )
      })
    const idle: Effect.Effect<void> = Effect.gen(function* () {
      for (let quiet = 0; quiet < 3; quiet++) {
        if (pending > 0) quiet = 0
        yield* tick
      }
    })
    return {
      redis: { key, run, status: Effect.succeed("up"), changes: Stream.never },
      idle
    }
  })
