/** A short name for a text of any length, to tell one from another where nobody means harm: 64 bits in hexadecimal digits. */

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0")

/** Two lanes of multiply and xor, as in MurmurHash, mixed at the end. */
export const fingerprint = (text: string): string => {
  let first = 0x9e3779b9
  let second = 0x85ebca6b
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    first = Math.imul(first ^ code, 0xcc9e2d51)
    second = Math.imul(second ^ code, 0x1b873593)
    first ^= first >>> 15
    second ^= second >>> 13
  }
  const mixed = Math.imul(first ^ (second >>> 16), 0x85ebca6b) ^ Math.imul(second ^ (second >>> 13), 0xc2b2ae35)
  const other = Math.imul(second ^ (first >>> 16), 0x85ebca6b) ^ Math.imul(first ^ (first >>> 13), 0xc2b2ae35)
  return hex(mixed) + hex(other)
}
