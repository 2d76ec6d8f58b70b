import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Logger, LogLevel, Random, Ref, Schedule } from "effect"
import { spawn } from "node:child_process"
import * as Balance from "../../src/routing/Balance.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisDeploymentHealth from "../../src/redis/RedisDeploymentHealth.js"
import { eventually } from "../support/eventually.js"
import { compiled } from "../support/compiled.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisCluster, redisServer } from "../support/redisServer.js"
import { answer, context, rateLimited, scripted } from "../support/scripted.js"

const failing = new LLMErrors.ProviderUnavailableError({ ...context, status: 500, message: "boom" })

/** The deployment behind one id, which all processes call. */
const provider = Effect.gen(function* () {
  const error = yield* Ref.make<LLMError | undefined>(undefined)
  const calls = yield* Ref.make({ now: 0, most: 0, all: 0 })
  const gate = yield* Effect.makeLatch(true)
  const entered = Ref.update(calls, ({ all, most, now }) => ({
    now: now + 1,
    most: Math.max(most, now + 1),
    all: all + 1
  }))
  const left = Ref.update(calls, (before) => ({ ...before, now: before.now - 1 }))
  const llm = yield* scripted(
    Effect.acquireUseRelease(
      entered,
      () =>
        Effect.zipRight(
          gate.await,
          Effect.flatMap(Ref.get(error), (failure) =>
            failure === undefined ? Effect.succeed(answer("ok")) : Effect.fail(failure)
          )
        ),
      () => left
    )
  )
  return {
    llm,
    gate,
    failWith: (failure: LLMError) => Ref.set(error, failure),
    succeed: Ref.set(error, undefined),
    /** Starts the counts again. */
    resetCalls: Ref.update(calls, ({ now }) => ({ now, most: now, all: 0 })),
    calls: Ref.get(calls)
  }
})

type Provider = Effect.Effect.Success<typeof provider>

const pollInterval = 40

const healthOptions: RedisDeploymentHealth.Options = { name: "test", pollInterval, leaseTime: "1 minute" }

/** A balance with its own connection, like that of a separate process. */
const peer = (
  { url }: RedisServer,
  { llm }: Provider,
  options: Balance.Options = {},
  timeout: Duration.DurationInput = "1 minute"
) =>
  Effect.gen(function* () {
    const redis = yield* Redis.make({ url, timeout, probeInterval: "50 millis" })
    const health = yield* Effect.provideService(RedisDeploymentHealth.make(healthOptions), Redis.Redis, redis)
    const balanceOptions: Balance.Options = {
      maxWait: 0,
      breaker: { failures: 2, cooldown: { base: "100 millis" } },
      ...options
    }
    return yield* Effect.provideService(
      Balance.make([{ llm, id: "a" }], balanceOptions),
      Balance.DeploymentHealth,
      health
    )
  })

const stateOf = (self: Balance.Service) =>
  Effect.map(self.deployments, ([deployment]) => deployment?.state ?? { _tag: "Disabled" as const })

const call = (self: Balance.Service) => Effect.either(self.chat("?"))

const eventuallyHolds = <A>(effect: Effect.Effect<A>, isDone: (value: A) => boolean) =>
  eventually(Effect.map(effect, isDone))

const becomes = (self: Balance.Service, tag: Balance.State["_tag"]) =>
  eventuallyHolds(stateOf(self), ({ _tag }) => _tag === tag)

/** Waits until the balance has seen the circuit open; it can be half-open by the time of the check. */
const seesOpening = (self: Balance.Service) =>
  eventuallyHolds(stateOf(self), ({ _tag }) => _tag === "Open" || _tag === "HalfOpen")

/** The expiry of the lease of the only probe, by Redis's clock. */
const leaseEnd = ({ client }: RedisServer) =>
  Effect.promise(async () => {
    const [probe = ""] = await client.hvals("effect-llm:{health:test}:probes")
    return Number(/"till":([\d.e+]+)/.exec(probe)?.[1])
  })

/** Waits for a renewal of the lease of the only probe. */
const leaseIsRenewed = (server: RedisServer) =>
  Effect.flatMap(leaseEnd(server), (before) => eventuallyHolds(leaseEnd(server), (now) => now > before))

/**
 * Calls until the provider is called: Redis hears of an opening later than the process that opened the circuit, and its cooldown ends as
 * much later.
 */
const probe = (self: Balance.Service, { calls }: Provider) =>
  Effect.flatMap(calls, ({ all }) =>
    Effect.repeat(
      Effect.zipRight(
        call(self),
        Effect.map(calls, (now) => now.all > all)
      ),
      { until: (isCalled) => isCalled, schedule: Schedule.spaced("5 millis") }
    )
  )

const probesIn = ({ client }: RedisServer) => Effect.promise(() => client.hlen("effect-llm:{health:test}:probes"))

