/**
 * Estimates the tokens of a text for any model, without a tokenizer, in at most one pass over its UTF-16 units.
 *
 * Byte-pair tokenizers first split a text into runs of letters, of digits (by threes), of signs and of white space, and then
 * split the rarer runs further. The estimate counts the runs and adds tokens for the length of long ones. Outside of ASCII each
 * character has a fixed cost by its script: the mean of OpenAI's `cl100k_base` and `o200k_base`, weighted towards the latter,
 * which is closer to newer tokenizers.
 */
const other = 0
const letter = 1
const digit = 2
const sign = 3
const space = 4

const kindOfAscii = Uint8Array.from({ length: 0x80 }, (_, unit) => {
  const character = String.fromCharCode(unit)
  if (/[a-z]/i.test(character)) return letter
  if (/[0-9]/.test(character)) return digit
  return /\s/.test(character) ? space : sign
})

/** Cost of a run of one kind, in tokens. */
const costOf = (kind: number, size: number): number => {
  switch (kind) {
    case letter:
      return size <= 7 ? 1 : 1 + (size - 7) / 5
    case digit:
      return Math.ceil(size / 3)
    case sign:
      return 0.8 + (size - 1) / 2.2
    case space:
      // A single space is part of the next word's token.
      return size <= 1 ? 0 : 0.9 + size / 64
    default:
      return 0
  }
}

/** The first unit after a script (a multiple of sixteen), and the cost of each unit of the script, in tokens. */
const scripts: ReadonlyArray<readonly [end: number, cost: number]> = [
  [0x0250, 0.6], // Latin with accents
  [0x0370, 0.5], // marks on letters
  [0x0400, 0.55], // Greek
  [0x0530, 0.32], // Cyrillic
  [0x0600, 0.5], // Armenian, Hebrew
  [0x0780, 0.45], // Arabic
  [0x0900, 1],
  [0x0e00, 0.45], // the scripts of India
  [0x0e80, 0.45], // Thai
  [0x1100, 1],
  [0x1200, 0.8], // Hangul in pieces
  [0x1e00, 1],
  [0x1f00, 0.35], // Latin with two accents, as in Vietnamese
  [0x2000, 0.8],
  [0x2e80, 0.9], // signs, arrows, mathematics
  [0x3040, 0.8], // punctuation of Chinese and Japanese
  [0x30a0, 0.75], // hiragana
  [0x3100, 0.65], // katakana
  [0xa4d0, 0.85], // Chinese characters
  [0xac00, 1],
  [0xd800, 0.8], // Hangul
  [0xe000, 1], // surrogate halves of emoji and of rare characters
  [0x10000, 0.8]
]

/** `scripts` indexed by the first twelve bits of a unit, for speed. */
const costByBlock = new Float64Array(0x1000)
// Backwards, so that each script overwrites what the scripts after it have filled before their own first unit.
for (const [end, cost] of scripts.toReversed()) costByBlock.fill(cost, 0, end >> 4)

const isUpper = (unit: number): boolean => unit >= 0x41 && unit <= 0x5a

const isSmall = (unit: number): boolean => (unit - 0x61) >>> 0 < 26

const newline = 0x0a

const blank = 0x20

/** What one more unit adds to the size of its run. */
const growth = (kind: number, unit: number, previous: number, repeats: number): number => {
  // Runs of capitals are split into more tokens than words; a repeated sign (a horizontal rule) has its own tokens.
  if (kind === letter) return isUpper(unit) && isUpper(previous) ? 1.7 : 1
  if (kind === sign) return repeats < 3 ? 1 : 0.08
  return kind === space && unit === newline ? 2 : 1
}

const encoder = new TextEncoder()

/** The number of units that are read at a time. */
const windowSize = 4096

const ascii = new Uint8Array(windowSize)

/** The units of a window, with a zero after them: an array is read in half the time of a string. */
const units = new Uint16Array(windowSize + 1)

/** From this length on, a native copy takes less time than a loop. */
const long = 100

/** Copies a text of ASCII. Returns whether it is one: `read` is less when the bytes of another text fill the array before its end. */
const copyAscii = (text: string): boolean => {
  const { read, written } = encoder.encodeInto(text, ascii)
  if (read !== text.length || written !== text.length) return false
  units.set(ascii.subarray(0, written))
  return true
}

