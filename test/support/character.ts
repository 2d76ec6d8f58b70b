import * as FastCheck from "fast-check"

/**
 * Any Unicode character, as the `unit` of a string. The unit "binary" gives the same, but builds a table of a million characters
 * first, which takes a second and a hundred megabytes in each worker.
 */
export const character: FastCheck.Arbitrary<string> = FastCheck.integer({ min: 0, max: 0x10_ffff - 0x800 }).map(
  // Skips surrogates, which are not characters.
  (index) => String.fromCodePoint(index < 0xd800 ? index : index + 0x800)
)
