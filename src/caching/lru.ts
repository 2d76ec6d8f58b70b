/** A map of strings with a limit on entries and bytes that evicts the least recently used entries. */
import { Duration, Option } from "effect"

interface Entry {
  readonly value: string
  readonly bytes: number
  /** Milliseconds since the epoch. */
  readonly until: number
}

export interface LruMap {
  readonly maxEntries: number
  readonly maxBytes: number
  /** From the least to the most recently used: a `Map` keeps the order of insertion. */
  readonly entries: Map<string, Entry>
  bytes: number
}

export const make = (maxEntries: number, maxBytes: number): LruMap => ({
  maxEntries,
  maxBytes,
  entries: new Map(),
  bytes: 0
})

export const expiry = (now: number, ttl: Option.Option<Duration.Duration>): number =>
  Option.match(ttl, { onNone: () => Infinity, onSome: (ttl) => now + Duration.toMillis(ttl) })

const encoder = new TextEncoder()

const sizeOf = (text: string): number => encoder.encode(text).length

export const remove = (self: LruMap, key: string): void => {
  const entry = self.entries.get(key)
  if (entry === undefined) return
  self.entries.delete(key)
  self.bytes -= entry.bytes
}

export const clear = (self: LruMap): void => {
  self.entries.clear()
  self.bytes = 0
}

export const get = (self: LruMap, key: string, now: number): string | undefined => {
  const entry = self.entries.get(key)
  if (entry === undefined) return undefined
  if (entry.until <= now) {
    remove(self, key)
    return undefined
  }
  self.entries.delete(key)
  self.entries.set(key, entry)
  return entry.value
}

/** Removes expired entries. */
export const purge = (self: LruMap, now: number): void => {
  for (const [key, { until }] of self.entries) if (until <= now) remove(self, key)
}

export const set = (self: LruMap, key: string, value: string, until: number, now: number): void => {
  remove(self, key)
  const bytes = sizeOf(key) + sizeOf(value)
  if (until <= now || bytes > self.maxBytes || self.maxEntries < 1) return
  self.entries.set(key, { value, bytes, until })
  self.bytes += bytes
  for (const oldest of self.entries.keys()) {
    if (self.entries.size <= self.maxEntries && self.bytes <= self.maxBytes) return
    remove(self, oldest)
  }
}
