/**
 * The `get` of a store in memory outside of Effect, so that a cache hit pays no fiber steps for it. It belongs to the function and not to
 * the store: a store that is changed (`{ ...store, get }`) has another one.
 */
import type { Option } from "effect"
import { Predicate } from "effect"
import type { Store } from "./model.js"

/** `now` in milliseconds since the epoch. */
export type UnsafeGet = (key: string, now: number) => Option.Option<string>

const UnsafeGetId: unique symbol = Symbol("effect-llm/CacheStore/UnsafeGet")

interface WithUnsafeGet {
  readonly [UnsafeGetId]: UnsafeGet
}

/** The `get` with a form that does the same outside of Effect. */
export const add = (get: Store["get"], unsafeGet: UnsafeGet): Store["get"] => {
  const annotation: WithUnsafeGet = { [UnsafeGetId]: unsafeGet }
  return Object.assign<Store["get"], WithUnsafeGet>((key) => get(key), annotation)
}

const hasUnsafeGet = (get: Store["get"]): get is Store["get"] & WithUnsafeGet => Predicate.hasProperty(get, UnsafeGetId)

export const of = ({ get }: Store): UnsafeGet | undefined => (hasUnsafeGet(get) ? get[UnsafeGetId] : undefined)
