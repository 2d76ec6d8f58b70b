/**
 * A program that makes calls with limits and keys shared in Redis, for tests and for `npm run chaos:redis`. It takes its options
 * as JSON, and prints one line when it starts and one with the counts when it ends.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer, Schema } from "effect"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"

/** The options of the program, with limits of `RedisRateLimiter` and keys of `RedisKeyPool`; durations are in milliseconds. */
export const CallerOptions = Schema.Struct({
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
    maxConcurrency: Schema.optionalWith(Schema.Number, { exact: true }),
    maxWait: Schema.Number,
    leaseTime: Schema.Number
  }),
  timeout: Schema.Number
})

export type CallerOptions = typeof CallerOptions.Type

export const Report = Schema.Struct({
  answered: Schema.Number,
  /** Counts by error tag. */
  failed: Schema.Record({ key: Schema.String, value: Schema.Number })
})

export type Report = typeof Report.Type

const options = Schema.decodeUnknownSync(Schema.parseJson(CallerOptions))(process.argv[2])

const shared = Redis.layer({ url: options.redis, timeout: options.timeout, probeInterval: 200 })

const keys = RedisKeyPool.layer({
  provider: "simulated",
  keys: options.keys,
  maxWait: options.limits.maxWait,
  leaseTime: options.limits.leaseTime,
  whenAway: { share: 0.25 }
})

const llm = LLM.layer({ model: "simulated", retry: false, telemetry: false, timeouts: false }).pipe(
  Layer.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: options.provider })),
  Layer.provide(Layer.provide(keys, shared)),
  Layer.provide(Layer.provide(RedisRateLimiter.layer({ name: "chaos", ...options.limits }), shared)),
  Layer.provide(NodeHttpClient.layerUndici)
)

const print = (line: object | string) => Effect.sync(() => void process.stdout.write(`${JSON.stringify(line)}\n`))

const program = Effect.gen(function* () {
  const model = yield* LLM.LLM
  const failed: Record<string, number> = {}
  let answered = 0
  yield* print("started")
  yield* Effect.forEach(
    Array.from({ length: options.calls }, (_, call) => call),
    (call) =>
      Effect.match(model.chat({ messages: [{ role: "user", content: `call ${call}` }], maxTokens: 20 }), {
        onSuccess: () => void answered++,
        onFailure: ({ _tag }) => void (failed[_tag] = (failed[_tag] ?? 0) + 1)
      }),
    { concurrency: options.concurrency, discard: true }
  )
  yield* print({ answered, failed } satisfies Report)
})

Effect.runFork(Effect.provide(program, llm))
