import { describe, expect, it } from "@effect/vitest"
import { Array, Duration, Effect, Fiber, Inspectable, Option, Redacted, TestClock } from "effect"
import { inspect } from "node:util"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import { RateLimitError } from "../../src/vocabulary/LLMError.js"
import { fromOption } from "../../src/internal/asEffect.js"

const { OutOfQuota, RateLimited, Refused } = KeyPool.Verdict

const keysOf = (count: number, options: ApiKey.Options = {}) =>
  Array.makeBy(count, (index) => ({ key: `sk-${index}`, id: `k${index}`, ...options }))

/** A pool of one key with one call at a time, unless the options differ. */
const pool = (options: Partial<KeyPool.Options> = {}) =>
  KeyPool.make({ provider: "acme", keys: keysOf(1, { maxConcurrency: 1 }), ...options })

const call = (self: KeyPool.Service, verdict: KeyPool.Verdict) =>
  Effect.flatMap(self.reserve({ maxWait: 0 }), (lease) => lease.settle(verdict))

const statusOf = (self: KeyPool.Service, id = "k0") =>
  Effect.flatMap(self.status, (status) => fromOption(Array.findFirst(status.keys, (key) => key.id === id)))

/** The remaining cooldown of the key in milliseconds; 0 if there is none. */
const restOf = (self: KeyPool.Service, id = "k0") =>
  Effect.map(statusOf(self, id), ({ state }) => ("remaining" in state ? Duration.toMillis(state.remaining) : 0))

const inFlight = (self: KeyPool.Service) => Effect.map(self.status, (status) => status.keys.map((key) => key.inFlight))

describe("faults in the options of a pool", () => {
  const faultsOf = (options: Partial<KeyPool.Options>) =>
    Effect.map(Effect.flip(pool(options)), (error) => error.faults)

  it.effect("make reports every fault of the options at once, each with its path and none with a secret", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        pool({
          keys: [
            "sk-canary",
            { key: "sk-canary" },
            { key: "sk-1", id: "twice", weight: 0 },
            { key: "sk-2", id: "twice", weight: Number.NaN, maxConcurrency: 1.5 },
            ApiKey.make("sk-3", { maxConcurrency: 0, requestsPerSecond: -1, quotaGroup: "", id: "" }),
            Redacted.make("  ")
          ],
          maxWait: -1,
          latencyDecay: 0,
          cooldown: { base: 0, factor: 0.5, max: Number.NaN, quota: "-1 hours", refused: 0 }
        })
      )
      expect(error.faults).toEqual([
        "keys[1]: is the same secret as keys[0]",
        "keys[2].weight: must be a positive number",
        "keys[3].id: is the id of keys[2] too",
        "keys[3].weight: must be a positive number",
        "keys[3].maxConcurrency: must be a positive whole number",
        "keys[4].id: must not be empty",
        "keys[4].maxConcurrency: must be a positive whole number",
        "keys[4].requestsPerSecond: must be a positive number",
        "keys[4].quotaGroup: must not be empty",
        "keys[5]: must be an API key; this is empty",
        "maxWait: must be a possible duration",
        "cooldown.base: must be a positive duration",
        "cooldown.factor: must be a number of at least 1",
        "cooldown.max: must be a positive duration",
        "cooldown.quota: must be a positive duration",
        "cooldown.refused: must be a positive duration",
        "latencyDecay: must be a positive and finite duration"
      ])
      expect(error).toMatchObject({ _tag: "InvalidPoolError", provider: "acme" })
      expect(error.message).toContain("acme")
      expect(error.message).toContain("keys[2].weight")
      expect(error.message + inspect(error)).not.toContain("canary")
    })
  )

  it.effect("make rejects an empty list of keys", () =>
    Effect.map(faultsOf({ keys: [] }), (faults) => expect(faults).toEqual(["keys: must have at least one key"]))
  )

  it.effect("make rejects a key that is undefined, as from an environment variable that is not set", () =>
    Effect.gen(function* () {
      const missing = JSON.parse("{}").OPENAI_API_KEY
      expect(yield* faultsOf({ keys: ["sk-1", missing] })).toEqual(["keys[1]: must be an API key; this is missing"])
    })
  )
})

