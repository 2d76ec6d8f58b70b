/**
 * Joins a text that one model began and its continuation by another model. Some models continue at the next character, some
 * repeat the last words or line, and some restart the answer: repeated text must be removed.
 */

/**
 * - `Undecided`: all of the continuation so far could be a repetition; more of it is needed.
 * - `New`: the continuation without its repeated beginning.
 * - `Restarted`: the continuation restarts the answer and then differs.
 */
export type JoinResult =
  | { readonly _tag: "Undecided" }
  | { readonly _tag: "New"; readonly text: string }
  | { readonly _tag: "Restarted" }

/** A single repeated character is often a coincidence. Does not apply to a repetition of the whole text. */
const minOverlap = 2

/** A common beginning of so many characters is a restart, and no coincidence. */
const restartLength = 24

const wordCharacter = /[\p{L}\p{N}]/u

/** Scripts without spaces between words. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u

/**
 * Whether a repetition can begin here: at the start of the text, of a line or of a word, or in the white space at the end, which
 * is not sent. Not in the middle of a word: `hel` continues with `lo`.
 */
const canBeginAt = (text: string, position: number, end: number): boolean => {
  if (position === 0 || position >= end) return true
  if (text.slice(position, end).trimStart().length < minOverlap) return false
  const before = text.charAt(position - 1)
  if (before === "\n") return true
  return wordCharacter.test(text.charAt(position)) && (!wordCharacter.test(before) || unspaced.test(before))
}

const commonPrefixLength = (one: string, other: string): number => {
  const length = Math.min(one.length, other.length)
  let index = 0
  while (index < length && one.charCodeAt(index) === other.charCodeAt(index)) index += 1
  return index
}

/** Joins the continuation so far to the text; `isComplete`: no more of it follows. */
export const join = (text: string, continuation: string, isComplete: boolean): JoinResult => {
  if (continuation === "" && !isComplete) return { _tag: "Undecided" }
  const end = text.trimEnd().length
  let overlap = 0
  for (let position = 0; position < text.length; position++) {
    const left = text.length - position
    if (left > continuation.length) {
      if (!isComplete && text.startsWith(continuation, position) && canBeginAt(text, position, end))
        return { _tag: "Undecided" }
    } else if (continuation.startsWith(text.slice(position)) && canBeginAt(text, position, end)) {
      overlap = left
      break
    }
  }
  if (overlap > 0) return { _tag: "New", text: continuation.slice(overlap) }
  const common = commonPrefixLength(text, continuation)
  return common >= restartLength ||
    (continuation !== "" && text.startsWith(continuation) && continuation.length > minOverlap)
    ? { _tag: "Restarted" }
    : { _tag: "New", text: continuation }
}
