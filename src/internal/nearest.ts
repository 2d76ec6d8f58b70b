/** The word that was probably meant. */

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal string alignment). */
const distance = (one: string, other: string): number => {
  let before: ReadonlyArray<number> = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1]
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      row.push(
        Math.min(
          (last[j] ?? 0) + 1,
          (row[j - 1] ?? 0) + 1,
          (last[j - 1] ?? 0) + (isSame ? 0 : 1),
          isSwap ? (before[j - 2] ?? 0) + 1 : Infinity
        )
      )
    }
    before = last
    last = row
  }
  return last[other.length] ?? 0
}

/** Words above this length are not compared. */
const maxLength = 100

/** The candidate that differs from the word by the fewest letters, at most a third of them; undefined when none is so close. */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(1, Math.floor(Math.min(word.length, maxLength) / 3)) + 1
  for (const candidate of word.length > maxLength ? [] : candidates) {
    if (candidate.length > maxLength || Math.abs(candidate.length - word.length) >= least) continue
    const edits = distance(word.toLowerCase(), candidate.toLowerCase())
    if (edits < least) {
      best = candidate
      least = edits
    }
  }
  return best
}

/** ` Did you mean …?`, or nothing. */
export const didYouMean = (word: string, candidates: Iterable<string>): string => {
  const found = nearest(word, candidates)
  return found === undefined ? "" : ` Did you mean ${found}?`
}

/** `unknown field`, with the field that was probably meant. */
export const unknownField = (field: string, known: Iterable<string>): string => {
  const found = nearest(field, known)
  return found === undefined ? "unknown field" : `unknown field, did you mean ${found}?`
}