describe("ids of keys", () => {
  // Two strings with the same fingerprint, which is a 32-bit hash without cryptographic strength.
  const left = "sk-twin-8t"
  const right = "sk-twin-fj"

  it.effect("make gives two secrets with the same fingerprint different ids", () =>
    Effect.gen(function* () {
      const id = ApiKey.fingerprint(Redacted.make(left))
      expect(ApiKey.fingerprint(Redacted.make(right))).toBe(id)
      const self = yield* pool({ keys: [left, right] })
      expect((yield* self.status).keys.map((key) => key.id)).toEqual([id, `${id}-2`])
      const leases = yield* Effect.replicateEffect(self.reserve(), 2)
      expect(leases.map((lease) => [lease.key.id, Redacted.value(lease.key.value)])).toEqual([
        [id, left],
        [`${id}-2`, right]
      ])
    })
  )
})

describe("secrets", () => {
  it.effect("no public value of a pool prints a secret: service, lease, key, status, errors", () =>
    Effect.gen(function* () {
      const secret = "sk-canary-0123456789"
      const self = yield* pool({ keys: [secret, { key: Redacted.make(`${secret}-2`), weight: 2 }] })
      const lease = yield* self.reserve()
      const busyStatus = yield* self.status
      yield* lease.settle(KeyPool.Verdict.Refused())
      yield* self.disable((yield* self.status).keys[1]?.id ?? "")
      const printed = [
        self,
        lease,
        lease.key,
        busyStatus,
        yield* self.status,
        yield* Effect.flip(self.reserve()),
        yield* Effect.flip(self.add(secret)),
        yield* Effect.flip(self.reweight("nobody", 2))
      ]
      for (const value of printed) {
        const texts = [
          String(value),
          JSON.stringify(value),
          inspect(value, { depth: 20 }),
          Inspectable.toStringUnknown(value)
        ]
        expect(texts.join("\n")).not.toContain("canary")
      }
    })
  )
})

describe("KeyPool.status", () => {
  it.effect("status reports limits, calls in flight and load factor of each key", () =>
    Effect.gen(function* () {
      const self = yield* pool({
        keys: [
          { key: "sk-a", id: "a", weight: 4 },
          { key: "sk-b", id: "b", maxConcurrency: 2, requestsPerSecond: 100, quotaGroup: "org" }
        ]
      })
      yield* Effect.replicateEffect(self.reserve(), 4)
      expect(yield* self.status).toEqual({
        provider: "acme",
        waiting: 0,
        keys: [
          { ...idle, id: "a", weight: 4, inFlight: 3, loadFactor: 0.75, served: 3 },
          {
            ...idle,
            id: "b",
            weight: 1,
            maxConcurrency: 2,
            requestsPerSecond: 100,
            quotaGroup: "org",
            inFlight: 1,
            recentStarts: 1,
            loadFactor: 0.5,
            served: 1
          }
        ]
      })
    })
  )

  const idle = {
    state: { _tag: "Ready" },
    halfOpen: false,
    succeeded: 0,
    rateLimited: 0,
    outOfQuota: 0,
    refused: 0,
    failed: 0
  }
})

describe("KeyPool.layer", () => {
  it.effect("layer provides the pool under the KeyPool tag", () =>
    Effect.gen(function* () {
      const self = yield* KeyPool.KeyPool
      expect(yield* self.withKey((key) => Effect.succeed(Redacted.value(key.value)))).toBe("sk-one")
    }).pipe(Effect.provide(KeyPool.layer({ provider: "acme", keys: ["sk-one"] })))
  )
})

