/**
 * Which keys of an `LLM` fail with errors of the provider, such as a 500. A key is failing from such an error until a call with
 * it succeeds, or until it has not failed for ten minutes. Nothing is stored while no key is failing. Times are in milliseconds.
 */

export interface KeyResults {
  readonly succeeded: (keyId: string) => void
  readonly failed: (keyId: string, now: number) => void
  /**
   * Records that a key is tried in place of a failing one. It counts as failing until it succeeds, unless it has succeeded since the
   * first of the current failures. So a provider that fails with all keys gets one such request for each key.
   */
  readonly tried: (keyId: string, now: number) => void
  /** The keys that are failing; undefined when they are so many that the provider is at fault and not the keys. */
  readonly failing: (now: number) => ReadonlySet<string> | undefined
}

/** How long a failure counts. */
const memory = 600_000

/** The most failing keys that calls avoid. */
const maxFailing = 64

export const make = (): KeyResults => {
  /** When each key failed last, the latest at the end. */
  const failures = new Map<string, number>()
  /** The keys that have answered since the first of these failures. */
  const answered = new Set<string>()

  const forgetOld = (now: number): void => {
    for (const [keyId, at] of failures) {
      if (at > now - memory) break
      failures.delete(keyId)
    }
    if (failures.size === 0) answered.clear()
  }

  const failed = (keyId: string, now: number): void => {
    forgetOld(now)
    answered.delete(keyId)
    failures.delete(keyId)
    failures.set(keyId, now)
  }

  return {
    failed,
    succeeded: (keyId) => {
      if (failures.size === 0) return
      failures.delete(keyId)
      if (failures.size === 0) answered.clear()
      else answered.add(keyId)
    },
    tried: (keyId, now) => {
      if (!answered.has(keyId)) failed(keyId, now)
    },
    failing: (now) => {
      forgetOld(now)
      return failures.size > maxFailing ? undefined : new Set(failures.keys())
    }
  }
}
