/** The persistence of Effect in Redis, whose layers differ between the versions. */
import { layer } from "@effect/platform-node/NodeRedis"
import { Layer } from "effect"
import { Persistence } from "effect/persistence"

export const backingIn = (url: string): Layer.Layer<Persistence.BackingPersistence> =>
  Persistence.layerBackingRedis.pipe(Layer.provide(layer({ url })), Layer.orDie)
