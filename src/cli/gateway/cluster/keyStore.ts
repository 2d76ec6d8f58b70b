/**
 * The client keys of workers without Redis: each worker has all of them in memory, and the primary process keeps the changes at run
 * time for workers that start later. Like the keys of a gateway of one process, they end with the command.
 */
import { Effect, Option, Schema } from "effect"
import type { Store } from "../../../gateway/AccessStore.js"
import * as AccessStore from "../../../gateway/AccessStore.js"
import type { Link } from "./link.js"
import type { KeyChange } from "./protocol.js"
import { KeyChanges } from "./protocol.js"

const decodeChanges = Schema.decodeUnknown(KeyChanges)

export interface KeyStore {
  /** Applies a change that another worker has made. */
  readonly apply: (change: KeyChange) => Effect.Effect<void, AccessStore.AccessStoreError>
  /** Reads the changes so far. Changes of the returned store reach all workers. */
  readonly connect: (link: Link) => Effect.Effect<Store>
}

export const make: Effect.Effect<KeyStore> = Effect.map(AccessStore.makeMemory, (memory) => {
  const apply = ({ key, removed }: KeyChange): Effect.Effect<void, AccessStore.AccessStoreError> =>
    // A key that is put and then removed stays removed, also if it is configured.
    Effect.zipRight(memory.put(key), removed ? Effect.asVoid(memory.remove(key.id)) : Effect.void)

  const connect = (link: Link): Effect.Effect<Store> => {
    const publish = (change: KeyChange) =>
      Effect.asVoid(link.ask((id) => ({ _tag: "AskOthers", id, question: { _tag: "ChangeKey", change } })))
    const store: Store = {
      find: memory.find,
      list: memory.list,
      // Every worker has the configured keys by itself.
      put: (key) =>
        Effect.zipRight(memory.put(key), key.configured === true ? Effect.void : publish({ key, removed: false })),
      remove: (id) =>
        Effect.flatMap(memory.list, (keys) =>
          Effect.zipLeft(
            memory.remove(id),
            Effect.forEach(
              keys.filter((key) => key.id === id),
              (key) => publish({ key, removed: true }),
              { discard: true }
            )
          )
        )
    }
    return link
      .ask((id) => ({ _tag: "AskKeys", id }))
      .pipe(
        Effect.map(Option.getOrElse((): unknown => [])),
        Effect.flatMap(decodeChanges),
        Effect.flatMap(Effect.forEach(apply, { discard: true })),
        Effect.catchAll((error) => Effect.logError("The client keys of the other workers cannot be read", error)),
        Effect.as(store)
      )
  }
  return { apply, connect }
})
