/**
 * Changes members of a JSON object in its text. All other bytes stay: the order of members, their duplicates, white space, and the
 * notation of numbers and strings. The text must be that of an object that `JSON.parse` accepts. Linear in the size of the text.
 */

const quote = 34
const backslash = 92
const comma = 44
const openBracket = 91
const closeBracket = 93
const openBrace = 123
const closeBrace = 125

/** The position behind a string that begins at `at`. */
const endOfString = (text: string, at: number): number => {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++
    if (escapes % 2 === 0) return end + 1
  }
  return text.length
}

/** White space is at most a space, and no other token of JSON is. */
const skipSpace = (text: string, at: number): number => {
  let next = at
  while (text.charCodeAt(next) <= 32) next++
  return next
}

const endOfNested = (text: string, at: number): number => {
  let depth = 0
  let next = at
  while (next < text.length) {
    const code = text.charCodeAt(next)
    if (code === quote) {
      next = endOfString(text, next)
      continue
    }
    next++
    if (code === openBrace || code === openBracket) depth++
    else if ((code === closeBrace || code === closeBracket) && --depth === 0) return next
  }
  return next
}

/** The position behind a value that begins at `at`. */
const endOfValue = (text: string, at: number): number => {
  const code = text.charCodeAt(at)
  if (code === quote) return endOfString(text, at)
  if (code === openBrace || code === openBracket) return endOfNested(text, at)
  let next = at + 1
  while (next < text.length) {
    const following = text.charCodeAt(next)
    if (following <= 32 || following === comma || following === closeBrace || following === closeBracket) break
    next++
  }
  return next
}

/** A member by its positions in the text. */
interface Member {
  readonly name: string
  readonly start: number
  readonly valueStart: number
  readonly end: number
}

const nameOf = (quoted: string): string => {
  if (!quoted.includes("\\")) return quoted.slice(1, -1)
  const name: unknown = JSON.parse(quoted)
  return String(name)
}

interface Scanned {
  readonly members: ReadonlyArray<Member>
  /** Behind the opening brace. */
  readonly start: number
}

const scan = (text: string): Scanned => {
  const members: Array<Member> = []
  const start = skipSpace(text, 0) + 1
  let at = skipSpace(text, start)
  while (text.charCodeAt(at) === quote) {
    const nameEnd = endOfString(text, at)
    // Behind the colon.
    const valueStart = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = endOfValue(text, valueStart)
    members.push({ name: nameOf(text.slice(at, nameEnd)), start: at, valueStart, end })
    const separator = skipSpace(text, end)
    if (text.charCodeAt(separator) !== comma) break
    at = skipSpace(text, separator + 1)
  }
  return { members, start }
}

/** The new text of a value by the present one, which is undefined when there is none. Undefined removes the member. */
export type Change = (value: string | undefined) => string | undefined

/** Sets the value. */
export const set =
  (value: unknown): Change =>
  () =>
    JSON.stringify(value)

/** Removes the member. */
export const remove: Change = () => undefined

/** Changes members of the object that is the value. Another value, or none, becomes an object of its own. */
export const inside =
  (changes: ReadonlyMap<string, Change>): Change =>
  (value) =>
    edit(value?.startsWith("{") === true ? value : "{}", changes)

/** Replaces the text between two positions. */
interface Replacement {
  readonly from: number
  readonly to: number
  readonly by: string
}

/** The removal of members, each with one comma. */
const removals = (members: ReadonlyArray<Member>, removed: ReadonlySet<Member>): ReadonlyArray<Replacement> => {
  let kept: Member | undefined
  return members.flatMap((member, index) => {
    if (!removed.has(member)) {
      kept = member
      return []
    }
    const before = members[index - 1]
    return kept === undefined || before === undefined
      ? [{ from: member.start, to: members[index + 1]?.start ?? member.end, by: "" }]
      : [{ from: before.end, to: member.end, by: "" }]
  })
}

const apply = (text: string, replacements: ReadonlyArray<Replacement>): string => {
  let out = ""
  let at = 0
  for (const { by, from, to } of replacements) {
    out += text.slice(at, from) + by
    at = to
  }
  return out + text.slice(at)
}

/**
 * Changes members by their names. Of members with the same name the last one is changed, and the others are removed: readers differ in
 * which of them counts. A new member is added at the end.
 */
export const edit = (text: string, changes: ReadonlyMap<string, Change>): string => {
  if (changes.size === 0) return text
  const { members, start } = scan(text)
  const last = new Map<string, Member>()
  const removed = new Set<Member>()
  for (const member of members) {
    const earlier = last.get(member.name)
    if (earlier !== undefined && changes.has(member.name)) removed.add(earlier)
    last.set(member.name, member)
  }
  const replaced: Array<Replacement> = []
  let added = ""
  for (const [name, change] of changes) {
    const member = last.get(name)
    const before = member === undefined ? undefined : text.slice(member.valueStart, member.end)
    const after = change(before)
    if (member === undefined) {
      if (after !== undefined) added += `,${JSON.stringify(name)}:${after}`
    } else if (after === undefined) removed.add(member)
    else if (after !== before) replaced.push({ from: member.valueStart, to: member.end, by: after })
  }
  const cuts = removed.size === 0 ? [] : removals(members, removed)
  const isEmpty = removed.size === members.length
  const end = members.at(-1)?.end ?? start
  const addition = added === "" ? [] : [{ from: end, to: end, by: isEmpty ? added.slice(1) : added }]
  return apply(text, [...[...replaced, ...cuts].sort((one, other) => one.from - other.from), ...addition])
}
