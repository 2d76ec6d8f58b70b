/** The names of the keys of a shared state, with the version of its layout. */
import type { Service } from "../model.js"

export interface Layout {
  readonly kind: string
  readonly name: string
  readonly layoutVersion: number
}

/**
 * Returns the key of a part of a state. Each kind of state has one `layoutVersion` beside its scripts: raise it when scripts of the last
 * release would misread what the new ones store, or the reverse. Both then run side by side, each with a state of its own, and the
 * new state begins empty.
 *
 * The names of version 1 contain no version, so the state of 0.1.0 is used further.
 */
export const keyOf =
  (redis: Pick<Service, "key">, { kind, layoutVersion, name }: Layout) =>
  (part: string): string =>
    redis.key(kind, name, layoutVersion === 1 ? part : `v${layoutVersion}:${part}`)