describe("changes of keys while calls are in flight", () => {
  it.effect("a lease of a removed key can be settled without effect on the pool", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const lease = yield* self.reserve()
      expect(yield* self.remove("k0")).toBe(true)
      yield* lease.settle(Refused())
      expect((yield* self.status).keys.map((key) => key.id)).toEqual(["k1"])
    })
  )

  it.effect("the verdict on a removed key does not change a key added later with the same id", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const lease = yield* self.reserve()
      yield* self.remove("k0")
      expect(yield* self.add({ key: "sk-0", id: "k0", maxConcurrency: 1 })).toBe("k0")
      yield* self.reserve()
      yield* lease.settle(Refused())
      expect((yield* self.status).keys).toMatchObject([
        { id: "k0", inFlight: 1, served: 1, refused: 0, state: { _tag: "Busy" } }
      ])
    })
  )

  it.effect("a waiting call fails at once when the only key is removed", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.reserve()
      const fiber = yield* Effect.fork(Effect.flip(self.reserve()))
      yield* TestClock.adjust(0)
      yield* self.remove("k0")
      expect((yield* Fiber.join(fiber))._tag).toBe("KeyPoolExhaustedError")
    })
  )

  it.effect("add returns the id of the new key, and rejects a secret or an id that the pool has", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const id = ApiKey.fingerprint(Redacted.make("sk-twin-8t"))
      expect(yield* self.add("sk-twin-8t")).toBe(id)
      expect(yield* self.add("sk-twin-fj")).toBe(`${id}-2`)
      expect((yield* Effect.flip(self.add("sk-twin-8t"))).faults).toEqual([`key: is the same secret as key "${id}"`])
      expect((yield* Effect.flip(self.add({ key: "sk-9", id: "k0", weight: -1 }))).faults).toEqual([
        'key.id: is the id of key "k0" too',
        "key.weight: must be a positive number"
      ])
      expect((yield* self.status).keys.length).toBe(3)
    })
  )

  it.effect("reweight counts from the next call on", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* self.reweight("k1", 3)
      yield* Effect.replicateEffect(self.reserve(), 8)
      expect(yield* inFlight(self)).toEqual([2, 6])
    })
  )
})

describe("rest, disable and enable", () => {
  it.effect("rest and disable take a key out of use, and enable makes it ready again", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2), strategy: KeyPool.failover })
      yield* self.rest("k0", "10 seconds")
      expect((yield* statusOf(self)).state).toMatchObject({ _tag: "Cooling", reason: "resting" })
      expect(yield* self.disable("k0")).toBe(true)
      expect((yield* statusOf(self)).state).toEqual({
        _tag: "Disabled",
        reason: "by-hand",
        remaining: Duration.infinity
      })
      yield* TestClock.adjust("1 hour")
      expect((yield* statusOf(self)).state).toMatchObject({ _tag: "Disabled" })
      expect(yield* self.enable("k0")).toBe(true)
      expect((yield* statusOf(self)).state).toEqual({ _tag: "Ready" })
    })
  )

  it.effect("enable ends every cooldown and refusal of a key and resets its backoff", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      for (const verdict of [
        RateLimited({}),
        Refused(),
        OutOfQuota({}),
        RateLimited({ retryAfter: Duration.infinity })
      ]) {
        yield* call(self, verdict)
        yield* self.enable("k0")
        expect(yield* statusOf(self)).toMatchObject({ state: { _tag: "Ready" }, halfOpen: false })
      }
      yield* call(self, RateLimited({}))
      expect(yield* restOf(self)).toBe(1_000)
    })
  )

  it.effect("disable, enable, remove and reweight report an unknown id", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      expect([yield* self.disable("nobody"), yield* self.enable("nobody"), yield* self.remove("nobody")]).toEqual([
        false,
        false,
        false
      ])
      yield* self.rest("nobody", "1 second")
      expect((yield* Effect.flip(self.reweight("nobody", 1))).faults).toEqual(['id: the pool has no key "nobody"'])
      expect((yield* Effect.flip(self.reweight("k0", 0))).faults).toEqual(["weight: must be a positive number"])
    })
  )

  it.effect(
    "a key with an infinite Retry-After and `maxCooldown` reports an infinite cooldown, and the error has no retryAfter",
    () =>
      Effect.gen(function* () {
        const self = yield* pool({ cooldown: { maxCooldown: Duration.infinity } })
        yield* call(self, RateLimited({ retryAfter: Duration.infinity }))
        expect((yield* statusOf(self)).state).toEqual({
          _tag: "Cooling",
          reason: "rate-limited",
          remaining: Duration.infinity
        })
        const error = yield* Effect.flip(self.reserve())
        expect(Option.fromNullable(error.retryAfter)).toEqual(Option.none())
        expect(error).toBeInstanceOf(RateLimitError)
      })
  )
})

