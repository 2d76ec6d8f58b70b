/** A process that takes keys and keeps them until it is killed: node --import tsx keyHolder.ts <url> <times>. */
import { Effect } from "effect"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"

const [url = "", times = "1"] = process.argv.slice(2)

const hold = Effect.gen(function* () {
  const pool = yield* RedisKeyPool.make({
    provider: "test",
    keys: [{ key: "sk-canary-a", id: "a", maxConcurrency: 2 }],
    leaseTime: "1500 millis"
  })
  yield* Effect.forEach(Array.from({ length: Number(times) }), () => pool.reserve())
  yield* Effect.sync(() => process.stdout.write("holding\n"))
  return yield* Effect.never
})

void Effect.runPromise(Effect.scoped(Effect.provide(hold, Redis.layer({ url }))))
