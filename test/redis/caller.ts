/**
 * A process of its own that makes calls through what is shared in Redis, for tests and for `npm run chaos:redis`. It is told what to
 * do as JSON, and says on its output what came of it: a line when it begins, and one with the counts when it is over.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer, Schema } from "effect"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"

/** What it is told. Limits are those of `RedisRateLimiter`, keys those of `RedisKeyPool`; durations are in milliseconds. */
export const Orders = Schema.Struct({
  redis: Schema.String,
  provider: Schema.String,
  calls: Schema.Number,
  concurrency: Schema.Number,
  keys: Schema.Array(Schema.Struct({ key: Schema.String, maxConcurrency: Schema.Number })),
  limits: Schema.Struct({
    capacity: Schema.optionalWith(Schema.Number, { exact: true }),
    refillRate: Schema.optionalWith(Schema.Number, { exact: true }),
    requestsPerMinute: Schema.optionalWith(Schema.Number, { exact: true }),
    tokensPerMinute: Schema.optionalWith(Schema.Number, { exact: true }),
    maxConcurrent: Schema.optionalWith(Schema.Number, { exact: true }),
    maxWait: Schema.Number,
    leaseTime: Schema.Number
  }),
  timeout: Schema.Number
})

export type Orders = typeof Orders.Type

export const Report = Schema.Struct({
  answered: Schema.Number,
  /** By their tags. */
  failed: Schema.Record({ key: Schema.String, value: Schema.Number })
})

export type Report = typeof Report.Type

const orders = Schema.decodeUnknownSync(Schema.parseJson(Orders))(process.argv[2])

const shared = Redis.layer({ url: orders.redis, timeout: orders.timeout, probeInterval: 200 })

const keys = RedisKeyPool.layer({
  providerId: "simulated",
  keys: orders.keys,
  maxWait: orders.limits.maxWait,
  leaseTime: orders.limits.leaseTime,
  whenAway: { share: 0.25 }
})

const llm = LLM.layer({ model: "simulated", retry: false, telemetry: false, timeouts: false }).pipe(
  Layer.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: orders.provider })),
  Layer.provide(Layer.provide(keys, shared)),
  Layer.provide(Layer.provide(RedisRateLimiter.layer({ name: "chaos", ...orders.limits }), shared)),
  Layer.provide(NodeHttpClient.layerUndici)
)

const say = (line: object | string) => Effect.sync(() => void process.stdout.write(`${JSON.stringify(line)}\n`))

const program = Effect.gen(function* () {
  const model = yield* LLM.LLM
  const failed: Record<string, number> = {}
  let answered = 0
  yield* say("begun")
  yield* Effect.forEach(
    Array.from({ length: orders.calls }, (_, call) => call),
    (call) =>
      Effect.match(model.chat({ messages: [{ role: "user", content: `call ${call}` }], maxTokens: 20 }), {
        onSuccess: () => void answered++,
        onFailure: ({ _tag }) => void (failed[_tag] = (failed[_tag] ?? 0) + 1)
      }),
    { concurrency: orders.concurrency, discard: true }
  )
  yield* say({ answered, failed } satisfies Report)
})

Effect.runFork(Effect.provide(program, llm))