describe("secrets that no HTTP header can carry", () => {
  const faultsOf = (keys: ReadonlyArray<KeyPool.KeyInput>) =>
    Effect.map(Effect.flip(pool({ keys })), ({ faults }) => faults)

  it.effect("make removes the white space around a secret, whatever the form of the key", () =>
    Effect.gen(function* () {
      const whole = "sk-whole"
      for (const key of [`${whole}\n`, `${whole}\r\n`, ` ${whole}\t`]) {
        for (const input of [
          key,
          Redacted.make(key),
          { key },
          ApiKey.make(key),
          { id: "k0", value: Redacted.make(key), weight: 1 }
        ]) {
          const self = yield* pool({ keys: [input] })
          const [only] = yield* self.keys
          expect(only === undefined ? "" : Redacted.value(only.value)).toBe(whole)
        }
      }
      expect(yield* faultsOf([whole, `${whole}\n`])).toEqual(["keys[1]: is the same secret as keys[0]"])
    })
  )

  it.effect("make rejects a secret that no HTTP header can carry with the key's id and without the secret", () =>
    Effect.gen(function* () {
      for (const character of ["\u0000", "\n", "\r", "\u001b", "\u007f", "\u0100", "\u201c", "😀"]) {
        const error = yield* Effect.flip(
          pool({ keys: ["sk-fine", { key: `sk-canary${character}sk-rest`, id: "spare" }] })
        )
        expect(error).toMatchObject({ _tag: "InvalidPoolError" })
        expect(error.faults).toHaveLength(1)
        expect(error.message).toContain('keys[1] ("spare"): must be a key that an HTTP header can carry')
        expect(error.message + inspect(error)).not.toMatch(/canary|rest/)
      }
      expect((yield* faultsOf(["sk-\u0000"]))[0]).toContain("U+0000")
      yield* pool({ keys: ["sk-~!\t \u0080\u00ff"] })
    })
  )

  it.effect("add rejects a secret that no HTTP header can carry, and removes white space around one", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const error = yield* Effect.flip(self.add({ key: "sk-\u0000", id: "later" }))
      expect(error.message).toContain('key ("later"): must be a key that an HTTP header can carry')
      expect(yield* self.add("sk-later\n")).toBe(ApiKey.fingerprint(Redacted.make("sk-later")))
    })
  )
})

describe("keys of the wrong type from plain JavaScript", () => {
  it.effect("make and add reject a key that is not a string with InvalidPoolError", () =>
    Effect.gen(function* () {
      const inputs: ReadonlyArray<KeyPool.KeyInput> = JSON.parse(
        '[42, null, { "key": 42 }, { "value": true }, {}, [], true]'
      )
      const error = yield* Effect.flip(pool({ keys: inputs }))
      expect(error.faults).toEqual([
        "keys[0]: must be an API key; this is of the type number",
        "keys[1]: must be an API key; this is missing",
        "keys[2]: must be an API key; this is of the type number",
        "keys[3]: must be an API key; this is of the type boolean",
        "keys[4]: must be an API key; this is of the type object",
        "keys[5]: must be an API key; this is of the type object",
        "keys[6]: must be an API key; this is of the type boolean"
      ])
      const keys: ReadonlyArray<KeyPool.KeyInput> = JSON.parse('"sk-1"')
      expect((yield* Effect.flip(pool({ keys }))).faults).toEqual(["keys: must be a list of keys"])
      const self = yield* pool()
      expect(yield* Effect.flip(self.add(JSON.parse("42")))).toMatchObject({ _tag: "InvalidPoolError" })
    })
  )

  it.effect("make rejects a secret or an id of the wrong type that ApiKey.make accepts", () =>
    Effect.gen(function* () {
      const key = ApiKey.make(JSON.parse("42"))
      expect((yield* Effect.flip(pool({ keys: [key] }))).faults).toEqual([
        "keys[0]: must be an API key; this is of the type number"
      ])
      const named: KeyPool.KeyInput = { key: "sk-1", id: JSON.parse("7") }
      expect((yield* Effect.flip(pool({ keys: [named] }))).faults).toEqual(["keys[0].id: must not be empty"])
    })
  )
})