describe.concurrent("RedisDeploymentHealth", () => {
  it.scopedLive("opens a circuit in running and later processes when one process opens it", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const one = yield* peer(server, a, { breaker: { failures: 2, cooldown: { base: "1 minute" } } })
      const other = yield* peer(server, a)
      yield* a.failWith(failing)
      yield* Effect.replicateEffect(call(one), 2)
      yield* becomes(other, "Open")
      yield* a.resetCalls
      expect((yield* call(other))._tag).toBe("Left")
      expect((yield* a.calls).all).toBe(0)
      // A process that starts later sees it too.
      const third = yield* peer(server, a)
      const state = yield* stateOf(third)
      expect(state._tag).toBe("Open")
      if (state._tag === "Open") expect(Duration.toMillis(state.remaining)).toBeGreaterThan(50_000)
    })
  )

  it.scopedLive("allows one probe at a time over all processes, and closes every circuit when the probe succeeds", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const peers = yield* Effect.replicateEffect(peer(server, a, { maxWait: "1 minute" }), 5)
      const [first] = peers
      if (first === undefined) return
      yield* a.failWith(failing)
      yield* Effect.replicateEffect(call(first), 2)
      yield* Effect.forEach(peers, seesOpening)
      yield* a.succeed
      yield* a.resetCalls
      yield* a.gate.close
      const all = yield* Effect.fork(
        Effect.forEach(peers, (self) => Effect.replicateEffect(self.chat("?"), 4), { concurrency: "unbounded" })
      )
      yield* eventuallyHolds(a.calls, ({ now }) => now === 1)
      yield* leaseIsRenewed(server)
      yield* leaseIsRenewed(server)
      expect(yield* a.calls).toEqual({ now: 1, most: 1, all: 1 })
      yield* a.gate.open
      expect((yield* Fiber.join(all)).flat()).toHaveLength(20)
      yield* Effect.forEach(peers, (self) => becomes(self, "Ready"))
      yield* eventuallyHolds(probesIn(server), (probes) => probes === 0)
    })
  )

  it.scopedLive("opens the circuit in every process again, for longer, when a probe fails", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const options: Balance.Options = { breaker: { failures: 2, cooldown: { base: "100 millis", factor: 600 } } }
      const one = yield* peer(server, a, options)
      const other = yield* peer(server, a, options)
      yield* a.failWith(failing)
      yield* Effect.replicateEffect(call(one), 2)
      yield* becomes(other, "HalfOpen")
      yield* probe(other, a)
      yield* becomes(one, "Open")
      const state = yield* stateOf(one)
      expect(state._tag === "Open" ? Duration.toMillis(state.remaining) : 0).toBeGreaterThan(5000)
    })
  )

  it.scopedLive("cools a deployment down in every process when one process receives a Retry-After", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const one = yield* peer(server, a)
      const other = yield* peer(server, a)
      yield* a.failWith(rateLimited(60_000))
      yield* call(one)
      yield* becomes(other, "Cooling")
      const state = yield* stateOf(other)
      expect(state._tag === "Cooling" ? Duration.toMillis(state.remaining) : 0).toBeGreaterThan(50_000)
    })
  )

  it.scopedLive("closes the circuit in every process when one process enables the deployment", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const options: Balance.Options = { breaker: { failures: 1, cooldown: { base: "1 minute" } } }
      const one = yield* peer(server, a, options)
      const other = yield* peer(server, a, options)
      yield* a.failWith(failing)
      yield* call(one)
      yield* becomes(other, "Open")
      yield* other.enable("a")
      yield* becomes(one, "Ready")
    })
  )

  it.scopedLive("lets another process probe when a probe is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const one = yield* peer(server, a)
      const other = yield* peer(server, a)
      yield* a.failWith(failing)
      yield* Effect.replicateEffect(call(one), 2)
      yield* seesOpening(other)
      yield* a.succeed
      yield* becomes(one, "HalfOpen")
      yield* a.gate.close
      const probing = yield* Effect.fork(probe(one, a))
      yield* eventuallyHolds(a.calls, ({ now }) => now === 1)
      yield* becomes(other, "HalfOpen")
      expect((yield* call(other))._tag).toBe("Left")
      yield* Fiber.interrupt(probing)
      yield* a.gate.open
      yield* eventuallyHolds(call(other), ({ _tag }) => _tag === "Right")
    })
  )

  it.scopedLive("leaves no lease and no probe behind when calls are interrupted at random times", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const options: Balance.Options = {
        maxWait: "1 minute",
        breaker: { failures: 1, cooldown: { base: "5 millis", max: "5 millis" } }
      }
      const peers = yield* Effect.replicateEffect(peer(server, a, options), 3)
      for (let round = 0; round < 30 || (yield* a.calls).all <= 20; round++) {
        yield* (yield* Random.nextBoolean) ? a.succeed : a.failWith(failing)
        const fibers = yield* Effect.forEach(peers, (self) => Effect.replicateEffect(Effect.fork(call(self)), 3))
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 12))
        yield* Effect.forEach(fibers.flat(), Fiber.interrupt, { concurrency: "unbounded" })
        for (const self of peers) expect((yield* self.deployments)[0]?.inFlight).toBe(0)
      }
      expect((yield* a.calls).now).toBe(0)
      yield* eventuallyHolds(probesIn(server), (probes) => probes === 0)
      yield* a.succeed
      yield* Effect.forEach(peers, (self) => self.chat("?"))
    })
  )
})

