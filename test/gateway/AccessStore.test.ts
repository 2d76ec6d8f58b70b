/** Keys in a store that another program has written. */
import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Option, Redacted } from "effect"
import { Access, AccessStore } from "../../src/gateway/index.js"
import * as Secrets from "../../src/gateway/auth/secrets.js"

describe("AccessStore", () => {
  it.effect("fails with AccessStoreError when the limits of a stored key are invalid", () =>
    Effect.gen(function* () {
      const secret = Redacted.make("sk-from-elsewhere")
      const hash = Secrets.digest(secret)
      const store = yield* AccessStore.makeMemory
      yield* store.put({
        id: "key",
        hash,
        createdAt: yield* DateTime.now,
        budget: { dollars: -1 }
      })
      const access = yield* Effect.provideService(Access.make(), AccessStore.AccessStore, store)
      const error = yield* Effect.flip(access.caller(Option.some(secret)))
      expect(error._tag).toBe("AccessStoreError")
      expect(error.message).toContain("the limit must be more than nothing")
    })
  )

  it.effect("returns a new secret that is stored when the store fails right after", () =>
    Effect.gen(function* () {
      const memory = yield* AccessStore.makeMemory
      const store = AccessStore.AccessStore.of({
        ...memory,
        find: () => Effect.fail(new AccessStore.AccessStoreError({ detail: "away" }))
      })
      const access = yield* Effect.provideService(Access.make(), AccessStore.AccessStore, store)
      const { key } = yield* access.create({})
      // The old secret is refused already: without the new one the key is of no use.
      const rotated = Option.getOrThrow(yield* access.rotate(key.id))
      expect((yield* memory.list).map(({ hash }) => hash)).toEqual([Secrets.digest(rotated.secret)])
    })
  )

  it.effect("keeps a key revoked that is revoked while its secret or its settings are replaced", () =>
    Effect.gen(function* () {
      const memory = yield* AccessStore.makeMemory
      // The key is revoked after it has been read.
      const store = AccessStore.AccessStore.of({
        ...memory,
        put: (key) =>
          Effect.zipRight(key.label === "kept" ? Effect.void : Effect.asVoid(memory.remove(key.id)), memory.put(key))
      })
      const access = yield* Effect.provideService(Access.make(), AccessStore.AccessStore, store)
      const create = Effect.map(access.create({ label: "kept" }), ({ key }) => key.id)
      expect(yield* access.update(yield* create, { label: "changed" })).toEqual(Option.none())
      const racing = AccessStore.AccessStore.of({
        ...memory,
        list: Effect.tap(memory.list, (keys) => Effect.forEach(keys, ({ id }) => memory.remove(id)))
      })
      const raced = yield* Effect.provideService(Access.make(), AccessStore.AccessStore, racing)
      expect(yield* raced.rotate(yield* create)).toEqual(Option.none())
      expect(yield* memory.list).toEqual([])
    })
  )
})
