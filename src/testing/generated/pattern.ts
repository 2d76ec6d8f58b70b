/** Example texts of regular expressions. */

/** How a text is chosen: how often a part with `*`, `+` or `{n,}` is repeated, and which of the alternatives is taken. */
interface Choice {
  readonly repetitions: number
  readonly alternative: number
}

/** A part of a pattern, and the position behind it. */
interface Part {
  readonly text: string
  readonly end: number
}

const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index))

/** The characters that an example uses, the most readable ones first. */
const characters: ReadonlyArray<string> = [
  ..."abcdefghijklmnopqrstuvwxyz1234567890ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  ...printable.filter((character) => !/[a-z0-9]/i.test(character)),
  "\t",
  "\n"
]

/** The first character that a class such as `[^a-z]`, `\d` or `.` matches. */
const memberOf = (characterClass: string): string => {
  const isMember = new RegExp(`^${characterClass}$`, characterClass.includes("\\p{") ? "u" : "")
  const member = characters.find((character) => isMember.test(character))
  // A class of other characters, such as Greek letters: its first one.
  return member ?? /^\[([^\\^])/u.exec(characterClass)?.[1] ?? ""
}

const endOfClass = (pattern: string, at: number): number => {
  for (let end = at + 1; end < pattern.length; end++) {
    if (pattern[end] === "\\") end++
    else if (pattern[end] === "]") return end + 1
  }
  return pattern.length
}

const escapes = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]+)\}|(p\{[^}]*\}|[dDwWsSP])|([bB]|[1-9])|(.))/iy

const controls: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", f: "\f", v: "\v", "0": "\0" }

const escapeAt = (pattern: string, at: number): Part => {
  escapes.lastIndex = at
  const [all = "", hex, unicode, point, characterClass, empty, literal = ""] = escapes.exec(pattern) ?? []
  const end = at + Math.max(all.length, 1)
  const code = hex ?? unicode ?? point
  if (code !== undefined) return { text: String.fromCodePoint(Number.parseInt(code, 16)), end }
  if (characterClass !== undefined) return { text: memberOf(`\\${characterClass}`), end }
  return { text: empty === undefined ? (controls[literal] ?? literal) : "", end }
}

/** The most characters of a repeated part. */
const maxLength = 10_000

const quantifier = /(?:([*+?])|\{(\d+)(,(\d*))?\})\??/y

const repeated = (pattern: string, { end, text }: Part, { repetitions }: Choice): Part => {
  quantifier.lastIndex = end
  const [all, sign, min, open, max] = quantifier.exec(pattern) ?? []
  if (all === undefined) return { text, end }
  const least = sign === "+" ? 1 : Number(min ?? 0)
  const most = sign === "?" ? 1 : sign !== undefined || max === "" ? Infinity : Number(open === undefined ? min : max)
  const count = Math.min(most, Math.max(least, repetitions), Math.floor(maxLength / Math.max(text.length, 1)))
  return { text: text.repeat(count), end: end + all.length }
}

/** A group without its opening bracket: its text is empty when it only looks ahead or behind. */
const groupAt = (pattern: string, at: number, choice: Choice): Part => {
  const [prefix = ""] = /^\?(?::|<?[=!]|<[^>]*>)/.exec(pattern.slice(at, at + 100)) ?? []
  const inner = alternativesAt(pattern, at + prefix.length, choice)
  return { text: /[=!]$/.test(prefix) ? "" : inner.text, end: inner.end + 1 }
}

const partAt = (pattern: string, at: number, choice: Choice): Part => {
  switch (pattern[at]) {
    case "^":
    case "$":
      return { text: "", end: at + 1 }
    case "\\":
      return escapeAt(pattern, at)
    case ".":
      return { text: memberOf("."), end: at + 1 }
    case "[": {
      const end = endOfClass(pattern, at)
      return { text: memberOf(pattern.slice(at, end)), end }
    }
    case "(":
      return groupAt(pattern, at + 1, choice)
    default: {
      const character = String.fromCodePoint(pattern.codePointAt(at) ?? 0)
      return { text: character, end: at + character.length }
    }
  }
}

/** The alternatives up to the end of the group or of the pattern. */
const alternativesAt = (pattern: string, start: number, choice: Choice): Part => {
  const texts = [""]
  let at = start
  while (at < pattern.length && pattern[at] !== ")") {
    if (pattern[at] === "|") {
      texts.push("")
      at++
      continue
    }
    const part = repeated(pattern, partAt(pattern, at, choice), choice)
    texts[texts.length - 1] += part.text
    at = part.end
  }
  return { text: texts[choice.alternative % texts.length] ?? "", end: at }
}

/** The expression of a `pattern`; undefined when it is not one. */
export const regExpOf = (pattern: string): RegExp | undefined => {
  for (const flags of ["u", ""]) {
    try {
      return new RegExp(pattern, flags)
    } catch {
      // Without the flag more patterns are valid.
    }
  }
  return undefined
}

/**
 * Texts that probably match a pattern, of which some have at least `minLength` characters. References to groups, lookaheads and
 * lookbehinds are not obeyed: the caller checks the texts.
 */
export const examplesOf = (pattern: string, minLength: number): ReadonlyArray<string> => {
  if (regExpOf(pattern) === undefined) return []
  const counts = [1, Math.max(2, minLength), 0]
  return [0, 1, 2].flatMap((alternative) =>
    counts.map((repetitions) => alternativesAt(pattern, 0, { repetitions, alternative }).text)
  )
}
