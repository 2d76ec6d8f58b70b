/** The results for the latest texts: a cache hit repeats the decoding of an entry that was hit before. */

/** Longer texts are not kept. In UTF-16 units. */
const maxLength = 16_384

const capacity = 128

export interface Recent<A> {
  readonly get: (text: string) => A | undefined
  readonly set: (text: string, value: A) => void
}

export const make = <A>(): Recent<A> => {
  // A `Map` keeps the order of insertion: its first entry is the oldest.
  const values = new Map<string, A>()
  return {
    get: (text) => (text.length > maxLength ? undefined : values.get(text)),
    set: (text, value) => {
      if (text.length > maxLength) return
      values.set(text, value)
      if (values.size <= capacity) return
      const [oldest] = values.keys()
      if (oldest !== undefined) values.delete(oldest)
    }
  }
}
