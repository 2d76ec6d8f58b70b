/** How many columns of a terminal a text takes (Unicode Standard Annex #11, East Asian Width). */

const ascii = /^[ -~]*$/

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}\ufe0f]/u

/** Of no width by itself. */
const marks = /^[\p{Mark}\p{Format}]*$/u

const characters = new Intl.Segmenter(undefined, { granularity: "grapheme" })

export const widthOf = (text: string): number => {
  if (ascii.test(text)) return text.length
  let width = 0
  for (const { segment } of characters.segment(text)) width += wide.test(segment) ? 2 : marks.test(segment) ? 0 : 1
  return width
}
