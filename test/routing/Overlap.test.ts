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

describe("Overlap.join", () => {
  it.each([
    ["at the next character", "The capi", "tal is Paris.", "The capital is Paris."],
    ["at the next word", "The capital", " is Paris.", "The capital is Paris."],
    ["that repeats the last word", "The capital is", "is Paris.", "The capital is Paris."],
    ["that repeats half a word as a whole", "The capi", "capital is Paris.", "The capital is Paris."],
    ["that repeats the last line", "First.\n- one\n- two", "- two\n- three", "First.\n- one\n- two\n- three"],
    ["that repeats the whole text", "The capital is", "The capital is Paris.", "The capital is Paris."],
    ["that repeats Chinese words", "法国的首都是", "首都是巴黎。", "法国的首都是巴黎。"],
    ["that repeats white space", "Hello ", " world", "Hello world"],
    ["at a letter equal to the last one", "hel", "lo", "hello"],
    ["at a digit equal to the last one", "1000", "0 metres", "10000 metres"],
    ["at a brace equal to the last one", "a {\n  }\n", "  }\n}", "a {\n  }\n  }\n}"],
    ["to an empty text", "", "Hello", "Hello"],
    ["that is empty", "Done.", "", "Done."]
  ])("joins a continuation %s", (_, said, heard, whole) => {
    expect(continuedWith(said, [heard])).toBe(whole)
    expect(continuedWith(said, letters(heard))).toBe(whole)
  })

  it("does not join a continuation that restarts the answer and then differs", () => {
    const said = "The capital of France, as everyone knows, is"
    expect(continuedWith(said, letters("The capital of France, as everyone should know, is"))).toBeUndefined()
    expect(continuedWith(said, letters("The capital of"))).toBeUndefined()
  })
})

describe("Overlap.join laws", () => {
  const text = fc.stringMatching(/^[a-z]{3,8}( [a-z]{3,8}){2,12}$/)

  it.prop(
    "gives no text twice when a continuation repeats from any word on",
    [text, fc.nat(), fc.nat()],
    ([whole, a, b]) => {
      const cut = 1 + (a % (whole.length - 1))
      const said = whole.slice(0, cut)
      const starts = [0, ...[...said.matchAll(/ /g)].map((match) => match.index + 1)].filter((at) => cut - at >= 3)
      const from = starts[b % Math.max(1, starts.length)] ?? 0
      const joined = continuedWith(said, letters(whole.slice(from)))
      // A shorter repetition inside of a longer one may be taken for it: never is there more than the whole.
      expect(whole.startsWith(joined ?? "")).toBe(true)
    }
  )

  it.prop(
    "gives the same result however a continuation is split into chunks",
    [fc.string(), fc.string(), fc.nat()],
    ([said, heard, at]) => {
      const cut = heard.length === 0 ? 0 : at % heard.length
      expect(continuedWith(said, [heard.slice(0, cut), heard.slice(cut)])).toBe(continuedWith(said, [heard]))
    }
  )
})
