/**
 * Where a text goes on that one model began and another one ends. Some take up at the very next character, some repeat the
 * last words or line, and some begin anew: what has been said already must not be said again.
 */

/**
 * - `Undecided`: all that was heard stands in what was said too; more must be heard.
 * - `New`: what is to be said next, the repeated beginning taken off.
 * - `Restarted`: the answer was begun anew and went another way.
 */
export type Joined =
  | { readonly _tag: "Undecided" }
  | { readonly _tag: "New"; readonly text: string }
  | { readonly _tag: "Restarted" }

/** A single character may well follow itself. The answer as a whole is never too short to be repeated. */
const shortest = 2

/** So many characters in common with the beginning of the answer are no accident. */
const unmistakable = 24

const wordCharacter = /[\p{L}\p{N}]/u

/** Scripts that put nothing between their words. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u

/**
 * Whether a repetition may begin here: with the answer, a line or a word, and with the white space at the end, which is not
 * sent. A repetition in the middle of a word is none: `hel` goes on with `lo`.
 */
const mayBegin = (said: string, position: number, end: number): boolean => {
  if (position === 0 || position >= end) return true
  if (said.slice(position, end).trimStart().length < shortest) return false
  const before = said.charAt(position - 1)
  if (before === "\n") return true
  return wordCharacter.test(said.charAt(position)) && (!wordCharacter.test(before) || unspaced.test(before))
}

const commonPrefix = (one: string, other: string): number => {
  const length = Math.min(one.length, other.length)
  let index = 0
  while (index < length && one.charCodeAt(index) === other.charCodeAt(index)) index += 1
  return index
}

/** Joins what was `heard` so far to what was `said`; `ended`: nothing more will be heard. */
export const join = (said: string, heard: string, ended: boolean): Joined => {
  if (heard === "" && !ended) return { _tag: "Undecided" }
  const end = said.trimEnd().length
  let overlap = 0
  for (let position = 0; position < said.length; position++) {
    const left = said.length - position
    if (left > heard.length) {
      if (!ended && said.startsWith(heard, position) && mayBegin(said, position, end)) return { _tag: "Undecided" }
    } else if (heard.startsWith(said.slice(position)) && mayBegin(said, position, end)) {
      overlap = left
      break
    }
  }
  if (overlap > 0) return { _tag: "New", text: heard.slice(overlap) }
  const common = commonPrefix(said, heard)
  return common >= unmistakable || (heard !== "" && said.startsWith(heard) && heard.length > shortest)
    ? { _tag: "Restarted" }
    : { _tag: "New", text: heard }
}

/** The part of what was said that is sent to be continued. Providers refuse white space at its end. */
export const toBeContinued = (said: string): string => said.trimEnd()
