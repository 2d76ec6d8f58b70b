import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { join } from "../../src/routing/fallback/overlap.js"

/** What stands at the end when a text is continued piece by piece, as the streams do; undefined where it was begun anew. */
const continuedWith = (said: string, pieces: ReadonlyArray<string>): string | undefined => {
  let heard = ""
  for (const [index, piece] of pieces.entries()) {
    heard += piece
    const joined = join(said, heard, false)
    if (joined._tag === "Restarted") return undefined
    if (joined._tag === "New") return said + joined.text + pieces.slice(index + 1).join("")
  }
  const joined = join(said, heard, true)
  return joined._tag === "New" ? said + joined.text : undefined
}

const letters = (text: string) => Array.from(text)

describe("a continuation is joined", () => {
  it.each([
    ["at the next character", "The capi", "tal is Paris.", "The capital is Paris."],
    ["at the next word", "The capital", " is Paris.", "The capital is Paris."],
    ["where the last word is repeated", "The capital is", "is Paris.", "The capital is Paris."],
    ["where half a word is said whole", "The capi", "capital is Paris.", "The capital is Paris."],
    ["where the last line is repeated", "First.\n- one\n- two", "- two\n- three", "First.\n- one\n- two\n- three"],
    ["where all is repeated", "The capital is", "The capital is Paris.", "The capital is Paris."],
    ["where Chinese words are repeated", "法国的首都是", "首都是巴黎。", "法国的首都是巴黎。"],
    ["where white space is said again", "Hello ", " world", "Hello world"],
    ["at a letter that is the same", "hel", "lo", "hello"],
    ["at a digit that is the same", "1000", "0 metres", "10000 metres"],
    ["at a brace that is the same", "a {\n  }\n", "  }\n}", "a {\n  }\n  }\n}"],
    ["where nothing was said", "", "Hello", "Hello"],
    ["where nothing more is said", "Done.", "", "Done."]
  ])("%s", (_, said, heard, whole) => {
    expect(continuedWith(said, [heard])).toBe(whole)
    expect(continuedWith(said, letters(heard))).toBe(whole)
  })

  it("not where the answer is begun anew and goes another way", () => {
    const said = "The capital of France, as everyone knows, is"
    expect(continuedWith(said, letters("The capital of France, as everyone should know, is"))).toBeUndefined()
    expect(continuedWith(said, letters("The capital of"))).toBeUndefined()
  })
})

describe("laws", () => {
  const text = fc.stringMatching(/^[a-z]{3,8}( [a-z]{3,8}){2,12}$/)

  it.prop("one that repeats from any word on says nothing twice", [text, fc.nat(), fc.nat()], ([whole, a, b]) => {
    const cut = 1 + (a % (whole.length - 1))
    const said = whole.slice(0, cut)
    const starts = [0, ...[...said.matchAll(/ /g)].map((match) => match.index + 1)].filter((at) => cut - at >= 3)
    const from = starts[b % Math.max(1, starts.length)] ?? 0
    const joined = continuedWith(said, letters(whole.slice(from)))
    // A shorter repetition inside of a longer one may be taken for it: never is there more than the whole.
    expect(whole.startsWith(joined ?? "")).toBe(true)
  })

  it.prop("pieces make no difference", [fc.string(), fc.string(), fc.nat()], ([said, heard, at]) => {
    const cut = heard.length === 0 ? 0 : at % heard.length
    expect(continuedWith(said, [heard.slice(0, cut), heard.slice(cut)])).toBe(continuedWith(said, [heard]))
  })
})
