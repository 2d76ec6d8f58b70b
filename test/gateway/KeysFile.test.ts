/** The keys of clients in a file. */
import { FileSystem } from "@effect/platform"
import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Option, Redacted } from "effect"
import { createHash } from "node:crypto"
import * as Access from "../../src/gateway/Access.js"

const inFile = (text: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/keys.json`
    yield* files.writeFileString(path, text)
    return { path, keys: yield* Effect.either(Access.readKeys(path)) }
  })

const faultsOf = (text: string) =>
  Effect.map(inFile(text), ({ keys, path }) =>
    keys._tag === "Left" ? keys.left.faults.map((fault) => fault.replace(path, "file")) : []
  )

describe("a file of keys", () => {
  it.scopedLive("opens the gateway by its secrets, written out or as their SHA-256", () =>
    Effect.gen(function* () {
      const sha256 = createHash("sha256").update("sk-two").digest("hex")
      const { keys } = yield* inFile(
        JSON.stringify([
          { key: "sk-one", label: "one", models: ["openai/*"], expiresAt: "2999-01-01T00:00:00Z" },
          { sha256, label: "two", budget: { dollars: 1, period: "day" }, rateLimit: { requestsPerMinute: 60 } }
        ])
      )
      const access = yield* Effect.flatMap(keys, (keys) => Access.make({ keys }))
      const caller = (secret: string) => access.caller(Option.some(Redacted.make(secret)))
      const one = yield* caller("sk-one")
      expect([one.label, one.allows(["openai/m"]), one.allows(["other/m"])]).toEqual(["one", true, false])
      expect((yield* caller("sk-two")).label).toBe("two")
      expect((yield* Effect.flip(caller(sha256)))._tag).toBe("AccessDeniedError")
      const [first] = yield* access.list
      expect(first?.expiresAt).toEqual(DateTime.unsafeMake("2999-01-01T00:00:00Z"))
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("is refused with the place of every fault, and never with a secret", () =>
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
