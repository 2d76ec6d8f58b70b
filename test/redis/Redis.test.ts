import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Fiber, Logger, Redacted, Schema, Stream } from "effect"
import type { Socket } from "node:net"
import { connect, createServer } from "node:net"
import { inspect } from "node:util"
import * as Redis from "../../src/redis/Redis.js"
import { eventually } from "../support/eventually.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisServer } from "../support/redisServer.js"

const count = Redis.script({
  name: "count",
  lua: `return redis.call("INCRBY", KEYS[1], ARGV[1])`,
  reply: Schema.Number
})

const broken = Redis.script({ name: "broken", lua: `return redis.call("INCR", "a", "b")`, reply: Schema.Number })

const mismatched = Redis.script({ name: "misread", lua: `return {"one", 2}`, reply: Schema.Tuple(Schema.Number) })

const longTimeout: Redis.CommonOptions = { timeout: "1 minute", probeInterval: "50 millis" }

/** For a Redis that sends no reply. */
const shortTimeout: Redis.CommonOptions = { timeout: "200 millis", probeInterval: "50 millis" }

const becomes = (redis: Redis.Service, availability: Redis.Availability) =>
  redis.changes.pipe(
    Stream.takeUntil((now) => now === availability),
    Stream.runDrain
  )

/** Collects log lines instead of printing them. */
const logged = <A, E, R>(effect: (lines: Array<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.provide(effect(lines), Logger.replace(Logger.defaultLogger, logger))
  })

/** The number of connections that a server has accepted since its start. */
const connections = ({ client }: RedisServer) =>
  Effect.promise(async () => Number(/total_connections_received:(\d+)/.exec(await client.info("stats"))?.[1]))