describe.concurrent("RedisDeploymentHealth in a cluster", () => {
  it.scopedLive("opens and closes circuits in a cluster, where one script must not use keys of two slots", () =>
    Effect.gen(function* () {
      const server = yield* redisCluster
      const a = yield* provider
      const one = yield* peer(server, a)
      const other = yield* peer(server, a)
      yield* a.failWith(failing)
      yield* Effect.replicateEffect(call(one), 2)
      yield* seesOpening(other)
      yield* a.succeed
      yield* becomes(one, "HalfOpen")
      yield* probe(one, a)
      yield* becomes(other, "Ready")
    })
  )
})

describe.concurrent("RedisDeploymentHealth without Redis", () => {
  it.scopedLive(
    "continues with the state of each process while Redis is away, and shares changes when it is back",
    () =>
      Effect.gen(function* () {
        const lines = yield* Ref.make(0)
        const counting = Logger.replace(
          Logger.defaultLogger,
          Logger.make(() => Effect.runSync(Ref.update(lines, (before) => before + 1)))
        )
        const server = yield* redisServer
        const a = yield* provider
        const options: Balance.Options = { breaker: { failures: 2, cooldown: { base: "1 minute" } } }
        yield* Effect.gen(function* () {
          const one = yield* peer(server, a, options)
          const other = yield* peer(server, a, options)
          yield* server.kill
          yield* a.failWith(failing)
          yield* Effect.replicateEffect(call(one), 3)
          // Several polls.
          yield* Effect.sleep(4 * pollInterval)
          expect((yield* stateOf(one))._tag).toBe("Open")
          expect((yield* stateOf(other))._tag).toBe("Ready")
          yield* a.succeed
          expect((yield* call(other))._tag).toBe("Right")
          yield* server.start
          yield* becomes(other, "Open")
        }).pipe(Effect.provide(counting))
        // One line for away and one for back, from each of the two connections.
        expect(yield* Ref.get(lines)).toBeLessThanOrEqual(4)
      })
  )

  it.scopedLive("grants a probe while Redis hangs, delayed only by the Redis timeout", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const timeout = 500
      const one = yield* peer(server, a, {}, timeout)
      yield* a.failWith(failing)
      yield* Effect.replicateEffect(call(one), 2)
      yield* a.succeed
      yield* becomes(one, "HalfOpen")
      yield* Effect.sleep(pollInterval)
      yield* Effect.acquireUseRelease(
        server.freeze,
        () =>
          Effect.gen(function* () {
            const [time, answered] = yield* Effect.timed(call(one))
            expect(answered._tag).toBe("Right")
            expect(Duration.toMillis(time)).toBeLessThan(10 * timeout)
            expect((yield* stateOf(one))._tag).toBe("Ready")
          }),
        () => server.thaw
      )
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )

  it.scopedLive("keeps circuits open in every process when Redis loses its data", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const options: Balance.Options = { breaker: { failures: 2, cooldown: { base: "1 minute" } } }
      const one = yield* peer(server, a, options)
      const other = yield* peer(server, a, options)
      yield* a.failWith(failing)
      yield* Effect.replicateEffect(call(one), 2)
      yield* becomes(other, "Open")
      yield* Effect.promise(() => server.client.flushall())
      yield* Effect.sleep(4 * pollInterval)
      expect((yield* stateOf(one))._tag).toBe("Open")
      expect((yield* stateOf(other))._tag).toBe("Open")
    })
  )
})

describe.concurrent("RedisDeploymentHealth after a killed process", () => {
  it.scopedLive("keeps what a killed process reported, and frees its probe when the lease ends", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const a = yield* provider
      const path = yield* compiled(new URL("../support/probeHolder.ts", import.meta.url))
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [path, server.url], { stdio: ["ignore", "pipe", "inherit"] })),
        (child) => Effect.sync(() => void child.kill("SIGKILL"))
      )
      const line = Effect.async<string>((resume) => {
        child.stdout.once("data", (data: Buffer) => resume(Effect.succeed(String(data).trim())))
      })
      // The process opens the circuit, waits until it is half-open, and hangs in the probe.
      expect(yield* line).toBe("probing")
      const one = yield* peer(server, a)
      expect((yield* stateOf(one))._tag).toBe("HalfOpen")
      expect((yield* call(one))._tag).toBe("Left")
      yield* leaseIsRenewed(server)
      expect(yield* probesIn(server)).toBe(1)
      child.kill("SIGKILL")
      yield* eventuallyHolds(call(one), ({ _tag }) => _tag === "Right")
    })
  )
})

describe.concurrent("RedisDeploymentHealth options", () => {
  it.scopedLive("rejects invalid options with all faults at once", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const error = yield* Effect.flip(
        RedisDeploymentHealth.make({ name: "", pollInterval: "20 seconds" }).pipe(
          Effect.provideServiceEffect(Redis.Redis, Redis.make({ url }))
        )
      )
      expect(error.faults).toEqual(["name: must not be empty", "leaseTime: expected more than the pollInterval"])
    })
  )
})
