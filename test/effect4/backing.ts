/** The persistence of Effect in Redis, whose layers differ between the versions. */
import type { Persistence } from "@effect/experimental"
import { layer } from "@effect/experimental/Persistence/Redis"
import { Layer } from "effect"

export const backingIn = (url: string): Layer.Layer<Persistence.BackingPersistence> => {
  const { hostname, port } = new URL(url)
  return Layer.orDie(layer({ host: hostname, port: Number(port) }))
}
