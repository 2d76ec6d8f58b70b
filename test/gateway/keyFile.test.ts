/** Virtual keys in a file, and the reload of that file. */
import { FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Context, DateTime, Effect, Layer, Logger, Option, Redacted, Ref, TestClock } from "effect"
import { createHash } from "node:crypto"
import * as Access from "../../src/gateway/Access.js"
import * as AccessStore from "../../src/gateway/AccessStore.js"
import { scripted } from "../support/scripted.js"
import { fromEither } from "../../src/internal/asEffect.js"

const writeAndRead = (text: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/keys.json`
    yield* files.writeFileString(path, text)
    return { path, keys: yield* Effect.either(Access.readKeys(path)) }
  })

const faultsOf = (text: string) =>
  Effect.map(writeAndRead(text), ({ keys, path }) =>
    keys._tag === "Left" ? keys.left.faults.map((fault) => fault.replace(path, "file")) : []
  )

describe("Access.readKeys", () => {
  it.scopedLive("reads keys given as secrets or as SHA-256 digests, with their settings", () =>
    Effect.gen(function* () {
      const sha256 = createHash("sha256").update("sk-two").digest("hex")
      const { keys } = yield* writeAndRead(
        JSON.stringify([
          { key: "sk-one", label: "one", models: ["openai/*"], expiresAt: "2999-01-01T00:00:00Z" },
          {
            sha256,
            label: "two",
            budget: { dollars: 1, period: "day" },
            rateLimit: { requestsPerMinute: 60, maxConcurrent: 4 }
          }
        ])
      )
      const access = yield* Effect.flatMap(fromEither(keys), (keys) => Access.make({ keys }))
      const caller = (secret: string) => access.caller(Option.some(Redacted.make(secret)))
      const one = yield* caller("sk-one")
      expect([one.label, one.allows(["openai/m"]), one.allows(["other/m"])]).toEqual(["one", true, false])
      expect((yield* caller("sk-two")).label).toBe("two")
      expect((yield* Effect.flip(caller(sha256)))._tag).toBe("AccessDeniedError")
      const [first, second] = yield* access.list
      expect(first?.expiresAt).toEqual(DateTime.unsafeMake("2999-01-01T00:00:00Z"))
      expect(second?.rateLimit).toEqual({ requestsPerMinute: 60, maxConcurrency: 4 })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("reports the path of every fault in the file and never a secret", () =>
    Effect.gen(function* () {
      expect(yield* faultsOf("{")).toEqual(["file: is not a list of keys in JSON"])
      expect(yield* faultsOf("[{}]")).not.toEqual([])
      const faults = yield* faultsOf(
        JSON.stringify([
          { key: "sk-canary", rateLimit: { requestsPerMinute: -1 } },
          { key: "sk-canary", lable: "x" }
        ])
      )
      expect(faults.some((fault) => fault.startsWith("file: [0].rateLimit.requestsPerMinute"))).toBe(true)
      expect(faults.some((fault) => fault.startsWith("file: [1].lable"))).toBe(true)
      expect(faults.join()).not.toContain("canary")
      const missing = yield* Effect.flip(Access.readKeys("/nowhere/keys.json"))
      expect(missing.message).toContain("/nowhere/keys.json cannot be read")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})

/** Access that follows a file of keys in memory. The file is missing while its content is undefined. */
const reloadingAccess = (first: ReadonlyArray<object>, options: Access.ReloadOptions = {}) =>
  Effect.gen(function* () {
    const content = yield* Ref.make<string | undefined>(JSON.stringify(first))
    const log = yield* Ref.make("")
    const files = FileSystem.layerNoop({
      readFileString: (path) =>
        Effect.flatMap(Ref.get(content), (text) =>
          text === undefined
            ? Effect.fail(
                new SystemError({
                  reason: "NotFound",
                  module: "FileSystem",
                  method: "readFileString",
                  pathOrDescriptor: path
                })
              )
            : Effect.succeed(text)
        )
    })
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => Effect.runSync(Ref.update(log, (text) => `${text}${String(message)}\n`)))
    )
    const context = yield* Layer.build(
      Access.layerReloading("keys.json", options).pipe(Layer.provide(files), Layer.provide(logger))
    )
    const access = Context.get(context, Access.Access)
    const isAccepted = (secret: string) =>
      Effect.map(Effect.either(access.caller(Option.some(Redacted.make(secret)))), ({ _tag }) => _tag === "Right")
    return {
      access,
      isAccepted,
      log: Ref.get(log),
      reload: Effect.provide(Context.get(context, Access.Reloading).reload, logger),
      writeText: (text: string | undefined) => Ref.set(content, text),
      write: (keys: ReadonlyArray<object>) => Ref.set(content, JSON.stringify(keys))
    }
  })

const environment = Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))

const [one, two] = [
  { key: "sk-canary-one", label: "one" },
  { key: "sk-canary-two", label: "two" }
]

describe("Access.layerReloading", () => {
  it.scoped("accepts a key that was added to the file and refuses one that was removed from it", () =>
    Effect.gen(function* () {
      const { access, isAccepted, log, write } = yield* reloadingAccess([one])
      expect([yield* isAccepted(one.key), yield* isAccepted(two.key)]).toEqual([true, false])
      yield* write([two])
      yield* TestClock.adjust("10 seconds")
      expect([yield* isAccepted(one.key), yield* isAccepted(two.key)]).toEqual([false, true])
      expect((yield* access.list).map(({ label }) => label)).toEqual(["two"])
      expect(yield* log).toContain("keys.json has been reloaded")
      expect(yield* log).not.toContain("canary")
    }).pipe(environment)
  )

  it.scoped("reloads at once on reload, and never on its own with interval false", () =>
    Effect.gen(function* () {
      const { isAccepted, reload, write } = yield* reloadingAccess([one], { interval: false })
      yield* write([two])
      yield* TestClock.adjust("1 hour")
      expect(yield* isAccepted(one.key)).toBe(true)
      const { added, changed, removed } = yield* reload
      expect([added.length, changed.length, removed.length]).toEqual([1, 0, 1])
      expect(yield* isAccepted(one.key)).toBe(false)
    }).pipe(environment)
  )

  it.scoped("keeps the current keys when the file is invalid or missing, and logs why without a secret", () =>
    Effect.gen(function* () {
      const { isAccepted, log, reload, writeText } = yield* reloadingAccess([one], { interval: false })
      for (const [text, fault] of [
        ["{", "keys.json: is not a list of keys in JSON"],
        [JSON.stringify([two, { ...one, rateLimit: { requestsPerMinute: -1 } }]), "keys.json: [1].rateLimit"],
        [JSON.stringify([two, two]), "keys[1]: the same secret as keys[0]"],
        [undefined, "keys.json cannot be read"]
      ] as const) {
        yield* writeText(text)
        expect((yield* Effect.flip(reload)).message).toContain(fault)
        expect(yield* log).toContain(fault)
        expect([yield* isAccepted(one.key), yield* isAccepted(two.key)]).toEqual([true, false])
      }
      expect(yield* log).toContain("keys.json has been refused")
      expect(yield* log).not.toContain("canary")
    }).pipe(environment)
  )

  it.scoped("keeps keys that were created through the administration, and revoked keys stay revoked", () =>
    Effect.gen(function* () {
      const { access, isAccepted, reload, write } = yield* reloadingAccess([one, two], { interval: false })
      const { secret } = yield* access.create({ label: "made" })
      const [first] = yield* access.list
      expect(yield* access.revoke(first?.id ?? "")).toBe(true)
      yield* write([{ ...one, label: "renamed" }])
      yield* reload
      expect(yield* isAccepted(Redacted.value(secret))).toBe(true)
      expect([yield* isAccepted(one.key), yield* isAccepted(two.key)]).toEqual([false, false])
      expect((yield* access.list).map(({ label }) => label)).toEqual(["made"])
    }).pipe(environment)
  )

  it.scoped("keeps the limiter of a key with an unchanged entry, and replaces it when the entry changes", () =>
    Effect.gen(function* () {
      const limited = (requestsPerMinute: number) => ({ ...one, rateLimit: { requestsPerMinute } })
      const { access, reload, write } = yield* reloadingAccess([limited(1)], { interval: false })
      const ask = Effect.gen(function* () {
        const caller = yield* access.caller(Option.some(Redacted.make(one.key)))
        const llm = yield* Effect.flatMap(scripted("Hello"), caller.around)
        return yield* Effect.match(llm.chat("?"), { onFailure: ({ _tag }) => _tag, onSuccess: () => "ok" })
      })
      expect([yield* ask, yield* ask]).toEqual(["ok", "RateLimitError"])
      yield* write([limited(1), two])
      expect((yield* reload).changed).toEqual([])
      expect(yield* ask).toBe("RateLimitError")
      yield* write([limited(2)])
      expect((yield* reload).changed).toHaveLength(1)
      expect([yield* ask, yield* ask, yield* ask]).toEqual(["ok", "ok", "RateLimitError"])
    }).pipe(environment)
  )

  it.scoped("stays closed when the file has no keys", () =>
    Effect.gen(function* () {
      const { access, isAccepted, reload, write } = yield* reloadingAccess([one], { interval: false })
      yield* write([])
      yield* reload
      expect(access.isOpen).toBe(false)
      expect(yield* isAccepted(one.key)).toBe(false)
      expect((yield* Effect.flip(access.caller(Option.none())))._tag).toBe("AccessDeniedError")
      const empty = yield* reloadingAccess([])
      expect(empty.access.isOpen).toBe(false)
    }).pipe(environment)
  )

  it.scoped("revokes removed keys while the store is unavailable, and stores new keys on their first use", () =>
    Effect.gen(function* () {
      const isUnavailable = yield* Ref.make(false)
      const memory = yield* AccessStore.makeMemory
      const store: AccessStore.Store = {
        ...memory,
        put: (key) =>
          Effect.flatMap(Ref.get(isUnavailable), (isUnavailable) =>
            isUnavailable ? Effect.fail(new AccessStore.AccessStoreError({ detail: "away" })) : memory.put(key)
          )
      }
      const { isAccepted, log, reload, write } = yield* Effect.provideService(
        reloadingAccess([one], { interval: false }),
        AccessStore.AccessStore,
        store
      )
      yield* Ref.set(isUnavailable, true)
      yield* write([two])
      yield* reload
      expect([yield* isAccepted(one.key), yield* isAccepted(two.key)]).toEqual([false, false])
      expect(yield* log).toContain("New keys are not in the store yet")
      yield* Ref.set(isUnavailable, false)
      expect([yield* isAccepted(one.key), yield* isAccepted(two.key)]).toEqual([false, true])
    }).pipe(environment)
  )
})