const read = (text: string): void => {
  if (text.length < long || !copyAscii(text)) {
    for (let index = 0; index < text.length; index++) units[index] = text.charCodeAt(index)
  }
  units[text.length] = 0
}

const unitAt = (index: number): number => units[index] ?? 0

/** The number of windows that stand for a longer text. */
const maxWindows = 64

/**
 * The estimated tokens of a text; a whole number. A text of more than 262,144 units is estimated by windows at equal distances, so that the
 * time is bounded: streams of any length can end at the same moment.
 */
export const estimate = (text: string): number => {
  const most = maxWindows * windowSize
  if (text.length <= most) return Math.ceil(count(text))
  const distance = (text.length - windowSize) / (maxWindows - 1)
  let tokens = 0
  for (let window = 0; window < maxWindows; window++) {
    const start = Math.floor(window * distance)
    tokens += count(text.slice(start, start + windowSize))
  }
  return Math.ceil((tokens * text.length) / most)
}

/** The run at the end of what was counted, and the tokens before it. */
interface Progress {
  tokens: number
  kind: number
  size: number
  previous: number
  repeats: number
}

const begin = (): Progress => ({ tokens: 0, kind: other, size: 0, previous: 0, repeats: 0 })

const total = ({ kind, size, tokens }: Progress): number => tokens + costOf(kind, size)

const count = (text: string): number => {
  const progress = begin()
  advance(progress, text)
  return total(progress)
}

/** The length, in UTF-16 units, up to which the pieces of a growing text are kept before they are counted. */
const blockSize = 8192

/** Estimates a text while it grows. */
export interface GrowingEstimate {
  readonly add: (piece: string) => void
  readonly isEmpty: () => boolean
  /** The estimated tokens so far. */
  readonly tokens: () => number
}

/**
 * Estimates a text that comes in pieces. The pieces are counted in blocks as they come, so that an estimate takes no longer for a long
 * text than for a short one; a text shorter than one block is not counted unless its tokens are asked for.
 */
export const growing = (): GrowingEstimate => {
  const progress = begin()
  let pending = ""
  let isEmpty = true
  const countPending = (): void => {
    advance(progress, pending)
    pending = ""
  }
  return {
    add: (piece) => {
      if (piece !== "") isEmpty = false
      pending += piece
      if (pending.length >= blockSize) countPending()
    },
    isEmpty: () => isEmpty,
    tokens: () => {
      if (pending !== "") countPending()
      return Math.ceil(total(progress))
    }
  }
}

/** Counts more of a text. */
const advance = (progress: Progress, text: string): void => {
  let { kind, previous, repeats, size, tokens } = progress
  for (let start = 0; start < text.length; start += windowSize) {
    const part = text.slice(start, start + windowSize)
    read(part)
    let index = 0
    while (index < part.length) {
      const unit = unitAt(index)
      // Most of a text is small letters, for which the rules below come down to their number.
      if (isSmall(unit)) {
        if (kind !== letter) {
          tokens += costOf(kind, size)
          kind = letter
          size = 0
        }
        let first = index
        for (;;) {
          do index++
          while (isSmall(unitAt(index)))
          if (unitAt(index) !== blank || !isSmall(unitAt(index + 1))) break
          // A single space costs nothing: the next word is another run of letters.
          tokens += costOf(letter, size + index - first)
          size = 0
          index++
          first = index
        }
        size += index - first
        previous = unit
        continue
      }
      const next = unit < 0x80 ? (kindOfAscii[unit] ?? other) : other
      repeats = unit === previous ? repeats + 1 : 0
      // A capital after a lower-case letter starts a word, as in camelCase.
      if (next !== kind || (next === letter && isUpper(unit) && !isUpper(previous))) {
        tokens += costOf(kind, size)
        kind = next
        size = 0
      }
      if (next === other) tokens += costByBlock[unit >> 4] ?? 1
      else size += growth(next, unit, previous, repeats)
      previous = unit
      index++
    }
  }
  progress.tokens = tokens
  progress.kind = kind
  progress.size = size
  progress.previous = previous
  progress.repeats = repeats
}