/** A proxy whose connections can be muted: a muted one forwards nothing to the server. The first connection starts muted. */
const mutingProxy = (server: RedisServer) =>
  Effect.gen(function* () {
    const sockets: Array<readonly [Socket, Socket]> = []
    const mute = () => {
      for (const [here, there] of sockets) here.unpipe(there).resume()
    }
    const proxy = createServer((here) => {
      const there = connect(server.port, "127.0.0.1")
      for (const socket of [here, there]) socket.on("error", () => undefined)
      here.on("close", () => there.destroy())
      there.pipe(here)
      here.pipe(there)
      if (sockets.push([here, there]) === 1) mute()
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void proxy.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.sync(() => {
          proxy.close()
          for (const [here] of sockets) here.destroy()
        })
    )
    const address = proxy.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { url: `redis://127.0.0.1:${port}`, mute: Effect.sync(mute), count: () => sockets.length }
  })

describe.concurrent("Redis", () => {
  it.scopedLive("runs a script by its hash, and sends its text when Redis does not have it", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const redis = yield* Redis.make({ url: server.url, ...longTimeout })
      const key = redis.key("count", "a{b}", "value")
      expect(key).toBe("effect-llm:{count:a%7bb%7d}:value")
      expect(yield* redis.run(count, [key], [2])).toBe(2)
      yield* Effect.promise(() => server.client.script("FLUSH"))
      expect(yield* redis.run(count, [key], ["3"])).toBe(5)
    })
  )

  it.scopedLive("gives different names different keys, and keeps all parts of one name in one slot of a cluster", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const redis = yield* Redis.make({ url: server.url, ...longTimeout })
      // Braces, separators, escapes of both, and halves of surrogate pairs, which could collide after escaping.
      const units = ["a", "_", ":", "%", "{", "}", "%25", "%3a", "%7b", "%7d", "%d800", "\ud800", "\udc00", "\u{1f600}"]
      const texts = ["", ...units, ...units.map((unit) => `a${unit}`), "a:a", "}:a", "{}", "a:%7b"]
      const names = texts.flatMap((kind) => texts.map((name) => ({ kind, name })))
      // The bytes that Redis receives.
      const bytes = (key: string) => Buffer.from(key).toString("latin1")
      const keys = names.map(({ kind, name }) => texts.map((part) => bytes(redis.key(kind, name, part))))
      expect(new Set(keys.flat()).size).toBe(texts.length ** 3)
      // Redis cluster specification, "hash tags": from the first brace to the next closing one, if anything is between them.
      const hashTag = (key: string) => /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key
      const tags = keys.map((parts) => new Set(parts.map(hashTag)))
      expect(tags.every(({ size }) => size === 1)).toBe(true)
      expect(new Set(tags.flatMap((tag) => [...tag])).size).toBe(names.length)
    })
  )

  it.scopedLive("fails with reason script and stays up when a script fails or its reply does not decode", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const redis = yield* Redis.make({ url: server.url, ...longTimeout })
      expect(yield* Effect.flip(redis.run(broken, ["k"], []))).toMatchObject({ reason: "script", script: "broken" })
      expect(yield* Effect.flip(redis.run(mismatched, ["k"], []))).toMatchObject({
        reason: "script",
        script: "misread"
      })
      expect(yield* redis.status).toBe("up")
    })
  )

  it.scopedLive(
    "reports a hanging Redis as away after one timeout, fails at once from then on, and logs each change once",
    () =>
      logged((lines) =>
        Effect.gen(function* () {
          const server = yield* redisServer
          const redis = yield* Redis.make({ url: server.url, ...shortTimeout })
          yield* becomes(redis, "up")
          lines.length = 0
          const seen = yield* Effect.fork(Stream.runCollect(Stream.take(redis.changes, 3)))
          yield* server.freeze
          const [first, error] = yield* Effect.timed(Effect.flip(redis.run(count, ["k"], [1])))
          expect(error.reason).toBe("timeout")
          expect(Duration.toMillis(first)).toBeGreaterThan(190)
          // A command that was sent would fail with "timeout".
          const errors = yield* Effect.replicateEffect(Effect.flip(redis.run(count, ["k"], [1])), 20)
          expect(errors.every(({ reason }) => reason === "connection")).toBe(true)
          yield* server.thaw
          yield* becomes(redis, "up")
          expect(yield* redis.run(count, ["other"], [1])).toBe(1)
          expect(Chunk.toReadonlyArray(yield* Fiber.join(seen))).toEqual(["up", "away", "up"])
          expect(lines).toEqual(["Redis is away: no reply within 200ms", "Redis is back"])
        })
      )
  )

  it.scopedLive("reports a killed Redis as away without a command, and as up after its restart", () =>
    logged(() =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const redis = yield* Redis.make({ url: server.url, ...longTimeout })
        yield* server.kill
        yield* becomes(redis, "away")
        expect((yield* Effect.flip(redis.run(count, ["k"], [1]))).reason).toBe("connection")
        yield* server.start
        yield* becomes(redis, "up")
        expect(yield* redis.run(count, ["k"], [1])).toBe(1)
      })
    )
  )

  it.scopedLive(
    "starts as away when Redis is down, connects later, and keeps the secret of its URL out of errors and logs",
    () =>
      logged((lines) =>
        Effect.gen(function* () {
          const server = yield* redisServer
          yield* server.kill
          const url = Redacted.make(server.url.replace("//", "//user:p%40ss-canary@"))
          const redis = yield* Redis.make({ url, ...longTimeout })
          expect(yield* redis.status).toBe("away")
          const error = yield* Effect.flip(redis.run(count, ["k"], [1]))
          yield* server.start
          yield* Effect.promise(() => server.client.call("ACL", "SETUSER", "user", "on", ">other", "~*", "+@all"))
          const before = yield* connections(server)
          yield* eventually(Effect.map(connections(server), (now) => now > before + 1))
          expect(yield* redis.status).toBe("away")
          yield* Effect.promise(() => server.client.call("ACL", "SETUSER", "user", "on", ">p@ss-canary", "~*", "+@all"))
          yield* becomes(redis, "up")
          for (const text of [String(error), JSON.stringify(error), inspect(error), ...lines])
            expect(text).not.toContain("canary")
        })
      )
  )

  it.scopedLive("keeps a new connection when a command of the previous connection was never answered", () =>
    logged(() =>
      Effect.gen(function* () {
        const server = yield* redisServer
        // A connection is closed when a command has no reply for three timeouts.
        const redis = yield* Redis.make({ url: server.url, ...shortTimeout })
        yield* becomes(redis, "up")
        yield* server.freeze
        expect((yield* Effect.flip(redis.run(count, ["k"], [1]))).reason).toBe("timeout")
        yield* server.kill
        yield* server.start
        yield* becomes(redis, "up")
        const before = yield* connections(server)
        yield* Effect.sleep("700 millis")
        expect(yield* connections(server)).toBe(before)
        expect(yield* redis.status).toBe("up")
      })
    )
  )

  it.scopedLive("replaces a connection that receives nothing, during the handshake or later", () =>
    logged(() =>
      Effect.gen(function* () {
        const proxy = yield* mutingProxy(yield* redisServer)
        const redis = yield* Redis.make({ url: proxy.url, ...shortTimeout })
        expect(yield* redis.status).toBe("away")
        yield* becomes(redis, "up")
        const before = proxy.count()
        expect(before).toBeGreaterThan(1)
        yield* proxy.mute
        expect((yield* Effect.flip(redis.run(count, ["k"], [1]))).reason).toBe("timeout")
        yield* becomes(redis, "up")
        expect(proxy.count()).toBeGreaterThan(before)
      })
    )
  )

  for (const [word, user] of [
    ["NOAUTH", ""],
    ["WRONGPASS", ":wrong-canary@"]
  ] as const) {
    it.scopedLive(`reports a login that Redis refuses with ${word}, says what to do, and logs it once`, () =>
      logged((lines) =>
        Effect.gen(function* () {
          const server = yield* redisServer
          yield* Effect.promise(() => server.client.config("SET", "requirepass", "right"))
          const before = yield* connections(server)
          const redis = yield* Redis.make({ url: server.url.replace("//", `//${user}`), ...longTimeout })
          expect(yield* redis.status).toBe("away")
          // Waits for several attempts to connect.
          yield* eventually(Effect.map(connections(server), (now) => now > before + 3))
          const error = yield* Effect.flip(redis.run(count, ["k"], [1]))
          expect(error.message).toContain(word)
          expect(error.message).toContain("Set the right user name and password")
          const named = lines.filter((line) => line.includes(word))
          expect(named).toHaveLength(1)
          expect(named[0]).toContain("Set the right user name and password")
          expect(inspect([lines, error])).not.toContain("canary")
          yield* Effect.promise(() => server.client.config("SET", "requirepass", user === "" ? "" : "wrong-canary"))
          yield* becomes(redis, "up")
          expect(yield* redis.run(count, ["k"], [1])).toBe(1)
          yield* server.kill
          yield* becomes(redis, "away")
          expect((yield* Effect.flip(redis.run(count, ["k"], [1]))).message).not.toContain("login")
        })
      )
    )
  }

  it.scopedLive("logs NOAUTH once when the password of Redis changes during a connection", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const redis = yield* Redis.make({ url: server.url, ...longTimeout })
        yield* Effect.promise(() => server.client.config("SET", "requirepass", "new"))
        yield* Effect.promise(() => server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
        yield* becomes(redis, "away")
        yield* eventually(Effect.sync(() => lines.some((line) => line.includes("NOAUTH"))))
        const before = yield* connections(server)
        yield* eventually(Effect.map(connections(server), (now) => now > before + 2))
        expect(lines.filter((line) => line.includes("NOAUTH"))).toHaveLength(1)
      })
    )
  )

  it.scopedLive("leaves the client given to fromClient open when the scope closes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const answer = yield* Effect.scoped(
        Effect.flatMap(Redis.fromClient(server.client, { prefix: "mine:" }), (redis) =>
          redis.run(count, [redis.key("count", "a", "value")], [7])
        )
      )
      expect(answer).toBe(7)
      expect(yield* Effect.promise(() => server.client.get("mine:{count:a}:value"))).toBe("7")
    })
  )
})
