/**
 * The answers of `/v1/responses` in Redis, for several gateways or workers: each of them resolves the ids that another one has handed
 * out. While Redis is away, answers wait in memory to be stored, and requests that refer to other answers fail with 503.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Gateway } from "effect-llm/gateway"
 * import { Redis, RedisResponseStore } from "effect-llm/redis"
 *
 * const Live = Gateway.layer().pipe(
 *   Layer.provide(RedisResponseStore.layer({ name: "production", ttl: "1 day" })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.2.0
 */
import type { Duration, Scope } from "effect"
import { Effect, Layer, Option, Queue, Schedule, Schema } from "effect"
import type { Service } from "../gateway/ResponseStore.js"
import { ResponseStore, ResponseStoreError } from "../gateway/ResponseStore.js"
import * as Background from "../internal/background.js"
import * as Checks from "../internal/optionChecks.js"
import { Redis, RedisError, script } from "./model.js"
import { keyOf } from "./shared/layout.js"

/**
 * @since 0.2.0
 * @category model
 */
export interface Options {
  /** All gateways of one name on one Redis with one prefix resolve each other's ids. */
  readonly name: string
  /** How long an answer is kept after it was last used. @default "1 hour" */
  readonly ttl?: Duration.DurationInput
  /**
   * The most bytes of answers of this process that wait to be stored; an answer beyond them is not stored, and that is logged.
   * @default 16 MiB
   */
  readonly maxPendingBytes?: number
}

/** The version of the layout of keys and values. The values have a version of their own. */
const layoutVersion = 1

const scripts = {
  get: script({
    name: "responses: get",
    lua: `
local text = redis.call("GET", KEYS[1])
if text then redis.call("PEXPIRE", KEYS[1], ARGV[1]) end
return text`,
    reply: Schema.NullOr(Schema.String)
  }),
  set: script({
    name: "responses: set",
    lua: `
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return 1`,
    reply: Schema.Number
  }),
  remove: script({ name: "responses: remove", lua: `return redis.call("DEL", KEYS[1])`, reply: Schema.Number })
}

/**
 * Makes the store. Its scope writes what waits before it closes.
 *
 * @throws TypeError when an option is invalid
 * @since 0.2.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, Redis | Scope.Scope> => {
  const { maxPendingBytes = 16 * 1024 * 1024, name } = options
  const ttl = Checks.valid("RedisResponseStore", ({ faults, millis, number }) => {
    if (name === "") faults.push("name: must not be empty")
    number("maxPendingBytes", maxPendingBytes, maxPendingBytes >= 0, "a number of at least 0")
    return Math.ceil(millis("ttl", options.ttl ?? "1 hour", Checks.finite))
  })
  return Effect.gen(function* () {
    const redis = yield* Redis
    /** What waits to be stored, and what `get` returns until then. */
    const pending = new Map<string, string>()
    const queue = yield* Queue.unbounded<string>()
    let pendingBytes = 0
    let lost = 0

    // Each key is a state of its own, so that they spread over the nodes of a cluster.
    const keyFor = (key: string): string =>
      keyOf(redis, { kind: "responses", name: JSON.stringify([name, key]), layoutVersion })("text")
    const failure = (operation: ResponseStoreError["operation"]) =>
      Effect.mapError((cause: Error) => new ResponseStoreError({ operation, detail: cause.message, cause }))
    const set: Service["set"] = (key, text) =>
      Effect.asVoid(failure("set")(redis.run(scripts.set, [keyFor(key)], [text, ttl])))

    const forget = (key: string): string | undefined => {
      const text = pending.get(key)
      if (text !== undefined && pending.delete(key)) pendingBytes -= text.length
      return text
    }

    /** Logs the begin of an outage once, and at its end how much was lost. */
    let isAway = false
    const recordFailed = ({ detail }: ResponseStoreError): Effect.Effect<void> =>
      Effect.suspend(() => {
        const isNew = !isAway
        isAway = true
        return isNew ? Effect.logWarning(`Responses wait to be stored: ${detail}`) : Effect.void
      })
    const recordStored: Effect.Effect<void> = Effect.suspend(() => {
      const count = lost
      lost = 0
      isAway = false
      return count === 0 ? Effect.void : Effect.logWarning(`${count} responses and items could not be stored.`)
    })

    /** Stores what waits under a key. */
    const write = (key: string): Effect.Effect<void, ResponseStoreError> =>
      Effect.suspend(() => {
        const text = pending.get(key)
        if (text === undefined) return Effect.void
        const done = Effect.suspend(() => {
          // A newer text of the same key has a place of its own in the queue.
          if (pending.get(key) === text) forget(key)
          return recordStored
        })
        return Effect.zipRight(set(key, text), done)
      })
    /** Waits while Redis is away. A text that Redis rejects once would be rejected again. */
    const writeNext = Effect.flatMap(Queue.take(queue), (key) =>
      write(key).pipe(
        Effect.tapError(recordFailed),
        Effect.retry({
          while: ({ cause }) => !(cause instanceof RedisError && cause.reason === "script"),
          schedule: Schedule.spaced("1 second")
        }),
        Effect.catchAll(({ detail }) => {
          forget(key)
          return Effect.logWarning(`A response could not be stored: ${detail}`)
        })
      )
    )

    yield* Background.inBackground(Effect.forever(writeNext))
    yield* Effect.addFinalizer(() =>
      Effect.catchAll(Effect.forEach([...pending.keys()], write, { discard: true }), recordFailed)
    )

    return {
      get: (key) =>
        Effect.suspend(() => {
          const text = pending.get(key)
          return text === undefined
            ? Effect.map(failure("get")(redis.run(scripts.get, [keyFor(key)], [ttl])), Option.fromNullable)
            : Effect.succeed(Option.some(text))
        }),
      set,
      unsafeSet: (key, text) => {
        forget(key)
        if (pendingBytes + text.length > maxPendingBytes) {
          lost++
          return
        }
        pending.set(key, text)
        pendingBytes += text.length
        queue.unsafeOffer(key)
      },
      remove: (key) =>
        Effect.suspend(() => {
          const wasPending = forget(key) !== undefined
          return Effect.map(
            failure("remove")(redis.run(scripts.remove, [keyFor(key)], [])),
            (removed) => wasPending || removed > 0
          )
        }),
      isShared: true
    }
  })
}

/**
 * @since 0.2.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ResponseStore, never, Redis> =>
  Layer.scoped(ResponseStore, make(options))
