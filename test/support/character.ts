import { FastCheck } from "effect"

/**
 * Any character of Unicode, to be the `unit` of a string. The unit "binary" gives the same, and first builds a table of all million of
 * them, which takes a second and a hundred megabytes in each worker.
 */
export const character: FastCheck.Arbitrary<string> = FastCheck.integer({ min: 0, max: 0x10_ffff - 0x800 }).map(
  // Halves of surrogate pairs are no characters.
  (index) => String.fromCodePoint(index < 0xd800 ? index : index + 0x800)
)
